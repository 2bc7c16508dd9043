//! What is known of the cluster when something is decided.

use std::sync::Arc;

use osier_api::Object;

/// The objects as last seen.
pub trait View {
    /// A claim.
    fn claim(&self, namespace: &str, name: &str) -> Option<Arc<Object>>;

    /// A volume.
    fn volume(&self, name: &str) -> Option<Arc<Object>>;

    /// Every volume.
    fn volumes(&self) -> Vec<Arc<Object>>;

    /// A class.
    fn class(&self, name: &str) -> Option<Arc<Object>>;

    /// The pods of a namespace.
    fn pods(&self, namespace: &str) -> Vec<Arc<Object>>;
}
