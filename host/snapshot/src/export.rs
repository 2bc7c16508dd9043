//! Which namespaces an object is for.

use std::sync::Arc;

/// Which namespaces see a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// All.
    #[default]
    Everywhere,
    /// These.
    To(Arc<[Arc<str>]>),
}

impl Export {
    /// Whether a namespace is among them.
    pub fn reaches(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::To(namespaces) => namespaces.iter().any(|name| **name == *namespace),
        }
    }
}
