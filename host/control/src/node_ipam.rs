//! Gives every node a block of addresses for its pods, as upstream's node IPAM controller does: `spec.podCIDR`.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::NODES;
use osier_api::{Object, quantity};
use osier_client::{Backoff, Client, ClientError, Informer, Part, WorkQueue};
use osier_scheduling::blocks::Blocks;
use parking_lot::Mutex;
use serde_json::json;

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

/// One decision at a time: two nodes never get the same block.
const WORKERS: usize = 1;
/// What a node without a block waits for another look.
const FULL: Duration = Duration::from_secs(60);

struct Ipam {
    client: Client,
    nodes: Arc<Informer>,
    /// What nodes have and what was given away here, which the mirror may not show yet.
    blocks: Mutex<Blocks>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let Some(nodes) = context.informers.of(&NODES) else {
        return;
    };
    let this = Arc::new(Ipam {
        client: context.client.clone(),
        nodes: Arc::clone(nodes),
        blocks: Mutex::default(),
    });
    let queue = WorkQueue::new(Backoff::new(
        Duration::from_millis(20),
        Duration::from_secs(10),
    ));
    let (own, ipam) = (queue.clone(), Arc::clone(&this));
    nodes.on_change(move |change| {
        let node = change.object();
        if change.is_deleted() {
            ipam.blocks.lock().forget(node.name());
            return;
        }
        ipam.blocks.lock().note(node.name(), block(node));
        if block(node).is_empty() {
            own.add(Key::of(node));
        }
    });
    let run = (WORKERS, &context.tasks);
    reconcile::run("node-ipam", &queue, run, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

fn block(node: &Object) -> &str {
    node.text(&["spec", "podCIDR"])
}

/// How many pods the node takes; nothing until it says so.
fn places(node: &Object) -> Option<u32> {
    let said = quantity::bytes(node.text(&["status", "capacity", "pods"])).ok()?;
    Some(u32::try_from(said).unwrap_or(u32::MAX))
}

impl Ipam {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.nodes.synced().await;
        let node = self.nodes.get("", &key.name);
        let Some(node) = node.filter(|node| block(node).is_empty()) else {
            return Ok(Outcome::Done);
        };
        let Some(pods) = places(&node) else {
            return Ok(Outcome::Done);
        };
        let Some(chosen) = self.blocks.lock().give(&key.name, pods) else {
            tracing::warn!(
                node = key.name,
                pods,
                "no block of pod addresses is large enough and free: delete Nodes that are no more, or lower maxPods"
            );
            return Ok(Outcome::Again(FULL));
        };
        let chosen = chosen.to_string();
        let patch = json!({"spec": {"podCIDR": chosen, "podCIDRs": [chosen]}});
        let of = ("", key.name.as_str());
        gone_is_fine(self.client.patch(&NODES, of, patch, Part::Whole).await)?;
        // One that went meanwhile was forgotten before it was given the block.
        if self.nodes.get("", &key.name).is_none() {
            self.blocks.lock().forget(&key.name);
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_as_quantities() {
        let node = |status: serde_json::Value| {
            Object::from_value(json!({"kind": "Node", "status": status})).unwrap()
        };
        for (said, places) in [("1k", 1000), ("1100", 1100), ("50k", 50_000)] {
            let node = node(json!({"capacity": {"pods": said}}));
            assert_eq!(super::places(&node), Some(places), "{said}");
        }
        assert_eq!(super::places(&node(json!({}))), None);
    }
}
