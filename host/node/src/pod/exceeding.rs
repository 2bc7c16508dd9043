//! Whether a pod's emptyDirs stay within their `sizeLimit`: looked at now and then, as kubelet does.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::Sender;
use super::{Event, Shared};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(10);

/// Runs for as long as it is polled; says once that a volume has outgrown its limit.
pub(super) async fn watch(
    (shared, uid): (Arc<Shared>, String),
    bounded: Vec<(String, u64)>,
    events: Sender<Event>,
) {
    if bounded.is_empty() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Some(message) = exceeded((&shared, &uid), bounded.clone()).await {
            // Nobody listens when the pod has ended meanwhile.
            let _told = events.send(Event::Exceeded { message }).await;
            return std::future::pending().await;
        }
    }
}

/// kubelet's words for the first volume that is too large.
async fn exceeded(
    (shared, uid): (&Arc<Shared>, &str),
    bounded: Vec<(String, u64)>,
) -> Option<String> {
    for (name, limit) in bounded {
        let (volumes, of, volume) = (Arc::clone(&shared.volumes), uid.to_owned(), name.clone());
        let measure = move || volumes.size(&of, &volume);
        let size = shared.tasks.spawn_blocking("volume-size", measure).await;
        if size.is_ok_and(|size| size > limit) {
            return Some(format!(
                "Usage of EmptyDir volume {name:?} exceeds the limit \"{limit}\"."
            ));
        }
    }
    None
}
