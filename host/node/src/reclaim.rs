//! Takes away what claims have kept on this node's disk, when the claim is gone and its class says so.
//!
//! The directory first and the PersistentVolume after it: a node that stops in between finds its work again.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::PERSISTENT_VOLUMES;
use osier_api::{Object, local_volume};
use osier_client::reconcile::{self, Key, Outcome, gone_is_fine};
use osier_client::{
    CONTROLLER, ClientError, DeleteOptions, Informer, Part, Reference, Scope, WorkQueue,
};
use serde_json::json;

use crate::pod::Shared;

/// Directories are removed one after the other: many at once would take the disk from the pods.
const WORKERS: usize = 1;
/// A directory that could not be removed is tried again after this long.
const LATER: Duration = Duration::from_secs(60);

/// What the node does about a volume on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Its claim is gone, and what it kept goes too.
    Remove,
    /// Its object goes, and what it kept stays for people to look at.
    LetGo,
    Rest,
}

fn decide(volume: &Object) -> Step {
    let released = volume.text(&["status", "phase"]) == "Released";
    let held = volume.finalizers().contains(&local_volume::FINALIZER);
    match volume.text(&["spec", "persistentVolumeReclaimPolicy"]) {
        "Delete" if released => Step::Remove,
        _ if released && held && volume.deletion_timestamp().is_some() => Step::LetGo,
        _ => Step::Rest,
    }
}

/// Follows the volumes of this node until the tasks stop.
pub(crate) fn start(shared: &Arc<Shared>) {
    let tasks = &shared.tasks;
    let (client, scope) = (shared.client.clone(), Scope::default());
    let volumes = Informer::start(client, &PERSISTENT_VOLUMES, scope, tasks);
    let queue = WorkQueue::new(CONTROLLER);
    let (own, node) = (queue.clone(), shared.settings.node_name.clone());
    volumes.on_change(move |change| {
        if local_volume::node(change.object()) == Some(&node) {
            own.add(Key::of(change.object()));
        }
    });
    let shared = Arc::clone(shared);
    reconcile::run("reclaim", &queue, (WORKERS, tasks), move |key: Key| {
        let (shared, volume) = (Arc::clone(&shared), volumes.get("", &key.name));
        async move {
            match volume {
                Some(volume) => reclaim(&shared, &volume).await,
                None => Ok(Outcome::Done),
            }
        }
    });
}

async fn reclaim(shared: &Shared, volume: &Object) -> Result<Outcome, ClientError> {
    match decide(volume) {
        Step::Rest => return Ok(Outcome::Done),
        Step::LetGo => {}
        Step::Remove => {
            if let Err(problem) = remove(shared, volume).await {
                // Whoever runs the node has to look: the disk is broken, or somebody owns what is in there.
                let about = Reference::to(volume);
                shared
                    .recorder
                    .warning(&about, "VolumeFailedDelete", problem);
                return Ok(Outcome::Again(LATER));
            }
            let (of, exactly) = (("", volume.name()), DeleteOptions::exactly(volume));
            let deleted = shared.client.delete(&PERSISTENT_VOLUMES, of, &exactly);
            gone_is_fine(deleted.await)?;
        }
    }
    let_go(shared, volume).await?;
    Ok(Outcome::Done)
}

/// Nothing of the volume is here any more that anybody would miss.
async fn let_go(shared: &Shared, volume: &Object) -> Result<(), ClientError> {
    let mut kept = volume.finalizers();
    kept.retain(|one| *one != local_volume::FINALIZER);
    let patch = json!({"metadata": {"uid": volume.uid(), "finalizers": kept}});
    let of = ("", volume.name());
    let patched = shared
        .client
        .patch(&PERSISTENT_VOLUMES, of, patch, Part::Whole);
    gone_is_fine(patched.await)
}

/// Removes the directory of a volume.
async fn remove(shared: &Shared, volume: &Object) -> Result<(), String> {
    let (volumes, name) = (Arc::clone(&shared.volumes), volume.name().to_owned());
    let removing = move || volumes.remove_claim(&name);
    let removed = shared.tasks.spawn_blocking("reclaim", removing).await;
    let removed = removed.map_err(|error| error.to_string())?;
    removed.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_its_class_says_is_removed_and_only_after_its_claim() {
        let volume = |policy: &str, phase: &str, going: bool| {
            let mut metadata = json!({"name": "v", "finalizers": [local_volume::FINALIZER]});
            if going {
                metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            }
            let spec = json!({"persistentVolumeReclaimPolicy": policy});
            let whole = json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}});
            decide(&Object::from_value(whole).unwrap())
        };
        assert_eq!(volume("Delete", "Bound", false), Step::Rest);
        assert_eq!(volume("Delete", "Bound", true), Step::Rest);
        assert_eq!(volume("Delete", "Released", false), Step::Remove);
        assert_eq!(volume("Delete", "Released", true), Step::Remove);
        assert_eq!(volume("Retain", "Released", false), Step::Rest);
        assert_eq!(volume("Retain", "Released", true), Step::LetGo);
        assert_eq!(volume("Retain", "Bound", true), Step::Rest);
    }
}
