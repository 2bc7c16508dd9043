//! What an object asked and did not get: said in the object's own terms, for its status and for the log.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;

use osier_routing::kind::Kind;

/// Why a part of an object is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// The field is understood by its API but this version does not act on it.
    NotApplied,
    /// The value cannot be used.
    Invalid,
    /// The object names something that does not exist.
    Reference,
    /// The object names something of another namespace, which no ReferenceGrant there permits.
    NotPermitted,
    /// The object names something of a kind that does not serve here.
    UnknownKind,
    /// Another object already decides this.
    Conflict,
}

/// One thing an object asked that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object's kind, e.g. `VirtualService`.
    pub resource: Kind,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Dotted path of the field, e.g. `spec.http[0].mirror`.
    pub field: String,
    /// Why it is not in force.
    pub kind: FindingKind,
    /// For a person: what is wrong and what happens instead.
    pub detail: String,
}

impl Finding {
    /// The order in which findings are told: by object, then by field.
    pub fn by_object(&self, other: &Self) -> Ordering {
        let objects = (self.resource, &self.namespace, &self.name);
        let others = (other.resource, &other.namespace, &other.name);
        objects
            .cmp(&others)
            .then_with(|| self.field.cmp(&other.field))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{}: {}: {}",
            self.resource, self.namespace, self.name, self.field, self.detail
        )
    }
}

/// Collects the findings of one object while it is read.
#[derive(Debug)]
pub struct Findings {
    resource: Kind,
    namespace: String,
    name: String,
    found: RefCell<Vec<Finding>>,
}

impl Findings {
    /// None yet, of this object.
    pub fn about(resource: Kind, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            found: RefCell::default(),
        }
    }

    /// Notes what of a field is not in force, and why.
    pub fn add(&self, kind: FindingKind, field: impl Into<String>, detail: impl Into<String>) {
        self.found.borrow_mut().push(Finding {
            resource: self.resource,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field: field.into(),
            kind,
            detail: detail.into(),
        });
    }

    /// What was found.
    pub fn into_vec(self) -> Vec<Finding> {
        self.found.into_inner()
    }
}
