//! The host's part of one workload instance: its WASI context, its limits, its share of the processor.

use crate::container::Container;
use crate::memory::{Budget, Meter};
use crate::network::Hooks;
use crate::quota::Quota;
use crate::stdio::{self, Complaints, Console};
use crate::ticker::Clock;
use osier_capabilities::Grants;
use osier_sockets::Network;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Bytes that one call from the guest may make the host copy.
const HOSTCALL_BYTES: usize = 16 << 20;
/// Resources (streams, headers, requests) that one instance may hold.
const RESOURCES: usize = 10_000;
/// Longest slice in ticks, so that a mistaken share cannot hold a worker for long.
const LONGEST_SLICE: u32 = 100;

/// What the instances of one container have in common besides their [`Container`].
pub(crate) struct Ledger {
    pub(crate) memory: Arc<Budget>,
    pub(crate) instances: AtomicU32,
    pub(crate) requests: AtomicU64,
    pub(crate) traps: AtomicU64,
    cpu: AtomicU64,
    quota: Option<Quota>,
}

/// To whom memory and processor time are accounted: a container with all that runs beside it.
#[derive(Clone)]
pub struct Account(pub(crate) Arc<Ledger>);

impl Ledger {
    pub(crate) fn of(container: &Container) -> Arc<Self> {
        let quota = |millis| Quota::new(millis, Instant::now());
        Arc::new(Self {
            memory: Budget::new(container.memory_limit),
            instances: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            traps: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            quota: container.cpu_limit.map(quota),
        })
    }

    pub(crate) fn add_cpu(&self, time: Duration) {
        self.cpu.fetch_add(
            u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        if let Some(quota) = &self.quota {
            quota.spend(time);
        }
    }

    /// How long guests are to rest, because they have had all the processor time that they may have.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.quota.as_ref()?.wait(Instant::now())
    }

    pub(crate) fn usage(&self) -> crate::Usage {
        crate::Usage {
            cpu: Duration::from_nanos(self.cpu.load(Ordering::Relaxed)),
            memory: self.memory.used(),
            instances: self.instances.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            traps: self.traps.load(Ordering::Relaxed),
        }
    }
}

/// The slice of processor time that a guest is in.
pub(crate) struct Slice {
    clock: Clock,
    share: u64,
    begun: AtomicU64,
    /// Whether the slice was used up: the guest did not stop by itself.
    exhausted: AtomicBool,
}

impl Slice {
    /// A guest is about to run: its slice begins.
    pub(crate) fn begin(&self) {
        self.begun.store(self.clock.ticks(), Ordering::Relaxed);
        self.exhausted.store(false, Ordering::Relaxed);
    }

    /// Whether the guest was stopped at the end of its slice, not by waiting for something.
    pub(crate) fn exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asked whenever the epoch passed the guest's deadline. That happens also to a guest that has just woken from a long
    /// wait, so what counts is the time since it began to run, not since it was asked last.
    fn on_deadline(&self) -> UpdateDeadline {
        let ran = self
            .clock
            .ticks()
            .saturating_sub(self.begun.load(Ordering::Relaxed));
        match self.share.checked_sub(ran) {
            Some(left) if left > 0 => UpdateDeadline::Continue(left),
            // Not a plain yield: that may come back first through the scheduler's fast lane and starve everybody else.
            _ => {
                self.exhausted.store(true, Ordering::Relaxed);
                UpdateDeadline::YieldCustom(self.share, Box::pin(tokio::task::yield_now()))
            }
        }
    }
}

/// Data of a workload's store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub(crate) table: ResourceTable,
    /// The network of its pod.
    pub(crate) network: Option<Arc<Network>>,
    pub(crate) grants: Arc<Grants>,
    complaints: Complaints,
    pub(crate) memory: Meter,
    ledger: Arc<Ledger>,
}

impl Guest {
    /// Writes to the guest's standard error.
    pub(crate) fn write_error(&self, bytes: &[u8]) {
        self.complaints.write(bytes);
    }

