//! Kinds of objects, told apart by their group as well: two APIs have a Gateway.

use std::fmt;

use osier_api::Resource;

/// A kind of object. Shown by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// `Gateway`.
    pub name: &'static str,
}

impl Kind {
    /// A Service of the core group.
    pub const SERVICE: Self = Self::new("", "Service");

    /// A kind by its group and name.
    pub const fn new(group: &'static str, name: &'static str) -> Self {
        Self { group, name }
    }

    /// The kind of a resource's objects.
    pub const fn of(resource: &Resource) -> Self {
        Self::new(resource.group, resource.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
