//! Pages: what is read at once of the past, wherever it is kept, and of long lists.

use std::ops::Bound;
use std::sync::Arc;

use super::entry::{Entry, Event};

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

/// Which objects are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// What their keys begin with.
    pub prefix: &'a str,
    /// The key after which they come; from the first if there is none.
    pub after: Option<&'a str>,
    /// So many at most; all if it is 0.
    pub limit: usize,
}

impl<'a> Range<'a> {
    pub(super) fn lower(&self) -> Bound<&'a str> {
        match self.after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(self.prefix),
        }
    }
}

/// Some of the objects under a prefix, in the order of keys.
#[derive(Debug, Default)]
pub struct Slice {
    /// The revision at which they stand, or stood, so.
    pub revision: u64,
    /// The objects.
    pub entries: Vec<Entry>,
    /// How many more come after them.
    pub left: usize,
}
