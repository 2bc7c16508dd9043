//! The time that the heads of one connection may take, measured by one timer.
//!
//! A server asks for a new timer for each head, and drops it a moment later when the head is there: that is an entry made in and
//! taken from the runtime's wheel for each request. Here the entry stays where it is. When it fires, which it does about once in
//! the time that one head may take, it is moved to the time that holds by then.

use hyper::rt::Sleep;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Timers for one connection, of which one runs at a time.
#[derive(Clone, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

/// The wait for one head.
struct Wait {
    timer: Patience,
    until: Instant,
}

impl Patience {
    fn poll(&self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let until = tokio::time::Instant::from_std(until);
        let mut shared = self.0.lock();
        let timer = shared.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(context));
        if tokio::time::Instant::now() >= until {
            return Poll::Ready(());
        }
        timer.as_mut().reset(until);
        timer.as_mut().poll(context)
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(self.until, context)
    }
}

impl Sleep for Wait {}

impl hyper::rt::Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Wait {
            timer: self.clone(),
            until,
        })
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, until: Instant) {
        *sleep = self.sleep_until(until);
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use hyper::rt::Timer;

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end() {
        let timer = Patience::default();
        let began = tokio::time::Instant::now();
        let mut first = timer.sleep(Duration::from_secs(10));
        assert!(poll!(&mut first).is_pending());
        drop(first);
        tokio::time::advance(Duration::from_secs(8)).await;
        // The entry of the first wait fires in between and must not end this one.
        timer.sleep(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 18);
        let mut long = timer.sleep(Duration::from_secs(60));
        assert!(poll!(&mut long).is_pending());
        drop(long);
        // A shorter one does not wait for the entry of a longer one.
        timer.sleep(Duration::from_secs(1)).await;
        assert_eq!(began.elapsed().as_secs(), 19);
    }
}
