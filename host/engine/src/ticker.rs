//! The clock of guests: a thread that advances the epoch while guests run, and sleeps while none does.
//!
//! It is a thread of its own, not a task, because it must go on while every worker is busy with a guest that loops.

use crate::EngineError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// Ticks without a running guest after which the thread sleeps until the next one, so that an idle node costs nothing.
const QUIET: u32 = 100;

struct Shared {
    ticks: AtomicU64,
    running: AtomicU32,
    parked: AtomicBool,
    stopped: AtomicBool,
}

/// Owns the thread; dropping it ends the thread within one tick.
pub(crate) struct Ticker {
    clock: Clock,
}

/// Tells a guest's host part how much time has passed. Clones share the ticker.
#[derive(Clone)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
    tick: Duration,
}

/// While it lives, a guest runs and the epoch advances.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread for `engine`.
    pub(crate) fn start(
        name: &'static str,
        engine: wasmtime::Engine,
        tick: Duration,
    ) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared {
            ticks: AtomicU64::new(0),
            running: AtomicU32::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn({
                let shared = shared.clone();
                move || shared.advance(&engine, tick)
            })
            .map_err(|source| EngineError::Thread { name, source })?;
        Ok(Self {
            clock: Clock {
                shared,
                thread: thread.thread().clone(),
                tick,
            },
        })
    }

    /// A handle for those who run guests.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.shared.stopped.store(true, Ordering::SeqCst);
        self.clock.thread.unpark();
    }
}

impl Shared {
    fn advance(&self, engine: &wasmtime::Engine, tick: Duration) {
        let mut quiet = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(tick);
            self.ticks.fetch_add(1, Ordering::Relaxed);
            engine.increment_epoch();
            quiet = if self.running.load(Ordering::Relaxed) == 0 {
                quiet + 1
            } else {
                0
            };
            if quiet > QUIET {
                self.park();
                quiet = 0;
            }
        }
    }

    /// Sleeps until a guest starts. `parked` is set before `running` is read, and a guest does the opposite, so that at
    /// least one of the two sees the other.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

impl Clock {
    /// Marks a guest as running until the answer is dropped.
    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }

    /// Ticks since the start, not counting those slept through.
    pub(crate) fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// Epoch deadline that is reached no earlier than after `time`: the running tick counts for nothing.
    pub(crate) fn ticks_for(&self, time: Duration) -> u64 {
        let whole = time.as_nanos().div_ceil(self.tick.as_nanos().max(1));
        u64::try_from(whole)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }
}

#[cfg(test)]
impl Clock {
    /// A clock that is moved by hand.
    pub(crate) fn still() -> Self {
        let shared = Arc::new(Shared {
            ticks: AtomicU64::new(0),
            running: AtomicU32::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let thread = std::thread::current();
        Self {
            shared,
            thread,
            tick: Duration::from_millis(5),
        }
    }

    pub(crate) fn advance(&self, ticks: u64) {
        self.shared.ticks.fetch_add(ticks, Ordering::Relaxed);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn wait_until(reached: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !reached() {
            assert!(begun.elapsed() < Duration::from_secs(30), "never reached");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_sleeps_when_idle_and_wakes_for_a_guest() {
        let ticker = Ticker::start(
            "test-ticker",
            wasmtime::Engine::default(),
            Duration::from_micros(50),
        )
        .unwrap();
        let clock = ticker.clock();
        wait_until(|| clock.shared.parked.load(Ordering::SeqCst));
        let before = clock.ticks();
        let running = clock.enter();
        wait_until(|| clock.ticks() > before + u64::from(QUIET) * 3);
        drop(running);
        wait_until(|| clock.shared.parked.load(Ordering::SeqCst));
    }

    #[test]
    fn a_deadline_is_never_short() {
        let ticker = Ticker::start(
            "test-ticker",
            wasmtime::Engine::default(),
            Duration::from_millis(2),
        )
        .unwrap();
        assert_eq!(ticker.clock().ticks_for(Duration::from_millis(5)), 4);
        assert_eq!(ticker.clock().ticks_for(Duration::from_millis(4)), 3);
    }
}
