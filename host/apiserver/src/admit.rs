//! Admission: the point where others may change or refuse a write, after validation and before storing.

mod grants;
mod limits;
mod node_restriction;
mod requesters;
mod storage;

use osier_api::{Object, Resource, Status};
use osier_process::Boxed;

use osier_access::User;

pub(crate) use grants::Grants;
pub(crate) use limits::Limits;
pub(crate) use node_restriction::NodeRestriction;
pub(crate) use requesters::Requesters;
pub(crate) use storage::Storage;

/// What the write does to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The object is new.
    Create,
    /// The object exists and changes.
    Update,
    /// The object is to go.
    Delete,
}

/// Everything an admission step may look at.
pub struct Review<'a> {
    /// The kind of the object.
    pub resource: &'static Resource,
    /// What is being done.
    pub operation: Operation,
    /// The part of the object that is written: `None` for the object itself, else `status`, `scale`, ...
    pub subresource: Option<&'a str>,
    /// The object as stored; absent for a create.
    pub old: Option<&'a Object>,
    /// The object as it would be stored; absent for a delete.
    pub new: Option<&'a Object>,
    /// Who asks.
    pub user: &'a User,
    /// The other objects.
    pub objects: &'a dyn Read,
    /// Nothing will be stored: an admission step must not act on the outside.
    pub dry_run: bool,
}

/// An admission step's consent.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// The object to store instead, if the step changed it.
    pub object: Option<Object>,
    /// Shown to the caller as `Warning:` lines.
    pub warnings: Vec<String>,
}

/// One admission step.
pub trait Admit: Send + Sync {
    /// Consents, possibly with a changed object, or refuses with the answer that the caller shall see.
    fn admit<'a>(&'a self, review: &'a Review<'a>) -> Boxed<'a, Result<Admitted, Status>>;
}

/// Read access to the objects as they are now.
pub trait Read: Send + Sync {
    /// The object, or `None`. The namespace is empty for resources without one.
    fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Object>;

    /// Every object of a kind in a namespace; in all of them, and of resources without one, if it is empty.
    fn list(&self, resource: &'static Resource, namespace: &str) -> Vec<Object>;
}
