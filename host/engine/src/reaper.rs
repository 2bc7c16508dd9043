//! Drops instances that nobody has needed for a while, so that an idle container costs a few kilobytes; and the longest idle ones where
//! there are too many, so that ten thousand containers that were asked once do not keep ten thousand instances.

use crate::EngineError;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Something that keeps instances warm.
pub(crate) trait Warm: Send + Sync {
    /// Drops what has been idle for longer than this.
    fn cool(&self, idle: Duration);

    /// Adds since when each has been idle.
    fn idle(&self, since: &mut Vec<Instant>);
}

type Watched = Arc<Mutex<Vec<Weak<dyn Warm>>>>;

/// Owns the thread that does it; the thread ends when this is dropped.
pub(crate) struct Reaper {
    watched: Watched,
    kept: Arc<AtomicUsize>,
    most: usize,
    /// Rung when there are too many; the thread lives as long as it.
    bell: SyncSender<()>,
}

/// One instance that is kept warm.
pub(crate) struct Kept(Arc<AtomicUsize>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reaper {
    /// Drops what is idle for so long, and the longest idle where there are more than `most`.
    pub(crate) fn start(idle: Duration, most: u32) -> Result<Self, EngineError> {
        let (watched, kept) = (Watched::default(), Arc::<AtomicUsize>::default());
        let most = most.max(1) as usize;
        let (bell, rung) = sync_channel(1);
        std::thread::Builder::new()
            .name("osier-reaper".into())
            .spawn({
                let watched = watched.clone();
                move || reap(&watched, &rung, (idle, most))
            })
            .map_err(|source| EngineError::Thread {
                name: "osier-reaper",
                source,
            })?;
        Ok(Self {
            watched,
            kept,
            most,
            bell,
        })
    }

    /// From now on `warm` is asked to cool, until it is dropped.
    pub(crate) fn watch(&self, warm: &Arc<impl Warm + 'static>) {
        let warm: Arc<dyn Warm> = warm.clone();
        self.watched.lock().push(Arc::downgrade(&warm));
    }

    /// An instance is kept warm from now on.
    pub(crate) fn keep(&self) -> Kept {
        if self.kept.fetch_add(1, Ordering::Relaxed) >= self.most {
            // Rung already is as good.
            let _rung = self.bell.try_send(());
        }
        Kept(self.kept.clone())
    }

    /// Drops every instance that serves nobody: the machine's pool is full, and somebody needs one now.
    pub(crate) fn cool_all(&self) {
        cool(&self.watched, Duration::ZERO);
    }
}

fn all(watched: &Watched) -> Vec<Arc<dyn Warm>> {
    let mut watched = watched.lock();
    watched.retain(|warm| warm.strong_count() > 0);
    watched.iter().filter_map(Weak::upgrade).collect()
}

/// Asks every container to drop what has been idle for longer than this.
fn cool(watched: &Watched, idle: Duration) {
    for warm in all(watched) {
        warm.cool(idle);
    }
}

/// Drops the longest idle, until there is room for a quarter of those that may be.
fn thin(watched: &Watched, most: usize) {
    let (all, mut since) = (all(watched), Vec::new());
    for warm in &all {
        warm.idle(&mut since);
    }
    let left = most - most / 4;
    let Some(surplus) = since.len().checked_sub(left + 1) else {
        return;
    };
    let (_, youngest, _) = since.select_nth_unstable(surplus);
    let idle = youngest.elapsed();
    for warm in all {
        warm.cool(idle);
    }
}

fn reap(watched: &Watched, rung: &Receiver<()>, (idle, most): (Duration, usize)) {
    let pause = (idle / 2).clamp(Duration::from_millis(10), Duration::from_secs(5));
    loop {
        match rung.recv_timeout(pause) {
            Ok(()) => thin(watched, most),
            Err(RecvTimeoutError::Timeout) => cool(watched, idle),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
