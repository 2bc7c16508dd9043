//! What is to be done, as values.

use osier_api::{Object, Resource, resources};
use serde_json::{Value, json};

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The kind.
    pub resource: &'static Resource,
    /// The namespace; empty for volumes.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What changes.
    pub change: Change,
}

/// What a write changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The object comes to be.
    Create(Box<Object>),
    /// A merge patch of the object.
    Patch(Value),
    /// A merge patch of its status.
    Status(Value),
}

/// What people are told of the object: an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Somebody should look.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// Many.
    pub message: String,
}

/// The next steps for one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In this order; after one that fails the rest is not done.
    pub writes: Vec<Write>,
    /// What is told.
    pub told: Option<Told>,
    /// The steps are right only if no claim of this namespace, name and uid exists: to be asked of the API itself, because a mirror
    /// of claims may be older than one of volumes.
    pub without: Option<(String, String, String)>,
}

impl Plan {
    pub(crate) fn write(writes: Vec<Write>) -> Self {
        Self {
            writes,
            ..Self::default()
        }
    }

    pub(crate) fn say(reason: &'static str, message: impl Into<String>) -> Self {
        let told = Told {
            warning: false,
            reason,
            message: message.into(),
        };
        Self {
            told: Some(told),
            ..Self::default()
        }
    }

    pub(crate) fn warn(reason: &'static str, message: impl Into<String>) -> Self {
        let mut plan = Self::say(reason, message);
        if let Some(told) = &mut plan.told {
            told.warning = true;
        }
        plan
    }

    pub(crate) fn and(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }
}

impl Write {
    pub(crate) fn of(object: &Object, change: Change) -> Self {
        let resource = match object.kind() {
            "PersistentVolume" => &resources::PERSISTENT_VOLUMES,
            _ => &resources::PERSISTENT_VOLUME_CLAIMS,
        };
        Self {
            resource,
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            change,
        }
    }

    /// Another write that came between makes it fail, and all is looked at anew.
    pub(crate) fn exactly(object: &Object, mut patch: Value) -> Self {
        let version = object.resource_version().to_string();
        patch["metadata"]["uid"] = object.uid().into();
        patch["metadata"]["resourceVersion"] = version.into();
        Self::of(object, Change::Patch(patch))
    }

    /// Only if it is still this object.
    pub(crate) fn status(object: &Object, status: &Value) -> Self {
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        Self::of(object, Change::Status(patch))
    }
}