    /// Says on the guest's standard error why it was not given what it asked for: codes of WASI have no words.
    pub(crate) fn complain(&mut self, words: &str) {
        self.complaints.say(words);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.ledger.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// A store for one instance of `container`.
///
/// # Errors
/// If a directory that it mounts cannot be opened.
pub(crate) fn store(
    engine: &Engine,
    clock: &Clock,
    container: &Container,
    ledger: &Arc<Ledger>,
) -> wasmtime::Result<(Store<Guest>, Arc<Slice>)> {
    let mut wasi = context(container)?;
    stdio::give(container, &mut wasi);
    let given = (wasi.build(), Complaints::new(container.stderr.clone()));
    Ok(sandbox((engine, clock), given, container, ledger))
}

/// A store for one run beside the instances of `container`, with standard streams of its own.
///
/// # Errors
/// If a directory that it mounts cannot be opened.
pub(crate) fn store_beside(
    (engine, clock): (&Engine, &Clock),
    container: &Container,
    ledger: &Arc<Ledger>,
    console: Console,
) -> wasmtime::Result<(Store<Guest>, Arc<Slice>)> {
    let mut wasi = context(container)?;
    let complaints = Complaints::new(console.errors());
    console.give(&mut wasi);
    let given = (wasi.build(), complaints);
    Ok(sandbox((engine, clock), given, container, ledger))
}

fn sandbox(
    (engine, clock): (&Engine, &Clock),
    (wasi, complaints): (WasiCtx, Complaints),
    container: &Container,
    ledger: &Arc<Ledger>,
) -> (Store<Guest>, Arc<Slice>) {
    ledger.instances.fetch_add(1, Ordering::Relaxed);
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES);
    let guest = Guest {
        wasi,
        http: WasiHttpCtx::new(),
        hooks: Hooks::new(container.outgoing.clone()),
        table,
        network: container.network.clone(),
        grants: container.grants.clone(),
        complaints,
        memory: Meter::new(ledger.memory.clone()),
        ledger: ledger.clone(),
    };
    let share = u64::from(container.cpu_share.clamp(1, LONGEST_SLICE));
    let slice = Arc::new(Slice {
        clock: clock.clone(),
        share,
        begun: AtomicU64::new(clock.ticks()),
        exhausted: AtomicBool::new(false),
    });
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_epoch_deadline(share);
    let asked = slice.clone();
    store.epoch_deadline_callback(move |_| Ok(asked.on_deadline()));
    (store, slice)
}

fn context(container: &Container) -> wasmtime::Result<WasiCtxBuilder> {
    let mut builder = WasiCtx::builder();
    for mount in &container.mounts {
        let perms = if mount.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        builder
            .preopened_dir(&mount.directory, &mount.path, perms)
            .map_err(|error| {
                wasmtime::Error::msg(format!(
                    "the directory at {} cannot be opened: {error}",
                    mount.path
                ))
            })?;
    }
    builder
        .args(&container.args)
        .envs(&container.env)
        .allow_tcp(false)
        .allow_udp(false);
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_as_long_as_the_share_and_begins_when_the_guest_runs() {
        let clock = Clock::still();
        let slice = Slice {
            clock: clock.clone(),
            share: 3,
            begun: AtomicU64::new(0),
            exhausted: AtomicBool::new(false),
        };
        // The guest was waiting all this time.
        clock.advance(1000);
        slice.begin();
        for left in [3, 2, 1] {
            assert!(matches!(slice.on_deadline(), UpdateDeadline::Continue(more) if more == left));
            assert!(!slice.exhausted());
            clock.advance(1);
        }
        assert!(matches!(
            slice.on_deadline(),
            UpdateDeadline::YieldCustom(3, _)
        ));
        assert!(slice.exhausted());
        slice.begin();
        assert!(!slice.exhausted());
        assert!(matches!(slice.on_deadline(), UpdateDeadline::Continue(3)));
    }
}
