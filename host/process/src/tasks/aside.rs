//! Work that is known to take long, though somebody waits for it: on a thread of its own, which steps back behind all others.

use super::{Counted, Tasks};
use std::panic::resume_unwind;
use std::thread;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// So much of one name runs aside at once. A worker waits for each, and the runtime has another thread for 512 of them.
const MOST: usize = 64;
/// How far such a thread steps back (nice(2)): beside busy workers it gets a tenth of a core. No further, because what it holds when it is
/// interrupted, a lock of the allocator for one, the others wait for.
const NICE: i32 = 10;

/// So much runs aside already that this has to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} of this kind run aside already")]
pub struct Crowded;

impl Tasks {
    /// Runs work on a thread of its own, and waits for it. On a worker of a runtime its other tasks go on elsewhere meanwhile. A thread costs some 50 µs, so
    /// this is for work that was seen to take longer than the tasks of a worker may wait for.
    ///
    /// # Errors
    /// [`Crowded`]: it did not run.
    pub fn aside<T: Send>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, Crowded> {
        let _counted = Counted::below(MOST, name, &self.running).ok_or(Crowded)?;
        let runtime = Handle::try_current().ok();
        let run = || on_a_thread(name, runtime.as_ref(), work);
        let shared = runtime.as_ref().map(Handle::runtime_flavor);
        let done = match shared {
            Some(RuntimeFlavor::MultiThread) => block_in_place(run),
            // The only thread of its runtime has to wait.
            _ => run(),
        };
        done.ok_or(Crowded)
    }
}

/// What the work gives; none where no thread is to be had.
fn on_a_thread<T: Send>(
    name: &str,
    runtime: Option<&Handle>,
    work: impl FnOnce() -> T + Send,
) -> Option<T> {
    let (mut done, span) = (None, tracing::Span::current());
    let run = || {
        let _entered = runtime.map(Handle::enter);
        // Where a thread may not step back, it is at least no worker.
        let _nice = rustix::process::nice(NICE);
        done = Some(span.in_scope(work));
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.into());
        let begun = thread.spawn_scoped(scope, run).ok();
        if let Some(Err(panic)) = begun.map(thread::ScopedJoinHandle::join) {
            resume_unwind(panic);
        }
    });
    done
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_only_worker_goes_on_while_work_is_aside() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let (tasks, (begun, has_begun), (end, ends)) =
            (Tasks::new(), mpsc::channel(), mpsc::channel());
        let aside = tasks.clone();
        let waits = runtime.spawn(async move {
            let work = move || {
                begun.send(()).unwrap();
                ends.recv().unwrap();
                Handle::try_current().is_ok()
            };
            aside.aside("waits", work)
        });
        has_begun.recv().unwrap();
        assert_eq!(tasks.running(), [("waits", 1)]);
        // The worker's next task is what the work waits for.
        runtime.spawn(async move { end.send(()).unwrap() });
        assert_eq!(runtime.block_on(waits).unwrap(), Ok(true));
        assert!(tasks.running().is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused_and_does_not_run() {
        fn fill(tasks: &Tasks, left: usize) -> usize {
            match tasks.aside("deeper", || fill(tasks, left - 1)) {
                Ok(refused_at) => refused_at,
                Err(Crowded) => left,
            }
        }
        assert_eq!(fill(&Tasks::new(), MOST), 0);
    }

    #[test]
    fn it_steps_back_and_nobody_else_does() {
        let before = rustix::process::nice(0).unwrap();
        let nice = Tasks::new().aside("slow", || rustix::process::nice(0).unwrap());
        assert_eq!(nice.unwrap(), (before + NICE).min(19));
        assert_eq!(rustix::process::nice(0).unwrap(), before);
    }

    #[test]
    fn a_panic_is_the_callers() {
        let tasks = Tasks::new();
        let fallen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tasks.aside("falls", || "".parse::<u8>().unwrap())
        }));
        assert!(fallen.is_err());
        assert!(tasks.running().is_empty());
    }
}
