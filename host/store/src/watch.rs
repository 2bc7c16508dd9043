//! A watch: first the past from the log, then the changes as they are made, without a gap and without a repetition.

use std::collections::VecDeque;
use std::sync::Arc;

use super::entry::Event;
use super::error::StoreError;
use super::replay::replay;
use super::sealing::Sealing;
use super::shared::Shared;
use super::subscribers::{Keys, Subscription};

/// Every change of some keys after a revision, in order.
pub struct Watch {
    shared: Arc<Shared>,
    sealing: Arc<Sealing>,
    keys: Keys,
    subscription: Subscription,
    /// What was read of the past and not yet handed out.
    past: VecDeque<Arc<Event>>,
    /// How far the past was read.
    read: u64,
    /// Where the past ends and the subscription begins.
    joint: u64,
    /// The last revision handed out, or the one after which the watch began.
    delivered: u64,
}

impl Watch {
    /// Starts after a revision that is not compacted.
    pub(super) fn start(
        shared: &Arc<Shared>,
        sealing: &Arc<Sealing>,
        keys: Keys,
        after: u64,
    ) -> Result<Self, StoreError> {
        let (subscription, joint) = {
            let mut state = shared.state.write();
            state.check(after)?;
            (state.subscribe(&keys)?, state.revision())
        };
        let (shared, past) = (Arc::clone(shared), VecDeque::new());
        Ok(Self {
            shared,
            sealing: Arc::clone(sealing),
            keys,
            subscription,
            past,
            read: after,
            joint,
            delivered: after,
        })
    }

    /// The next change. After an error there are no more: the caller lists again and watches from there. Safe to cancel.
    ///
    /// # Errors
    /// `Overflow` when the reader did not keep up, `Compacted` when the past was compacted before it was read, `Closed` when
    /// the store closed.
    pub async fn next(&mut self) -> Result<Arc<Event>, StoreError> {
        let event = self.take().await?;
        Ok(self.sealing.open_shared(event))
    }

    async fn take(&mut self) -> Result<Arc<Event>, StoreError> {
        loop {
            if let Some(event) = self.past.pop_front() {
                self.delivered = event.revision;
                return Ok(event);
            }
            if self.read >= self.joint {
                return self.live().await;
            }
            let page = replay(&self.shared, self.keys.prefix(), self.read, self.joint).await?;
            let events = page.events.into_iter();
            self.past
                .extend(events.filter(|event| self.keys.has(&event.key)));
            self.read = page.reached;
        }
    }

    async fn live(&mut self) -> Result<Arc<Event>, StoreError> {
        match self.subscription.queue.recv().await {
            Some(event) => {
                self.subscription.backlog.taken(&event);
                self.delivered = event.revision;
                Ok(event)
            }
            None if self.subscription.backlog.overflowed() => Err(StoreError::Overflow {
                prefix: self.keys.prefix().to_string(),
            }),
            None => Err(StoreError::Closed),
        }
    }

    /// A revision up to which every change was handed out: what a bookmark may say.
    pub fn progress(&self) -> u64 {
        let state = self.shared.state.read();
        let waiting =
            !self.past.is_empty() || self.read < self.joint || !self.subscription.queue.is_empty();
        if waiting || self.subscription.backlog.overflowed() {
            self.delivered
        } else {
            state.revision()
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared
            .state
            .write()
            .unsubscribe(&self.keys, self.subscription.id);
    }
}
