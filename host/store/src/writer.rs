//! The one thread that writes. It owns the revision: it takes the writes that wait, makes them one commit together with a
//! little compaction, waits for the disk, and only then publishes and answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::compaction::History;
use super::directory::Directory;
use super::engine::Batch;
use super::error::StoreError;
use super::group::{Commit, Group};
use super::layout::{Progress, progress_key};
use super::limits::{COMPACT_IDLE, COMPACT_PER_WRITE, Limits};
use super::queue::{Queue, Request, Taken};
use super::shared::{Disk, Past, Shared};

/// How long the store must be idle before it compacts on its own account.
const IDLE: Duration = Duration::from_millis(20);

/// How closing went, once it is done.
pub(super) type Outcome = watch::Sender<Option<Result<(), StoreError>>>;

/// The state of the writing thread.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    pub(super) directory: Directory,
    pub(super) history: History,
    pub(super) limits: Limits,
}

impl Writer {
    /// Writes until the queue is closed, then closes the store.
    pub(super) fn run(mut self, outcome: &Outcome) {
        loop {
            let idle = self.history.is_long() && self.shared.health().is_ok();
            match self.queue.take(idle.then_some(IDLE)) {
                Taken::Group(requests) => self.write(requests),
                Taken::Idle => self.compact(),
                Taken::Closed => break,
            }
        }
        let closed = self.close();
        // The lock goes with the directory: whoever is told may open the store again at once.
        drop(self);
        outcome.send_replace(Some(closed));
    }

    fn write(&mut self, requests: Vec<Request>) {
        if let Err(failed) = self.shared.health() {
            for request in requests {
                // A client that went away needs no answer.
                let _ = request.answer.send(Err(failed.clone()));
            }
            return;
        }
        let commit = {
            let state = self.shared.state.read();
            let mut group = Group::new(&state, &mut self.history, self.limits.objects);
            requests.into_iter().for_each(|request| group.add(request));
            group.finish()
        };
        let steps = commit.events.len() * COMPACT_PER_WRITE;
        self.commit(commit, steps);
    }

    fn compact(&mut self) {
        self.commit(
            Commit {
                batch: Batch::default(),
                events: Vec::new(),
                answers: Vec::new(),
            },
            COMPACT_IDLE,
        );
    }

    /// Makes a commit durable, then known.
    fn commit(&mut self, commit: Commit, compact: usize) {
        let Commit {
            batch,
            events,
            answers,
        } = commit;
        let made = self.make(batch, events.last().map(|event| event.revision), compact);
        if made.is_ok() {
            let mut state = self.shared.state.write();
            events.into_iter().for_each(|event| state.publish(event));
        }
        for (answer, result) in answers {
            let _ = answer.send(made.clone().and(result));
        }
    }

    /// Any failure here ends all writing: what the kernel did not write it may have dropped, so a second try that succeeds
    /// would prove nothing.
    fn make(
        &mut self,
        mut batch: Batch,
        last: Option<u64>,
        compact: usize,
    ) -> Result<(), StoreError> {
        let published = self.shared.state.read().revision();
        self.history.compact(compact, published, &mut batch);
        let progress = Progress {
            revision: last.unwrap_or(published),
            compacted: self.history.compacted(),
        };
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.state.write().compact(progress.compacted);
        batch.put(progress_key(), progress.encode());
        let made = self.disk().and_then(|disk| disk.apply(batch));
        let made = made.map_err(|error| error.to_string());
        let noted = made.and_then(|()| {
            let noted = self.directory.acknowledge(progress.revision);
            noted.map_err(|error| format!("the file acknowledged could not be written: {error}"))
        });
        noted.map_err(|reason| {
            self.shared.fail(&reason);
            StoreError::Failed { reason }
        })
    }

    fn close(&self) -> Result<(), StoreError> {
        self.shared.state.write().close();
        let closed = self.disk().and_then(Disk::close);
        if let Err(error) = self.directory.sync() {
            tracing::warn!(%error, "the last acknowledged revision could not be synced");
        }
        self.shared.health().and(closed)
    }

    /// Only a store of this machine has a writer.
    fn disk(&self) -> Result<&Disk, StoreError> {
        match &self.shared.past {
            Past::Disk(disk) => Ok(disk),
            Past::Etcd(_) => Err(StoreError::Closed),
        }
    }
}
