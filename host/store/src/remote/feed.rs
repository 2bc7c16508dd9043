//! What keeps the cache of a store in an etcd true: it watches all objects from the revision at which the cache stands. When a
//! member breaks off, the next one is watched from there; when history that was not yet heard is compacted, the state is read
//! anew and everybody who watches has to list again.

use std::sync::Arc;
use std::time::Duration;

use osier_etcd::{Batch, EtcdError};
use tokio::time::Instant;

use super::open::load;
use crate::error::StoreError;
use crate::keyspace::Keyspace;
use crate::shared::{Past, Shared};

/// The shortest and the longest pause before the next member is asked.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The shortest time between two compactions.
const COMPACTIONS: Duration = Duration::from_secs(1);
/// History is longer than its bound by this part when it is shortened.
const SLACK: u64 = 10;

/// Follows etcd for as long as it is polled.
pub(super) async fn follow(shared: &Arc<Shared>) {
    let Past::Etcd(keys) = &shared.past else {
        return;
    };
    let mut pause = PAUSES.0;
    loop {
        let before = shared.state.read().revision();
        let error = hear(shared, keys).await;
        let after = shared.state.read().revision();
        pause = if after > before {
            PAUSES.0
        } else {
            (pause * 2).min(PAUSES.1)
        };
        if let EtcdError::Compacted(_) = error {
            tracing::warn!(
                store = keys.name,
                after,
                "history went by unheard; all is read anew"
            );
            renew(shared, keys).await;
            continue;
        }
        tracing::debug!(store = keys.name, %error, "another member of etcd is watched");
        keys.cluster.turn();
        tokio::time::sleep(pause).await;
    }
}

/// Hears of changes until something breaks.
async fn hear(shared: &Shared, keys: &Keyspace) -> EtcdError {
    let after = shared.state.read().revision();
    let mut watcher = match keys.cluster.watch(keys.from(after + 1, false)).await {
        Ok(watcher) => watcher,
        Err(error) => return error,
    };
    loop {
        match watcher.next().await {
            // A member that lags behind is no reason to worry, an etcd that does is.
            Ok(batch) if batch.revision < after && went_back(keys, after).await => {
                let words = format!(
                    "it no longer has revision {after}: it was restored from an older backup, or is another one; start this \
                     process again to go on from there"
                );
                shared.fail(StoreError::Refused {
                    store: keys.name.clone(),
                    reason: words.clone(),
                });
                return EtcdError::Refused(words);
            }
            Ok(batch) => take(shared, keys, batch),
            Err(error) => return error,
        }
    }
}

/// Whether a majority of etcd knows no revision as new as one that was heard of.
async fn went_back(keys: &Keyspace, heard: u64) -> bool {
    match keys.author(0).await {
        Ok((newest, _)) => newest < heard,
        Err(StoreError::Refused { .. }) => true,
        Err(_) => false,
    }
}

fn take(shared: &Shared, keys: &Keyspace, batch: Batch) {
    let mut state = shared.state.write();
    for change in batch.changes {
        if change.now.modified() <= state.revision() {
            continue;
        }
        match keys.event(change, |key| state.get(key).cloned()) {
            Some(event) => state.publish(event),
            None => tracing::warn!(store = keys.name, "a change of a key that no store wrote"),
        }
    }
}

/// Reads the state anew, until that succeeds.
async fn renew(shared: &Shared, keys: &Keyspace) {
    loop {
        match load(keys).await {
            Ok(loaded) => {
                let mut state = shared.state.write();
                return state.replace(loaded.revision, loaded.objects);
            }
            Err(error) => {
                tracing::warn!(%error, "the state could not be read; it will be tried again");
                tokio::time::sleep(PAUSES.1).await;
            }
        }
    }
}

/// Shortens the history whenever it is too long, for as long as it is polled. Every process of a store does; whoever comes
/// second finds it done.
pub(super) async fn compact(shared: &Arc<Shared>, history: u64) {
    let Past::Etcd(keys) = &shared.past else {
        return;
    };
    let mut reached = shared.state.read().reached();
    loop {
        let (now, compacted) = {
            let state = shared.state.read();
            (state.revision(), state.compacted())
        };
        if now.saturating_sub(compacted) > history + history / SLACK {
            let next = Instant::now() + COMPACTIONS;
            let target = now - history;
            shared.state.write().compact(target);
            match keys.cluster.compact(target).await {
                Ok(()) | Err(EtcdError::Compacted(_)) => {}
                Err(error) => tracing::warn!(%error, target, "etcd's history was not shortened"),
            }
            tokio::time::sleep_until(next).await;
        }
        if reached.changed().await.is_err() {
            return;
        }
    }
}
