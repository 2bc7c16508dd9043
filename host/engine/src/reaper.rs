//! Drops instances that nobody has needed for a while, so that an idle container costs a few kilobytes.

use crate::EngineError;
use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Something that keeps instances warm.
pub(crate) trait Warm: Send + Sync {
    /// Drops what has been idle for longer than this.
    fn cool(&self, idle: Duration);
}

type Watched = Arc<Mutex<Vec<Weak<dyn Warm>>>>;

/// Owns the thread that does it; the thread ends when this is dropped.
pub(crate) struct Reaper {
    watched: Watched,
    _alive: Sender<()>,
}

impl Reaper {
    pub(crate) fn start(idle: Duration) -> Result<Self, EngineError> {
        let watched = Watched::default();
        let (alive, ended) = channel();
        std::thread::Builder::new()
            .name("osier-reaper".into())
            .spawn({
                let watched = watched.clone();
                move || reap(&watched, &ended, idle)
            })
            .map_err(|source| EngineError::Thread {
                name: "osier-reaper",
                source,
            })?;
        Ok(Self {
            watched,
            _alive: alive,
        })
    }

    /// From now on `warm` is asked to cool, until it is dropped.
    pub(crate) fn watch(&self, warm: &Arc<impl Warm + 'static>) {
        let warm: Arc<dyn Warm> = warm.clone();
        self.watched.lock().push(Arc::downgrade(&warm));
    }

    /// Drops every instance that serves nobody: the machine's pool is full, and somebody needs one now.
    pub(crate) fn cool_all(&self) {
        cool(&self.watched, Duration::ZERO);
    }
}

/// Asks every container to drop what has been idle for longer than this.
fn cool(watched: &Watched, idle: Duration) {
    let warm: Vec<_> = {
        let mut watched = watched.lock();
        watched.retain(|warm| warm.strong_count() > 0);
        watched.iter().filter_map(Weak::upgrade).collect()
    };
    for warm in warm {
        warm.cool(idle);
    }
}

fn reap(watched: &Watched, ended: &Receiver<()>, idle: Duration) {
    let pause = (idle / 2).clamp(Duration::from_millis(10), Duration::from_secs(5));
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        cool(watched, idle);
    }
}
