//! Gives every node a block of addresses for its pods, as upstream's node IPAM controller does: `spec.podCIDR`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::NODES;
use osier_api::{Object, quantity};
use osier_client::{Backoff, Client, ClientError, Informer, Part, WorkQueue};
use osier_scheduling::blocks::{Block, free};
use parking_lot::Mutex;
use serde_json::json;

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

/// One decision at a time: two nodes never get the same block.
const WORKERS: usize = 1;
/// What a node without a block waits for another look.
const FULL: Duration = Duration::from_secs(60);

struct Blocks {
    client: Client,
    nodes: Arc<Informer>,
    /// What was given away here; the mirror may not show it yet.
    given: Mutex<BTreeMap<String, String>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let Some(nodes) = context.informers.of(&NODES) else {
        return;
    };
    let this = Arc::new(Blocks {
        client: context.client.clone(),
        nodes: Arc::clone(nodes),
        given: Mutex::default(),
    });
    let queue = WorkQueue::new(Backoff::new(
        Duration::from_millis(20),
        Duration::from_secs(10),
    ));
    let (own, blocks) = (queue.clone(), Arc::clone(&this));
    nodes.on_change(move |change| {
        if change.is_deleted() {
            blocks.given.lock().remove(change.object().name());
        } else if block(change.object()).is_empty() {
            own.add(Key::of(change.object()));
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

impl Blocks {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.nodes.synced().await;
        let nodes = self.nodes.list();
        let lacks = |node: &&Arc<Object>| node.name() == key.name && block(node).is_empty();
        let Some(node) = nodes.iter().find(lacks) else {
            return Ok(Outcome::Done);
        };
        let Some(pods) = places(node) else {
            return Ok(Outcome::Done);
        };
        let chosen = {
            let mut given = self.given.lock();
            let taken = nodes.iter().map(|node| block(node));
            let taken = taken.chain(given.values().map(String::as_str));
            let taken: Vec<Block> = taken.filter_map(Block::parse).collect();
            let before = given.get(&key.name).cloned();
            let Some(chosen) = before.or_else(|| free(&taken, pods).map(|free| free.to_string()))
            else {
                tracing::warn!(
                    node = key.name,
                    pods,
                    "no block of pod addresses is large enough and free: delete Nodes that are no more, or lower maxPods"
                );
                return Ok(Outcome::Again(FULL));
            };
            given.insert(key.name.clone(), chosen.clone());
            chosen
        };
        let patch = json!({"spec": {"podCIDR": chosen, "podCIDRs": [chosen]}});
        let of = ("", key.name.as_str());
        gone_is_fine(self.client.patch(&NODES, of, patch, Part::Whole).await)?;
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
