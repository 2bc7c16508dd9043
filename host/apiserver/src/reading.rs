//! [`Read`]: the other objects, for who decides about one.

use osier_api::{Object, Resource};

/// Read access to the objects as they are now.
pub trait Read: Send + Sync {
    /// The object, or `None`. The namespace is empty for resources without one.
    fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Object>;

    /// Every object of a kind in a namespace; in all of them, and of resources without one, if it is empty.
    fn list(&self, resource: &'static Resource, namespace: &str) -> Vec<Object>;

    /// The kind that a manifest names, also one that users define.
    fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        osier_api::resources::by_kind(group, kind)
    }
}
