//! [`Written`]: a write as policies and webhooks of people see it.

use osier_admission::{Attributes, Operation as Done};
use osier_api::{Object, resources};
use serde_json::Value;

use super::{Operation, Review};

/// A write with its objects as JSON.
pub(super) struct Written<'a> {
    pub(super) review: &'a Review<'a>,
    /// The namespace that the object is in, or is.
    pub(super) namespace: Option<Object>,
    user: Value,
    seen: Seen,
}

/// The objects of a write in one version.
pub(super) struct Seen {
    pub(super) object: Value,
    pub(super) old: Value,
}

impl<'a> Written<'a> {
    pub(super) fn of(review: &'a Review<'a>) -> Self {
        let namespace = match review.namespace {
            _ if *review.resource == resources::NAMESPACES => review.new.or(review.old).cloned(),
            "" => None,
            name => review.objects.get(&resources::NAMESPACES, "", name),
        };
        Self {
            review,
            namespace,
            user: review.user.to_value(),
            seen: seen(review, review.version),
        }
    }

    /// What it is, with its objects in the version of the request.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        let Seen { object, old } = &self.seen;
        self.of_objects(object, old)
    }

    /// What it is, of these objects.
    pub(super) fn of_objects<'b>(&'b self, object: &'b Value, old: &'b Value) -> Attributes<'b> {
        let review = self.review;
        Attributes {
            resource: review.resource,
            version: review.version,
            subresource: review.subresource.unwrap_or(""),
            operation: match review.operation {
                Operation::Create => Done::Create,
                Operation::Update => Done::Update,
                Operation::Delete => Done::Delete,
            },
            namespace: review.namespace,
            name: review.name,
            user: &self.user,
            dry_run: review.dry_run,
            object,
            old,
        }
    }

    /// An object of it in another version.
    pub(super) fn other(&self, object: &Value, version: &str) -> Value {
        let version = self.review.resource.api_version(version);
        match Object::from_value(object.clone()) {
            Ok(object) => osier_answers::in_version(object, &version).into_value(),
            Err(_) => object.clone(),
        }
    }

    /// Its objects in a version.
    pub(super) fn in_version(&self, version: &str) -> Seen {
        seen(self.review, version)
    }
}

fn seen(review: &Review<'_>, version: &str) -> Seen {
    let version = review.resource.api_version(version);
    let shown = |object: Option<&Object>| {
        let object = object.map(|object| osier_answers::in_version(object.clone(), &version));
        object.map_or(Value::Null, Object::into_value)
    };
    Seen {
        object: shown(review.new),
        old: shown(review.old),
    }
}
