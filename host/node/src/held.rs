//! Tells for which sleeping services calls wait here: in an annotation of the node's own Node, which wakes them.

use std::collections::BTreeSet;
use std::time::Duration;

use osier_api::resources::{HELD, NODES};
use osier_client::{Client, Part, RECONNECT};
use serde_json::json;
use tokio::sync::watch;

/// Services that are told at once; what is beyond is told when others have woken.
const MOST: usize = 1000;
/// Changes that come together are told together. Who wakes a service waits no longer for it.
const GATHER: Duration = Duration::from_millis(5);

/// Tells it until the tasks stop. What was told before a restart is taken back first.
pub(crate) async fn tell(
    client: Client,
    node: String,
    mut held: watch::Receiver<BTreeSet<String>>,
) {
    let (mut failures, mut told) = (0, None);
    loop {
        let services: Vec<String> = held
            .borrow_and_update()
            .iter()
            .take(MOST)
            .cloned()
            .collect();
        let words = (!services.is_empty()).then(|| services.join(","));
        if told.as_ref() != Some(&words) {
            let patch = json!({"metadata": {"annotations": {HELD: words}}});
            match client.patch(&NODES, ("", &node), patch, Part::Whole).await {
                Ok(_) => (failures, told) = (0, Some(words)),
                Err(error) => {
                    failures += 1;
                    tracing::debug!(%error, "it could not be told for whom calls wait; it will be tried again");
                    tokio::time::sleep(RECONNECT.after(failures)).await;
                    continue;
                }
            }
        }
        if held.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(GATHER).await;
    }
}
