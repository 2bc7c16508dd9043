//! Instances of one plugin: a bounded set of idle ones that callers take without waiting for each other.
//!
//! Each slot has its own lock, which is only ever tried: a caller that finds a slot busy looks at the next. Callers start at a slot of their
//! own thread, so that a thread tends to meet its instance again, with warm caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use osier_engine::CallError;
use osier_engine::plugin::{FunctionHandle, PluginInstance, PreparedPlugin, Val};
use parking_lot::Mutex;

/// Configuring is not on a request's path and may parse much.
const CONFIGURE_DEADLINE: Duration = Duration::from_secs(2);
/// Trees kept by one instance; more bindings than this share places.
const MAX_TREES: usize = 64;

/// Why there is no instance.
#[derive(Debug)]
pub(crate) enum NoInstance {
    /// All are busy.
    Busy,
    /// A new one could not be made.
    Call(CallError),
    /// A new one refused its configuration.
    Refused(String),
}

/// One configured instance with the argument trees of the bindings that called it.
pub(crate) struct Instance {
    pub(crate) guest: PluginInstance,
    trees: Vec<(u64, Vec<Val>)>,
    pub(crate) results: [Val; 1],
}

impl Instance {
    /// The arguments of a binding, kept from its last call.
    pub(crate) fn take_tree(&mut self, binding: u64) -> Vec<Val> {
        match self.trees.iter_mut().find(|(own, _)| *own == binding) {
            Some((_, tree)) => std::mem::take(tree),
            None => Vec::new(),
        }
    }

    /// Keeps the arguments for the next call.
    pub(crate) fn keep_tree(&mut self, binding: u64, tree: Vec<Val>) {
        if let Some(place) = self.trees.iter_mut().find(|(own, _)| *own == binding) {
            place.1 = tree;
            return;
        }
        if self.trees.len() == MAX_TREES {
            self.trees.remove(0);
        }
        self.trees.push((binding, tree));
    }
}

/// A place for an idle instance.
#[derive(Default)]
struct Slot {
    idle: Mutex<Option<Box<Instance>>>,
    /// Linear memory of the idle instance in bytes. Beside the lock: who reads it must not make a caller find the slot busy.
    memory: AtomicU64,
}

/// The instances of one plugin.
pub(crate) struct Pool {
    prepared: PreparedPlugin,
    configure: Option<FunctionHandle>,
    config: [Val; 1],
    slots: Box<[Slot]>,
    live: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(
        prepared: PreparedPlugin,
        configure: Option<FunctionHandle>,
        config: String,
        instances: usize,
    ) -> Self {
        Self {
            prepared,
            configure,
            config: [Val::String(config)],
            slots: (0..instances).map(|_| Slot::default()).collect(),
            live: AtomicUsize::new(0),
        }
    }

    /// Instances that exist, idle or busy.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Bytes of linear memory that idle instances hold.
    pub(crate) fn memory(&self) -> u64 {
        let each = self.slots.iter();
        each.map(|slot| slot.memory.load(Ordering::Relaxed)).sum()
    }

    /// An idle instance, or a new one while there may be more.
    pub(crate) fn take(&self) -> Result<Box<Instance>, NoInstance> {
        let start = home();
        for turn in 0..self.slots.len() {
            let slot = &self.slots[(start + turn) % self.slots.len()];
            if let Some(mut idle) = slot.idle.try_lock()
                && let Some(instance) = idle.take()
            {
                slot.memory.store(0, Ordering::Relaxed);
                return Ok(instance);
            }
        }
        self.grow()
    }

    /// Gives a healthy instance back.
    pub(crate) fn give(&self, mut instance: Box<Instance>) {
        let start = home();
        // There is a free slot for every live instance; a second round meets locks that are held for a few instructions.
        for turn in 0..self.slots.len() * 2 {
            let slot = &self.slots[(start + turn) % self.slots.len()];
            if let Some(mut idle) = slot.idle.try_lock()
                && idle.is_none()
            {
                slot.memory
                    .store(instance.guest.memory(), Ordering::Relaxed);
                *idle = Some(instance);
                return;
            }
        }
        for slot in &self.slots {
            let mut idle = slot.idle.lock();
            slot.memory
                .store(instance.guest.memory(), Ordering::Relaxed);
            match idle.replace(instance) {
                None => return,
                Some(other) => instance = other,
            }
        }
        self.lost();
    }

    /// An instance was dropped.
    pub(crate) fn lost(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Makes an instance for later, if there is room.
    pub(crate) fn refill(&self) {
        if let Ok(instance) = self.grow() {
            self.give(instance);
        }
    }

    fn grow(&self) -> Result<Box<Instance>, NoInstance> {
        let most = self.slots.len();
        let room = self
            .live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| {
                (live < most).then_some(live + 1)
            });
        if room.is_err() {
            return Err(NoInstance::Busy);
        }
        self.make().inspect_err(|_| self.lost())
    }

    fn make(&self) -> Result<Box<Instance>, NoInstance> {
        let mut guest = self.prepared.instantiate().map_err(|error| match error {
            CallError::Overloaded => NoInstance::Busy,
            other => NoInstance::Call(other),
        })?;
        if let Some(configure) = self.configure {
            let mut results = [Val::Bool(false)];
            guest
                .call_within(CONFIGURE_DEADLINE, configure, &self.config, &mut results)
                .map_err(NoInstance::Call)?;
            if let [Val::Result(Err(reason))] = results {
                let reason = match reason.map(|reason| *reason) {
                    Some(Val::String(reason)) => reason,
                    _ => "the plugin refuses its configuration".to_owned(),
                };
                return Err(NoInstance::Refused(reason));
            }
        }
        Ok(Box::new(Instance {
            guest,
            trees: Vec::new(),
            results: [Val::Bool(false)],
        }))
    }
}

/// Where a thread starts to look.
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HOME.with(|home| *home)
}

/// Makes an instance on a worker thread, so that the next caller finds one.
pub(crate) fn refill_later(pool: &Arc<Pool>, tasks: &osier_process::Tasks) {
    if tokio::runtime::Handle::try_current().is_ok() {
        let pool = pool.clone();
        tasks.spawn_blocking("plugin-refill", move || pool.refill());
    }
}
