//! The one thread that writes. It owns the revision: it takes the writes that wait, makes them one commit together with a
//! little compaction, waits for the disk, and only then publishes and answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::compaction::History;
use super::directory::{Directory, unusable};
use super::engine::{Batch, no_room};
use super::error::StoreError;
use super::group::{Commit, Group};
use super::layout::{Damage, Progress, progress_key};
use super::limits::{COMPACT_IDLE, COMPACT_PER_WRITE, Limits, ROOM};
use super::load::load;
use super::queue::{Queue, Request, Taken};
use super::shared::{Disk, Past, Shared, refusal};
use super::state::State;

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
    /// When it last looked whether there is room again.
    pub(super) looked: Instant,
}

impl Writer {
    /// Writes until the queue is closed, then closes the store.
    pub(super) fn run(mut self, outcome: &Outcome) {
        loop {
            let duty = self.duty();
            match self.queue.take(duty.patience(self.limits.retry)) {
                Taken::Group(requests) => {
                    // Writes may come faster than it would ever be idle.
                    if duty == Duty::Recover && self.looked.elapsed() >= self.limits.retry {
                        self.recover();
                    }
                    self.write(requests);
                }
                Taken::Idle if duty == Duty::Recover => self.recover(),
                Taken::Idle => self.compact(),
                Taken::Closed => break,
            }
        }
        let closed = self.close();
        // The lock goes with the directory: whoever is told may open the store again at once.
        drop(self);
        outcome.send_replace(Some(closed));
    }

    fn duty(&self) -> Duty {
        match self.shared.health() {
            Ok(()) if self.history.is_long() => Duty::Compact,
            Err(StoreError::NoRoom { .. }) => Duty::Recover,
            _ => Duty::Rest,
        }
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

    /// Any failure here ends all writing with this engine: what the kernel did not write it may have dropped, so a second try
    /// that succeeds would prove nothing.
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
        let made = made.map_err(failure);
        let noted = made.and_then(|()| self.note(progress.revision));
        noted.inspect_err(|error| self.shared.fail(error.clone()))
    }

    fn note(&self, revision: u64) -> Result<(), StoreError> {
        self.directory.acknowledge(revision).map_err(|error| {
            let path = self.directory.path();
            match no_room(error.kind()) {
                Some(_) => refusal(path, error.into()),
                None => failure(unusable("write the file acknowledged in", path, &error)),
            }
        })
    }

    /// Once there is room, reads what the disk holds as a restart would, and writes on from there.
    fn recover(&mut self) {
        self.looked = Instant::now();
        if self.directory.room().is_ok_and(|room| room < ROOM) {
            return;
        }
        match self.reopen() {
            Ok(()) => self.shared.mend(),
            Err(StoreError::NoRoom { .. }) => {}
            Err(error) => self.shared.fail(failure(error)),
        }
    }

    /// Takes what the disk holds for what is stored, if it is no less than what was acknowledged. It may be more: of a write that
    /// failed nobody knows what became.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let published = self.shared.state.read().revision();
        let (directory, limits) = (&self.directory, self.limits);
        let (state, history) = self.disk()?.reopen(|| {
            let settled = directory.settle();
            settled.map_err(|error| refusal(directory.path(), error.into()))?;
            let loaded = load(directory, directory.kind(), limits)?;
            reaches(&loaded.state, published, directory)?;
            Ok((loaded.engine, (loaded.state, loaded.history)))
        })?;
        self.history = history;
        if state.revision() != published {
            self.shared.state.write().become_of(state);
        }
        Ok(())
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

/// What the writer has to do while nobody writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// Nothing.
    Rest,
    /// Shorten the history.
    Compact,
    /// Look whether there is room again.
    Recover,
}

impl Duty {
    /// How long it waits for a write before it does that.
    fn patience(self, retry: Duration) -> Option<Duration> {
        match self {
            Self::Rest => None,
            Self::Compact => Some(IDLE),
            Self::Recover => Some(retry),
        }
    }
}

/// A failure after which the store writes no more, unless all that is missing is room.
fn failure(error: StoreError) -> StoreError {
    match error {
        StoreError::NoRoom { .. } | StoreError::Failed { .. } => error,
        error => StoreError::Failed {
            reason: error.to_string(),
        },
    }
}

/// Refuses a state that is older than what is known.
fn reaches(state: &State, published: u64, directory: &Directory) -> Result<(), StoreError> {
    let found = state.revision();
    if found >= published {
        return Ok(());
    }
    let damage = Damage::Behind {
        found,
        acknowledged: published,
    };
    Err(refusal(directory.path(), damage.into()))
}
