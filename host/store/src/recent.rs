//! The newest events, kept in memory so that a watch that starts a little in the past does not read the disk. Bounded by
//! count and by bytes; what falls out is still in the log on disk until it is compacted.

use std::collections::VecDeque;
use std::sync::Arc;

use super::entry::Event;

/// The most bytes of events in memory.
const BYTES: usize = 4 << 20;
/// The most events in memory.
const EVENTS: usize = 1024;

/// A run of changes without a gap that ends with the newest one. Their revisions rise, and where others write to the same etcd
/// they leave numbers out.
pub(super) struct Recent {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The revision after which the run begins.
    start: u64,
}

impl Recent {
    /// An empty run of a store that stands at `revision`.
    pub(super) fn new(revision: u64) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            start: revision,
        }
    }

    /// Appends the next event and lets go of the oldest ones beyond the bounds.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.weight();
        self.events.push_back(event);
        while self.bytes > BYTES || self.events.len() > EVENTS {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.weight();
            self.start = oldest.revision;
        }
    }

    /// The revision after which every event is here.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The events after `revision`, which must not be before [`Recent::start`].
    pub(super) fn after(&self, revision: u64) -> impl Iterator<Item = &Arc<Event>> {
        let skip = self
            .events
            .partition_point(|event| event.revision <= revision);
        self.events.iter().skip(skip)
    }
}
