//! Opening a store in an etcd: makes its keys or reads them, then follows what changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use osier_etcd::{Condition, EtcdError, Operation};
use osier_process::Tasks;

use super::feed::{compact, follow};
use super::write::Remote;
use crate::entry::{Entry, Key};
use crate::error::StoreError;
use crate::keyspace::Keyspace;
use crate::limits::Limits;
use crate::shared::{Past, Shared};
use crate::state::State;

/// The version of the layout.
const FORMAT: &str = "osier store 1 etcd";
/// How often opening is tried while nobody knows whether the keys were made, or compaction overtakes the reading.
const TRIES: usize = 5;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A store that is followed.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) remote: Remote,
}

/// The whole state at one revision.
pub(super) struct Loaded {
    pub(super) revision: u64,
    pub(super) objects: BTreeMap<Key, Entry>,
    /// The revision before which there was no store.
    born: u64,
}

/// Opens the store that an etcd holds, or makes a new one in it. Its tasks are its own, and end when it is closed.
pub(crate) async fn open(
    keys: Keyspace,
    limits: Limits,
    tasks: Tasks,
) -> Result<Opened, StoreError> {
    prepare(&keys).await?;
    let loaded = load(&keys).await?;
    let state = State::new(loaded.revision, loaded.born, loaded.objects);
    let shared = Arc::new(Shared::new(state, Past::Etcd(keys)));
    let stopping = tasks.stopping();
    tasks.spawn("etcd-feed", {
        let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
        async move {
            tokio::select! {
                () = follow(&shared) => {}
                () = stopping.cancelled() => {}
            }
        }
    });
    tasks.spawn("etcd-compaction", {
        let shared = Arc::clone(&shared);
        async move {
            tokio::select! {
                () = compact(&shared, limits.history as u64) => {}
                () = stopping.cancelled() => {}
            }
        }
    });
    let remote = Remote::new(Arc::clone(&shared), limits, tasks);
    Ok(Opened { shared, remote })
}

/// Makes the keys of a new store, and refuses those of another version.
async fn prepare(keys: &Keyspace) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        let format = Bytes::from_static(FORMAT.as_bytes());
        let made = vec![
            keys.signed(&Bytes::from_static(b"new")),
            Operation::Put(keys.format(), format),
        ];
        let absent = vec![Condition::Absent(keys.newest())];
        let look = vec![Operation::Get(keys.format())];
        match keys.cluster.transact(absent, made, look).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(found)) => {
                let found = found.into_iter().flatten().next();
                let found = found.map(|one| one.value).unwrap_or_default();
                return if found == FORMAT.as_bytes() {
                    Ok(())
                } else {
                    Err(other(keys, &found))
                };
            }
            Err(error) if error.passes() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(keys.refusal(error, 0)),
        }
    }
}

/// Reads the newest state whole.
pub(super) async fn load(keys: &Keyspace) -> Result<Loaded, StoreError> {
    let mut tries = 0;
    loop {
        match read(keys).await {
            Err(StoreError::Compacted { .. }) if tries < TRIES => tries += 1,
            read => return read,
        }
    }
}

async fn read(keys: &Keyspace) -> Result<Loaded, StoreError> {
    let (revision, entries) = keys.objects_at("", 0).await?;
    let asked = osier_etcd::Range {
        revision,
        ..osier_etcd::Range::of(keys.newest())
    };
    let newest = keys.cluster.get(asked).await;
    let newest = newest.map_err(|error: EtcdError| keys.refusal(error, revision))?;
    let newest = newest.ok_or_else(|| keys.broken("its keys are gone"))?;
    let objects = entries.into_iter().map(|entry| (entry.key.clone(), entry));
    Ok(Loaded {
        revision: newest.modified(),
        born: newest.created(),
        objects: objects.collect(),
    })
}

fn other(keys: &Keyspace, found: &[u8]) -> StoreError {
    StoreError::OtherFormat {
        directory: keys.name.clone().into(),
        found: String::from_utf8_lossy(found).into_owned(),
        asked: FORMAT.to_owned(),
    }
}
