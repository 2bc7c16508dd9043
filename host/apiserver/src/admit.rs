//! Admission: the point where others may change or refuse a write, after validation and before storing.

mod grants;
mod hooks;
mod node_restriction;
mod pods;
mod policies;
mod registered;
mod requesters;
mod storage;
mod written;

use osier_api::{Object, Resource, Status};
use osier_process::Boxed;

use osier_access::User;

use crate::notes::Notes;
pub use crate::reading::Read;

pub(crate) use grants::Grants;
pub(crate) use hooks::{Hooks, Mutating, Validating};
pub(crate) use node_restriction::NodeRestriction;
pub(crate) use pods::Pods;
pub(crate) use policies::Policies;
pub(crate) use registered::Registered;
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
    /// The version that the caller speaks.
    pub version: &'a str,
    /// Where the object is; empty for kinds that live in no namespace.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
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
    /// For the audit log.
    pub notes: &'a Notes,
}

impl Review<'_> {
    /// Whether the server writes for itself, such as when it starts: what people registered must not keep it from that.
    pub(crate) fn is_own(&self) -> bool {
        self.user.name == "system:apiserver"
    }
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
