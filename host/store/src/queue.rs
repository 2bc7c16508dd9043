//! Where writes wait for the writer: bounded by count and by bytes, so that callers wait instead of memory growing.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use std::sync::Arc;

use super::entry::{Expect, Key};
use super::error::StoreError;
use super::limits::{GROUP, GROUP_BYTES, WAITING, WAITING_KIB};

/// A write that waits.
pub(super) struct Request {
    pub(super) key: Key,
    /// None deletes.
    pub(super) value: Option<Bytes>,
    pub(super) expect: Expect,
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// What the writer found.
pub(super) enum Taken {
    /// Writes for one commit.
    Group(Vec<Request>),
    /// Nothing came in time.
    Idle,
    /// Nothing will come any more.
    Closed,
}

/// The writes that wait.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    closed: bool,
}

/// What one write takes of the queue's room besides its bytes: so that `WAITING` small ones fill it.
const SHARE: usize = WAITING_KIB / WAITING;

impl Queue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(WAITING_KIB));
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            room,
        }
    }

    /// Waits for room, then for the writer's answer.
    pub(super) async fn submit(
        &self,
        key: Key,
        value: Option<Bytes>,
        expect: Expect,
    ) -> Result<u64, StoreError> {
        let share = SHARE + value.as_ref().map_or(0, |value| value.len() >> 10);
        let share = u32::try_from(share.min(WAITING_KIB)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(share)
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.push(Request {
            key,
            value,
            expect,
            answer,
            _room: room,
        })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    fn push(&self, request: Request) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        waiting.requests.push_back(request);
        self.arrived.notify_one();
        Ok(())
    }

    /// Blocks for the first write, then takes what is there: while one commit is on its way to the disk, the next one fills
    /// by itself, so there is nothing to linger for.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken {
        let mut waiting = self.waiting.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return Taken::Closed;
            }
            match patience {
                None => self.arrived.wait(&mut waiting),
                Some(patience) => {
                    if self.arrived.wait_for(&mut waiting, patience).timed_out()
                        && waiting.requests.is_empty()
                    {
                        return Taken::Idle;
                    }
                }
            }
        }
        Taken::Group(waiting.group())
    }

    /// Takes no more writes. Those that wait are still made.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }
}

impl Waiting {
    fn group(&mut self) -> Vec<Request> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Some(request) = self.requests.pop_front() else {
                break;
            };
            bytes += request.value.as_ref().map_or(0, Bytes::len);
            group.push(request);
        }
        group
    }
}
