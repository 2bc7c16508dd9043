//! What the writer, the readers and the watches of one store have in common: the cache, where older history is, and
//! whether writing has failed.

use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::engine::{Batch, Engine, EngineError, guard};
use super::error::StoreError;
use super::keyspace::Keyspace;
use super::state::State;

/// One open store.
pub(super) struct Shared {
    pub(super) state: RwLock<State>,
    /// What is not in the cache any more.
    pub(super) past: Past,
    failure: watch::Sender<Option<StoreError>>,
}

/// Where older history is.
pub(super) enum Past {
    /// In a file of this machine.
    Disk(Disk),
    /// In an etcd.
    Etcd(Keyspace),
}

/// The engine of a store of this machine.
pub(super) struct Disk {
    /// None once the store is closed.
    engine: RwLock<Option<Box<dyn Engine>>>,
    directory: PathBuf,
}

impl Shared {
    /// Of a store that was just loaded.
    pub(super) fn new(state: State, past: Past) -> Self {
        Self {
            state: RwLock::new(state),
            past,
            failure: watch::Sender::new(None),
        }
    }

    /// Writing failed: from here on the store only reads.
    pub(super) fn fail(&self, error: StoreError) {
        tracing::error!(%error, "the store failed and only reads");
        self.failure.send_replace(Some(error));
    }

    /// Writes are taken again.
    pub(super) fn mend(&self) {
        tracing::info!("the store has room and takes writes again");
        self.failure.send_replace(None);
    }

    /// The error of every write after a failed one.
    pub(super) fn health(&self) -> Result<(), StoreError> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// An error of a look into the past; what it says of compaction is kept.
    pub(super) fn forgotten(&self, error: StoreError) -> StoreError {
        let StoreError::Compacted { requested, oldest } = error else {
            return error;
        };
        let mut state = self.state.write();
        let newest = state.revision();
        state.compact(oldest.min(newest));
        StoreError::Compacted {
            requested,
            oldest: state.compacted(),
        }
    }

    /// Resolves when writing has failed.
    pub(super) async fn failed(&self) -> StoreError {
        let mut failure = self.failure.subscribe();
        let failed = failure.wait_for(Option::is_some).await;
        failed.map_or(StoreError::Closed, |error| {
            error.clone().unwrap_or(StoreError::Closed)
        })
    }
}

impl Disk {
    /// An engine whose files are in `directory`.
    pub(super) fn new(engine: Box<dyn Engine>, directory: &Path) -> Self {
        Self {
            engine: RwLock::new(Some(engine)),
            directory: directory.to_owned(),
        }
    }

    /// Runs a piece of work on the engine.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, EngineError>,
    ) -> Result<T, StoreError> {
        let engine = self.engine.read();
        let engine = engine.as_deref().ok_or(StoreError::Closed)?;
        guard(|| work(engine)).map_err(|error| refusal(&self.directory, error))
    }

    /// Makes changes durable.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.read(|engine| engine.apply(batch))
    }

    /// Gives the engine's files back, waiting for readers.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let engine = self.engine.write().take();
        engine.map_or(Ok(()), |engine| {
            guard(|| engine.close()).map_err(|error| refusal(&self.directory, error))
        })
    }

    /// Opens the engine anew; who reads the past waits. What the old one could not write is no loss: nobody was told that it
    /// was written. None is open after a failure.
    pub(super) fn reopen<T>(
        &self,
        open: impl FnOnce() -> Result<(Box<dyn Engine>, T), StoreError>,
    ) -> Result<T, StoreError> {
        let mut engine = self.engine.write();
        if let Some(Err(error)) = engine.take().map(|engine| guard(|| engine.close())) {
            tracing::debug!(%error, "the engine that failed was given up");
        }
        let (opened, rest) = open()?;
        *engine = Some(opened);
        Ok(rest)
    }

    /// The error for damage that was found while reading.
    pub(super) fn corrupt(&self, reason: &impl ToString) -> StoreError {
        StoreError::Corrupt {
            directory: self.directory.clone(),
            reason: reason.to_string(),
        }
    }
}

/// What an engine's error means to the store.
pub(super) fn refusal(directory: &Path, error: EngineError) -> StoreError {
    let directory = directory.to_owned();
    match error {
        EngineError::Corrupt(reason) => StoreError::Corrupt { directory, reason },
        error @ EngineError::Panicked(_) => StoreError::Corrupt {
            directory,
            reason: error.to_string(),
        },
        EngineError::NoRoom(reason) => StoreError::NoRoom {
            directory,
            reason: reason.to_owned(),
        },
        EngineError::Io(reason) => StoreError::Unusable {
            action: "read or write",
            path: directory,
            reason,
        },
    }
}
