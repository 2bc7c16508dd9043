//! Where nodes stand: their pods and gateways stand there too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use osier_api::Object;
use osier_balancing::Locality;

use osier_routing::workload;

/// Nodes by name.
#[derive(Debug, Default)]
pub(crate) struct Nodes(HashMap<Box<str>, Node>);

#[derive(Clone, Debug)]
struct Node {
    /// The object that it was first read from with this locality. A node reports of itself often, and moves never.
    object: Arc<Object>,
    locality: Arc<Locality>,
    /// Where its pods are reached from other nodes.
    mesh: Option<SocketAddr>,
}

/// The annotation of a Node that says where its pods are reached from other nodes, as `ADDRESS:PORT`.
pub const MESH_ADDRESS: &str = "osier.dev/mesh-address";

impl Nodes {
    pub(crate) fn read(objects: &[Arc<Object>], previous: &Self) -> Self {
        let read = |object: &Arc<Object>| {
            let locality = Locality::of(&workload::labels(object));
            let before = previous.0.get(object.name());
            let mesh = object.text(&["metadata", "annotations", MESH_ADDRESS]);
            let mesh = mesh.parse().ok();
            let same = before.filter(|before| *before.locality == locality && before.mesh == mesh);
            let node = same.cloned().unwrap_or_else(|| Node {
                object: Arc::clone(object),
                locality: Arc::new(locality),
                mesh,
            });
            (object.name().into(), node)
        };
        Self(objects.iter().map(read).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a node stands.
    pub(crate) fn locality(&self, node: &str) -> Option<&Arc<Locality>> {
        Some(&self.0.get(node)?.locality)
    }

    /// Where a node's pods are reached from other nodes, if it is in the mesh.
    pub(crate) fn mesh(&self, node: &str) -> Option<SocketAddr> {
        self.0.get(node)?.mesh
    }

    /// An object that is the same as long as the node stands where it does.
    pub(crate) fn object(&self, node: &str) -> Option<Arc<Object>> {
        Some(Arc::clone(&self.0.get(node)?.object))
    }
}
