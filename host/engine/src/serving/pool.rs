//! The instances of one container: who may have one, who waits, what is kept warm.

use super::instance::Instance;
use crate::engine::Core;
use crate::guest::{self, Guest, Ledger};
use crate::reaper::{Kept, Warm};
use crate::{CallError, Container, Usage, imports};
use osier_process::CancellationToken;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// One of the container's `max_instances`.
pub(super) type Slot = OwnedSemaphorePermit;

pub(super) struct Pool {
    pub(super) core: Arc<Core>,
    pub(super) pre: ProxyPre<Guest>,
    pub(super) container: Container,
    pub(super) ledger: Arc<Ledger>,
    /// Cancelled when the grace is over: whoever still runs must end.
    pub(super) ended: CancellationToken,
    slots: Arc<Semaphore>,
    most: u32,
    waiting: AtomicU32,
    /// Instances between two requests, the warmest last. Never more than there are slots.
    idle: Mutex<Vec<Idle>>,
    stopping: AtomicBool,
}

/// An instance between two requests.
struct Idle {
    instance: Instance,
    since: Instant,
    _kept: Kept,
}

impl Pool {
    pub(super) fn new(core: Arc<Core>, pre: ProxyPre<Guest>, container: Container) -> Self {
        let most = fitting(
            &container,
            imports::initial_memory(pre.instance_pre().component()),
        );
        Self {
            core,
            pre,
            ledger: Ledger::of(&container),
            container,
            ended: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(most as usize)),
            most,
            waiting: AtomicU32::new(0),
            idle: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Waits for a slot, in order of arrival and no longer than the request may take.
    pub(super) async fn slot(&self) -> Result<Slot, CallError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(CallError::Stopped);
        }
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Ok(slot);
        }
        let _waiting = Waiting::enter(&self.waiting, self.container.max_queued)?;
        match tokio::time::timeout(
            self.container.request_deadline,
            self.slots.clone().acquire_owned(),
        )
        .await
        {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_closed)) => Err(CallError::Stopped),
            Err(_late) => Err(CallError::Overloaded),
        }
    }

    /// An instance for the holder of a slot: a warm one, or one that is instantiated when it is first used.
    pub(super) fn instance(&self) -> Result<Instance, CallError> {
        let warm = self.idle.lock().pop();
        if let Some(Idle { instance, .. }) = warm {
            return Ok(instance);
        }
        let side = &self.core.workloads;
        let made = guest::store(&side.engine, &side.clock, &self.container, &self.ledger);
        let (store, slice) = made.map_err(|error| CallError::Trap {
            reason: error.to_string(),
            backtrace: String::new(),
        })?;
        Ok(Instance::new(store, slice))
    }

    /// Keeps an instance for the next request, unless it has served its share.
    pub(super) fn give_back(&self, instance: Instance) {
        let worn = instance.served() >= self.container.max_requests_per_instance.max(1);
        if !worn && !self.stopping.load(Ordering::Acquire) {
            let idle = Idle {
                instance,
                since: Instant::now(),
                _kept: self.core.reaper().keep(),
            };
            self.idle.lock().push(idle);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.ledger.usage()
    }

    pub(super) async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        // All slots at once: the queue is in order, so this comes after everybody who was let in.
        let _all = tokio::time::timeout(grace, self.slots.acquire_many(self.most)).await;
        self.slots.close();
        self.ended.cancel();
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }
}

/// As many instances as the container wants and as its memory can hold at least in their first state: more would only
/// run out of memory when they are made.
fn fitting(container: &Container, initial_memory: u64) -> u32 {
    let by_memory = container
        .memory_limit
        .checked_div(initial_memory)
        .unwrap_or(u64::MAX);
    container
        .max_instances
        .min(u32::try_from(by_memory).unwrap_or(u32::MAX))
        .max(1)
}

impl Warm for Pool {
    fn cool(&self, idle: Duration) {
        let cold: Vec<_> = {
            let mut kept = self.idle.lock();
            // The longest idle come first, because the warmest are taken from the end.
            let cold = kept
                .iter()
                .take_while(|kept| kept.since.elapsed() > idle)
                .count();
            let cold = kept.drain(..cold).collect();
            if kept.is_empty() {
                kept.shrink_to_fit();
            }
            cold
        };
        drop(cold);
    }

    fn idle(&self, since: &mut Vec<Instant>) {
        since.extend(self.idle.lock().iter().map(|kept| kept.since));
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU32, most: u32) -> Result<Self, CallError> {
        let one_more = |waiting: u32| (waiting < most).then_some(waiting + 1);
        match count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Self(count)),
            Err(_) => Err(CallError::Overloaded),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
