//! Where nodes stand: their pods and gateways stand there too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use osier_api::Object;
use osier_balancing::Locality;

use osier_api::companion::{self, MESH_ADDRESS};
use osier_routing::workload;

/// Nodes by name.
#[derive(Debug, Default)]
pub(crate) struct Nodes(HashMap<Box<str>, Node>);

#[derive(Clone, Debug)]
struct Node {
    /// The object that it was first read from with this locality. A node reports of itself often, and moves never.
    object: Arc<Object>,
    /// What it last said: as long as it says no more, thousands of nodes are not read again.
    said: Arc<Object>,
    locality: Arc<Locality>,
    /// Where its pods are reached from other nodes.
    mesh: Option<SocketAddr>,
}

impl Nodes {
    /// Reads Nodes, and of WorkloadEntries those that have a companion.
    pub(crate) fn read(
        objects: &[Arc<Object>],
        workloads: &[Arc<Object>],
        previous: &Self,
    ) -> Self {
        let read = |object: &Arc<Object>| {
            let name = object.name();
            let node = Node::read(object, previous.0.get(name));
            (Box::<str>::from(name), node)
        };
        let nodes = objects.iter().map(read);
        Self(
            nodes
                .chain(workloads.iter().filter_map(companion))
                .collect(),
        )
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

impl Node {
    /// Reads a Node, of which this was known.
    fn read(object: &Arc<Object>, before: Option<&Self>) -> Self {
        if let Some(same) = before.filter(|before| Arc::ptr_eq(&before.said, object)) {
            return same.clone();
        }
        let locality = Locality::of(&workload::labels(object));
        let mesh = object.text(&["metadata", "annotations", MESH_ADDRESS]);
        let mesh = mesh.parse().ok();
        let stays = before.filter(|before| *before.locality == locality && before.mesh == mesh);
        let (first, locality) = match stays {
            Some(before) => (&before.object, Arc::clone(&before.locality)),
            None => (object, Arc::new(locality)),
        };
        Self {
            object: Arc::clone(first),
            said: Arc::clone(object),
            locality,
            mesh,
        }
    }
}

/// The companion of a WorkloadEntry, if it has one.
fn companion(object: &Arc<Object>) -> Option<(Box<str>, Node)> {
    let mesh = object.annotation(MESH_ADDRESS)?;
    let name = companion::of_entry(object);
    let locality = Locality::parse(object.text(&["spec", "locality"]));
    let node = Node {
        object: Arc::clone(object),
        said: Arc::clone(object),
        locality: Arc::new(locality),
        mesh: mesh.parse().ok(),
    };
    Some((name.into(), node))
}
