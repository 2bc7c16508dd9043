//! Pods by their controller and by their node: a change of one pod costs its controller a look at its own pods and at those that nobody
//! owns, and a lost node a look at the pods on it, not at all pods.

use std::sync::Arc;

use osier_api::Object;
use osier_client::{Index, Informer};

use crate::facts;

/// Pods by their controller.
#[derive(Debug)]
pub(crate) struct OwnedPods(Arc<Index>);

impl OwnedPods {
    /// An index that follows the informer. Who registers with the informer after this finds the index as new as the change.
    pub(crate) fn follow(pods: &Informer) -> Arc<Self> {
        let owner = |pod: &Object| {
            let owner = pod.controller_of().map(|owner| owner.uid);
            Some(group(pod.namespace(), &owner.unwrap_or_default()))
        };
        Arc::new(Self(Index::follow(pods, owner)))
    }

    /// What a controller of this uid may be concerned with: its own pods, and those that nobody owns.
    pub(crate) fn of(&self, namespace: &str, uid: &str) -> Vec<Arc<Object>> {
        let mut pods = self.0.of(&group(namespace, uid));
        pods.extend(self.0.of(&group(namespace, "")));
        pods
    }
}

/// A namespace and the uid of a controller in it; empty for pods without one.
fn group(namespace: &str, uid: &str) -> String {
    format!("{namespace}/{uid}")
}

/// An index of pods by the node that they are bound to.
pub(crate) fn by_node(pods: &Informer) -> Arc<Index> {
    Index::follow(pods, |pod| {
        Some(facts::node(pod).to_owned()).filter(|node| !node.is_empty())
    })
}
