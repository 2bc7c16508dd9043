//! Gives every node a block of addresses for its pods, as upstream's node IPAM controller does: `spec.podCIDR`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::NODES;
use osier_client::{Backoff, Client, ClientError, Informer, Part, WorkQueue};
use parking_lot::Mutex;
use serde_json::json;

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

/// One decision at a time: two nodes never get the same block.
const WORKERS: usize = 1;
/// The block of a cluster of one node.
const FIRST: [u8; 2] = [10, 244];
/// Further nodes have a /16 each, of 10.128.0.0/9 without the first.
const OTHERS: std::ops::RangeInclusive<u8> = 128..=255;
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

impl Blocks {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.nodes.synced().await;
        let nodes = self.nodes.list();
        let lacks = |node: &Arc<Object>| node.name() == key.name && block(node).is_empty();
        if !nodes.iter().any(lacks) {
            return Ok(Outcome::Done);
        }
        let chosen = {
            let mut given = self.given.lock();
            let taken = nodes.iter().map(|node| block(node));
            let taken: Vec<&str> = taken.chain(given.values().map(String::as_str)).collect();
            let before = given.get(&key.name).cloned();
            let Some(chosen) = before.or_else(|| free(&taken)) else {
                tracing::warn!(
                    node = key.name,
                    "every block of pod addresses is taken; 128 nodes have one each"
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

/// The first block that nobody has.
fn free(taken: &[&str]) -> Option<String> {
    let others = OTHERS
        .map(|second| [10, second])
        .filter(|block| *block != FIRST);
    let mut all = std::iter::once(FIRST).chain(others);
    all.find_map(|[a, b]| {
        let block = format!("{}/16", Ipv4Addr::new(a, b, 0, 0));
        (!taken.contains(&block.as_str())).then_some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_a_block_of_its_own_until_all_are_taken() {
        let mut taken: Vec<String> = Vec::new();
        loop {
            let all: Vec<&str> = taken.iter().map(String::as_str).collect();
            let Some(next) = free(&all) else { break };
            assert!(!taken.contains(&next));
            taken.push(next);
        }
        assert_eq!(taken.len(), 128);
        assert_eq!(taken.first().map(String::as_str), Some("10.244.0.0/16"));
        assert_eq!(taken.get(1).map(String::as_str), Some("10.128.0.0/16"));
        let all: Vec<&str> = taken.iter().skip(1).map(String::as_str).collect();
        assert_eq!(
            free(&all).as_deref(),
            Some("10.244.0.0/16"),
            "what is given back is given again"
        );
    }
}
