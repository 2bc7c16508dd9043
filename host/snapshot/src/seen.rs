//! A value that callers of some namespaces see differently from all others.

use std::collections::HashMap;
use std::sync::Arc;

/// What callers see, by their namespace. The map is empty for nearly every value.
#[derive(Debug, Default)]
pub(crate) struct Seen<T> {
    /// What callers see for whom nothing else stands below.
    pub(crate) everyone: T,
    /// What the callers of a namespace see.
    pub(crate) own: HashMap<Arc<str>, T>,
}

impl<T> Seen<T> {
    /// All that anybody sees.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.everyone).chain(self.own.values())
    }
}
