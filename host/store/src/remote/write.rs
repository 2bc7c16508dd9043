//! Writing to an etcd: one transaction a write, which demands what the write expects.
//!
//! When etcd breaks off, the transaction may have been made or not. It is made again: what it demands keeps it from being
//! made twice. If it is then refused, the changes of the object since the write began are looked through for one that is
//! signed by this very write. So a member may die in the middle of a write, and the write is answered as what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use osier_etcd::{Condition, EtcdError, KeyValue, Operation, Range};
use osier_process::Tasks;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::entry::{Entry, Expect, Key};
use crate::error::StoreError;
use crate::keyspace::Keyspace;
use crate::limits::{Limits, WAITING, WAITING_KIB};
use crate::replay::replay;
use crate::shared::{Past, Shared};

/// A write that is not decided after this long is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before a write is made again.
const PAUSE: Duration = Duration::from_millis(50);
/// The cache hears of a revision within this time; a member that is silent is noticed after ten seconds.
const HEARD: Duration = Duration::from_secs(15);
/// What one write takes of the room besides its bytes.
const SHARE: usize = WAITING_KIB / WAITING;
/// How long closing waits for what is under way.
const CLOSING: Duration = Duration::from_secs(5);

/// The writing side of a store in an etcd.
pub(crate) struct Remote {
    shared: Arc<Shared>,
    limits: Limits,
    tasks: Tasks,
    room: Semaphore,
    /// By how much writes under way make the state grow.
    growing: AtomicUsize,
    /// Names this process in what it signs.
    process: u128,
    writes: AtomicU64,
    /// Everybody who wants to know the newest revision, ever.
    arrivals: AtomicU64,
    asked: Mutex<Asked>,
}

/// The newest revision as it was found, or not, by a question that began after so many arrivals.
struct Asked {
    arrivals: u64,
    newest: Result<u64, StoreError>,
}

/// A place in the order of the writes under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    name: String,
    /// Of the newest such write; 0 where there was none.
    revision: u64,
}

/// One write.
struct Write<'a> {
    key: &'a Key,
    /// None deletes.
    value: Option<&'a Bytes>,
    expect: Expect,
    guards: &'a [Guard],
    author: Bytes,
    /// Its change, if it was made, is later than this.
    after: u64,
}

/// What a write adds to the state, until the state shows it.
struct Growth<'a>(&'a AtomicUsize, usize);

impl Drop for Growth<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

impl Remote {
    /// Writes to the etcd of this store.
    pub(super) fn new(shared: Arc<Shared>, limits: Limits, tasks: Tasks) -> Self {
        Self {
            shared,
            limits,
            tasks,
            room: Semaphore::new(WAITING_KIB),
            growing: AtomicUsize::new(0),
            process: rand::random(),
            writes: AtomicU64::new(0),
            arrivals: AtomicU64::new(0),
            asked: Mutex::new(Asked {
                arrivals: 0,
                newest: Ok(0),
            }),
        }
    }

    fn keys(&self) -> Result<&Keyspace, StoreError> {
        match &self.shared.past {
            Past::Etcd(keys) if !self.tasks.stopping().is_cancelled() => Ok(keys),
            _ => Err(StoreError::Closed),
        }
    }

    /// Makes a write and waits until the cache shows it.
    pub(crate) async fn submit(
        &self,
        (key, value): (Key, Option<Bytes>),
        expect: Expect,
        guards: &[Guard],
    ) -> Result<u64, StoreError> {
        let keys = self.keys()?;
        let share = SHARE + value.as_ref().map_or(0, |value| value.len() >> 10);
        let share = u32::try_from(share.min(WAITING_KIB)).unwrap_or(u32::MAX);
        let room = self.room.acquire_many(share).await;
        let _room = room.map_err(|_| StoreError::Closed)?;
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let (after, _growth) = self.account(&key, value.as_ref())?;
        let write = Write {
            key: &key,
            value: value.as_ref(),
            expect,
            guards,
            author: Bytes::from(format!("{:032x}/{number}", self.process)),
            after,
        };
        let decided = self.decide(keys, &write).await;
        if let Ok(revision) = decided {
            // Late news are no failure of the write.
            let _late = self.reach(revision).await;
        }
        decided
    }

    /// Refuses growth over the bound of the store, as far as it is known here; answers with the revision of that knowledge.
    fn account(&self, key: &Key, value: Option<&Bytes>) -> Result<(u64, Growth<'_>), StoreError> {
        let state = self.shared.state.read();
        let old = state.get(key).map_or(0, Entry::weight);
        let new = value.map_or(0, |value| Entry::weight_of(key, value));
        let more = new.saturating_sub(old);
        let growth = Growth(&self.growing, more);
        let bytes = state.bytes() + self.growing.fetch_add(more, Ordering::SeqCst);
        if more > 0 && bytes + more > self.limits.objects {
            return Err(StoreError::Full {
                bytes,
                limit: self.limits.objects,
            });
        }
        Ok((state.revision(), growth))
    }

