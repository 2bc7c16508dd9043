//! Whether a pod stays within what it may keep on the disk: looked at now and then, as kubelet does.

use std::sync::Arc;
use std::time::Duration;

use osier_podspec::volumes::Bounds;

use super::mailbox::Sender;
use super::{Event, Shared};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(10);

/// Runs for as long as it is polled; says once that the pod has outgrown a limit.
pub(super) async fn watch(
    (shared, uid): (Arc<Shared>, String),
    bounds: Bounds,
    events: Sender<Event>,
) {
    if bounds.is_empty() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(PERIOD).await;
        let (measured, of, within) = (Arc::clone(&shared), uid.clone(), bounds.clone());
        let measure = move || exceeded(&measured, &of, &within);
        let looked = shared.tasks.spawn_blocking("pod-size", measure).await;
        if let Ok(Some(message)) = looked {
            // Nobody listens when the pod has ended meanwhile.
            let _told = events.send(Event::Exceeded { message }).await;
            return std::future::pending().await;
        }
    }
}

/// kubelet's words for the first limit that the pod has outgrown. Blocks.
fn exceeded(shared: &Shared, uid: &str, bounds: &Bounds) -> Option<String> {
    let size = |volume: &String| shared.volumes.size(uid, volume);
    let mut bounded = bounds.volumes.iter();
    if let Some((name, limit)) = bounded.find(|(name, limit)| size(name) > *limit) {
        return Some(format!(
            "Usage of EmptyDir volume {name:?} exceeds the limit \"{limit}\"."
        ));
    }
    let whole = bounds.whole.as_ref()?;
    let volumes: u64 = whole.volumes.iter().map(size).sum();
    let limit = whole.limit;
    (volumes.saturating_add(shared.logs.size(uid)) > limit).then(|| {
        format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}.")
    })
}
