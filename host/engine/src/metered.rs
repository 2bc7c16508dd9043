//! Polls a guest and accounts for the time it takes.

use crate::cpu::thread_time;
use crate::guest::{Ledger, Slice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// A guest's call in progress. Dropping it unwinds the guest.
pub(crate) struct Metered<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    slice: Arc<Slice>,
    ledger: Arc<Ledger>,
    pace: Pace,
    /// Until its container may compute again.
    rest: Option<Pin<Box<Sleep>>>,
}

/// How a guest behaved when it ran last.
#[derive(Clone, Copy)]
enum Pace {
    /// It stopped by itself: returned, or waits for something.
    Brisk,
    /// It used up its slice, and for this long before: perhaps it loops.
    Busy(Duration),
}

impl<T> Metered<T> {
    pub(crate) fn new(
        call: impl Future<Output = T> + Send + 'static,
        slice: Arc<Slice>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            call: Box::pin(call),
            slice,
            ledger,
            pace: Pace::Brisk,
            rest: None,
        }
    }

    /// Processor time since the guest last waited for anything, not counting its first slice: what tells a loop from a
    /// long conversation.
    pub(crate) fn busy(&self) -> Duration {
        match self.pace {
            Pace::Brisk => Duration::ZERO,
            Pace::Busy(time) => time,
        }
    }

    /// Ready when the container's limit of processor time lets the guest run.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(cx));
            }
            let more = self.ledger.rest().map(tokio::time::sleep);
            self.rest = more.map(Box::pin);
            if self.rest.is_none() {
                return Poll::Ready(());
            }
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.slice.begin();
        let _running = self.slice.clock().enter();
        self.call.as_mut().poll(cx)
    }
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        ready!(this.poll_rest(cx));
        let (polled, time, busy) = match this.pace {
            // The cheap clock also counts time in which the thread had no processor; over one slice that is no matter.
            Pace::Brisk => {
                let begun = Instant::now();
                (this.run(cx), begun.elapsed(), Duration::ZERO)
            }
            Pace::Busy(before) => {
                let begun = thread_time();
                let polled = this.run(cx);
                let time = thread_time().saturating_sub(begun);
                (polled, time, before + time)
            }
        };
        this.pace = if this.slice.exhausted() {
            Pace::Busy(busy)
        } else {
            Pace::Brisk
        };
        this.ledger.add_cpu(time);
        polled
    }
}
