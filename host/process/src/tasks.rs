//! Named, counted, drained tasks: the only place where a task is spawned.

mod aside;

pub use aside::Crowded;

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one process. Cloning gives another handle to the same set.
///
/// A task learns of the end by [`Tasks::stopping`] and ends itself; [`Tasks::drained`] waits for all of them.
#[derive(Clone, Default)]
pub struct Tasks {
    stopping: CancellationToken,
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

/// The tasks that were still running when the drain deadline passed, each with how many of that name.
#[derive(Debug, thiserror::Error)]
#[error("tasks did not end in time: {}", .0.iter().map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", "))]
pub struct Stuck(pub Vec<(&'static str, usize)>);

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same set with an end of its own: stopping the branch leaves the rest running, stopping the set ends the branch too.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self {
            stopping: self.stopping.child_token(),
            ..self.clone()
        }
    }

    /// Runs `future` under a name that shows in [`Stuck`]. The task is not stopped from outside: it watches
    /// [`Tasks::stopping`].
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = Counted::new(name, &self.running);
        self.tracker.spawn(async move {
            let _counted = counted;
            future.await
        })
    }

    /// Runs work that blocks (files, compilation) on the blocking pool, named and counted as well.
    pub fn spawn_blocking<F, T>(&self, name: &'static str, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let counted = Counted::new(name, &self.running);
        self.tracker.spawn_blocking(move || {
            let _counted = counted;
            work()
        })
    }

    /// Runs `future` among the tasks without a name: for the many short ones of a connection, which must not share a lock.
    pub(crate) fn spawn_uncounted<F>(&self, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future);
    }

    /// A token that is cancelled when the process begins to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Tells every task to end. Idempotent.
    pub fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
    }

    /// Stops and waits until every task has ended.
    ///
    /// # Errors
    /// [`Stuck`] names what was still running at the deadline.
    pub async fn drained(&self, deadline: Duration) -> Result<(), Stuck> {
        self.stop();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Stuck(
                self.running
                    .lock()
                    .iter()
                    .map(|(name, count)| (*name, *count))
                    .collect(),
            )),
        }
    }

    /// How many tasks run now, by name.
    #[must_use]
    pub fn running(&self) -> Vec<(&'static str, usize)> {
        self.running
            .lock()
            .iter()
            .map(|(name, count)| (*name, *count))
            .collect()
    }
}

/// Counts a task while it lives, whether it returns, panics or is dropped.
struct Counted {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Counted {
    fn new(name: &'static str, running: &Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *running.lock().entry(name).or_default() += 1;
        Self {
            name,
            running: running.clone(),
        }
    }
}

impl Counted {
    /// As [`Counted::new`], unless there are so many already.
    fn below(
        most: usize,
        name: &'static str,
        running: &Arc<Mutex<BTreeMap<&'static str, usize>>>,
    ) -> Option<Self> {
        let mut counts = running.lock();
        let count = counts.entry(name).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        let running = running.clone();
        Some(Self { name, running })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_end_is_named() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending::<()>());
        tasks.spawn("polite", {
            let stopping = tasks.stopping();
            async move { stopping.cancelled().await }
        });
        let stuck = tasks.drained(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(stuck.0, [("deaf", 1)]);
        assert!(stuck.to_string().contains("deaf (1)"));
    }

    #[tokio::test]
    async fn a_branch_ends_alone_and_with_its_set() {
        let tasks = Tasks::new();
        let (one, other) = (tasks.branch(), tasks.branch());
        one.stop();
        assert!(!tasks.stopping().is_cancelled() && !other.stopping().is_cancelled());
        let stopping = other.stopping();
        let waits = other.spawn("waits", async move { stopping.cancelled().await });
        tasks.drained(Duration::from_secs(5)).await.unwrap();
        assert!(waits.is_finished());
    }

    #[tokio::test]
    async fn a_panic_is_counted_out() {
        let tasks = Tasks::new();
        let joined = tasks
            .spawn("falls", async {
                std::future::ready(None::<()>).await.unwrap()
            })
            .await;
        assert!(joined.is_err());
        tasks.drained(Duration::from_secs(5)).await.unwrap();
        assert!(tasks.running().is_empty());
    }
}
