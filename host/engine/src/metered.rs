//! Polls a guest and accounts for the time it takes.

use crate::guest::{Ledger, Slice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A guest's call in progress. Dropping it unwinds the guest.
pub(crate) struct Metered<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    slice: Arc<Slice>,
    ledger: Arc<Ledger>,
    busy: Duration,
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
            busy: Duration::ZERO,
        }
    }

    /// Processor time since the guest last waited for anything: what tells a loop from a long conversation. Exact to a
    /// slice, because a guest never runs longer in one poll.
    pub(crate) fn busy(&self) -> Duration {
        self.busy
    }
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let begun = Instant::now();
        this.slice.begin();
        let running = this.slice.clock().enter();
        let polled = this.call.as_mut().poll(cx);
        drop(running);
        let time = begun.elapsed();
        this.busy = if this.slice.exhausted() {
            this.busy + time
        } else {
            Duration::ZERO
        };
        this.ledger.add_cpu(time);
        polled
    }
}