    async fn decide(&self, keys: &Keyspace, write: &Write<'_>) -> Result<u64, StoreError> {
        let end = Instant::now() + PATIENCE;
        let mut doubt = false;
        loop {
            let (conditions, changes, look) = write.transaction(keys);
            match keys.cluster.transact(conditions, changes, look).await {
                Ok(Ok(revision)) => return Ok(revision),
                Ok(Err(found)) => {
                    if doubt && let Some(made) = self.made(keys, write).await? {
                        return Ok(made);
                    }
                    return Err(self.lost(write, found).await);
                }
                Err(error) if error.passes() && Instant::now() < end => {
                    doubt |= matches!(error, EtcdError::Unanswered(_));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(EtcdError::TooLarge) => {
                    let bytes = write.value.map_or(0, Bytes::len);
                    return Err(StoreError::TooLarge {
                        key: write.key.to_string(),
                        bytes,
                        limit: bytes.saturating_sub(1),
                    });
                }
                Err(error) => return Err(keys.refusal(error, 0)),
            }
        }
    }

    /// The revision of this write, if one of the changes of its object is this write's.
    async fn made(&self, keys: &Keyspace, write: &Write<'_>) -> Result<Option<u64>, StoreError> {
        self.catch_up().await?;
        let (prefix, now) = (Arc::from(&**write.key), self.shared.state.read().revision());
        let mut reached = write.after;
        while reached < now {
            let page = replay(&self.shared, &prefix, reached, now).await?;
            for event in page.events.iter().filter(|event| event.key == *write.key) {
                if keys.author(event.revision).await?.1 == write.author {
                    return Ok(Some(event.revision));
                }
            }
            reached = page.reached;
        }
        Ok(None)
    }

    /// The refusal of a write whose object is not as it expected, once the cache shows how it is.
    async fn lost(&self, write: &Write<'_>, found: Vec<Option<KeyValue>>) -> StoreError {
        let mut found = found.into_iter();
        let (object, newest) = (found.next().flatten(), found.next().flatten());
        if let Some(newest) = newest {
            let _late = self.reach(newest.modified()).await;
        }
        let key = write.key.to_string();
        let current = object.as_ref().map(KeyValue::modified);
        match (current, write.expect) {
            (None, Expect::Absent | Expect::Any) if write.value.is_some() => {
                StoreError::Overtaken { key }
            }
            (None, _) => StoreError::NotFound { key },
            (Some(_), Expect::Absent) => StoreError::AlreadyExists { key },
            (Some(current), Expect::Revision(expected)) if current != expected => {
                StoreError::Conflict { key, current }
            }
            (Some(_), _) => StoreError::Overtaken { key },
        }
    }

    /// Takes a guard: the cache holds everything that was written under its name so far.
    pub(crate) async fn guard(&self, name: &str) -> Result<Guard, StoreError> {
        let keys = self.keys()?;
        let found = keys.cluster.get(Range::of(keys.guard(name))).await;
        let found = found.map_err(|error| keys.refusal(error, 0))?;
        let revision = found.map_or(0, |found| found.modified());
        self.reach(revision).await?;
        Ok(Guard {
            name: name.to_owned(),
            revision,
        })
    }

    /// Waits until the cache holds everything that was acknowledged before this call, by whichever process.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        let keys = self.keys()?;
        let arrival = self.arrivals.fetch_add(1, Ordering::SeqCst) + 1;
        let newest = {
            // One asks for all who wait meanwhile; a question that fails fails for all of them, or each would wait in turn.
            let mut asked = self.asked.lock().await;
            if asked.arrivals < arrival {
                let arrivals = self.arrivals.load(Ordering::SeqCst);
                let newest = keys.author(0).await.map(|(newest, _)| newest);
                *asked = Asked { arrivals, newest };
            }
            asked.newest.clone()?
        };
        self.reach(newest).await
    }

    async fn reach(&self, revision: u64) -> Result<(), StoreError> {
        let mut reached = self.shared.state.read().reached();
        let reached = reached.wait_for(|now| *now >= revision);
        match tokio::time::timeout(HEARD, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Unreachable {
                store: self.keys()?.name.clone(),
                reason: format!(
                    "revision {revision} was not heard of within {} s",
                    HEARD.as_secs()
                ),
            }),
        }
    }

    /// Ends watches and connections.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.room.close();
        self.shared.state.write().close();
        if let Err(stuck) = self.tasks.drained(CLOSING).await {
            tracing::warn!(%stuck, "the store closed before its tasks ended");
        }
        self.shared.health()
    }

    /// The same without waiting.
    pub(crate) fn stop(&self) {
        self.tasks.stop();
    }
}

impl Write<'_> {
    /// What must hold, what is changed if it does, and what is looked at if not.
    fn transaction(&self, keys: &Keyspace) -> (Vec<Condition>, Vec<Operation>, Vec<Operation>) {
        let object = keys.objects(self.key);
        // Every change that is made changes the object: a deletion demands that it is there, whatever else it expects.
        let present = self
            .value
            .is_none()
            .then(|| Condition::Present(object.clone()));
        let expected = match self.expect {
            Expect::Absent => Some(Condition::Absent(object.clone())),
            Expect::Revision(revision) => Some(Condition::Modified(object.clone(), revision)),
            Expect::Any => None,
        };
        let change = match self.value {
            Some(value) => Operation::Put(object.clone(), value.clone()),
            None => Operation::Delete(object.clone()),
        };
        let look = vec![Operation::Get(object), Operation::Get(keys.newest())];
        let mut changes = vec![change, keys.signed(&self.author)];
        let mut conditions: Vec<Condition> = expected.into_iter().chain(present).collect();
        for guard in self.guards {
            let key = keys.guard(&guard.name);
            conditions.push(match guard.revision {
                0 => Condition::Absent(key.clone()),
                revision => Condition::Modified(key.clone(), revision),
            });
            changes.push(Operation::Put(key, self.author.clone()));
        }
        (conditions, changes, look)
    }
}
