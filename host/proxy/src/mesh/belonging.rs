//! Connections of other nodes by who is at their other end. When that is nobody of the mesh any more - the node was removed, or the
//! last of its workloads with the identity - they are cut off, with whatever flows on them.
//!
//! Requests on them are judged one by one besides; this is for those that are under way, and for raw connections.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use osier_process::serve::Peer;
use osier_snapshot::Snapshot;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The open connections. There are as many as the listener takes.
#[derive(Clone)]
pub(crate) struct Belonging {
    open: Arc<Mutex<Vec<Connection>>>,
    /// The identity of gateways, which every node of the mesh may have.
    gateway: Arc<str>,
}

struct Connection {
    spiffe: Box<str>,
    node: Box<str>,
    peer: Weak<Peer>,
}

impl Belonging {
    pub(crate) fn new(gateway: Arc<str>) -> Self {
        Self {
            open: Arc::default(),
            gateway,
        }
    }

    /// A connection stands, and its other end proved to be this identity on this node.
    pub(crate) fn add(&self, (spiffe, node): (&str, &str), peer: &Arc<Peer>) {
        let mut open = self.open.lock();
        if open.len() == open.capacity() {
            open.retain(|one| one.peer.strong_count() > 0);
        }
        open.push(Connection {
            spiffe: spiffe.into(),
            node: node.into(),
            peer: Arc::downgrade(peer),
        });
    }

    /// Looks at all of them whenever the mesh changes.
    pub(crate) async fn keep(self, mut published: watch::Receiver<Arc<Snapshot>>) {
        while published.changed().await.is_ok() {
            let snapshot = Arc::clone(&published.borrow_and_update());
            self.look(&snapshot);
        }
    }

    fn look(&self, snapshot: &Snapshot) {
        let mut open = self.open.lock();
        let mut known = HashMap::new();
        open.retain(|one| {
            let Some(peer) = one.peer.upgrade() else {
                return false;
            };
            let who = (one.node.clone(), one.spiffe.clone());
            let belongs = *known
                .entry(who)
                .or_insert_with_key(|(node, spiffe)| self.belongs(snapshot, node, spiffe));
            if !belongs {
                tracing::info!(node = %one.node, identity = %one.spiffe, "a connection of what left the mesh is cut off");
                peer.cut.cancel();
            }
            belongs
        });
    }

    fn belongs(&self, snapshot: &Snapshot, node: &str, spiffe: &str) -> bool {
        let is_gateway = *spiffe == *self.gateway;
        snapshot.mesh_address(node).is_some() && (is_gateway || snapshot.bears(node, spiffe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn what_left_the_mesh_is_cut_off_and_forgotten() {
        let gateway = "spiffe://cluster.local/ns/osier-system/sa/gateway";
        let belonging = Belonging::new(gateway.into());
        let peer = || Arc::new(Peer::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        let (one, other) = (peer(), peer());
        belonging.add((gateway, "gone"), &one);
        belonging.add(("spiffe://cluster.local/ns/default/sa/a", "gone"), &other);
        assert!(!one.cut.is_cancelled());
        belonging.look(&Snapshot::default());
        assert!(one.cut.is_cancelled() && other.cut.is_cancelled());
        assert!(belonging.open.lock().is_empty());
    }
}
