//! A page of the past: what is read of it at once, wherever it is kept.

use std::sync::Arc;

use super::entry::Event;

/// The events after which a page ends.
pub(super) const PAGE_EVENTS: usize = 256;
/// The bytes after which a page ends.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// A run of the past.
pub(super) struct Page {
    /// The events under the prefix.
    pub(super) events: Vec<Arc<Event>>,
    /// Every event up to this revision is in this page or an earlier one.
    pub(super) reached: u64,
}
