//! The values that cross the store's boundary: keys, entries, expectations and events. Their `Debug` never shows the
//! bytes of a value, since values hold Secrets.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// The name of an object: `group/resource/namespace/name`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Key {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

/// What a write demands of the key before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The key must not exist.
    Absent,
    /// The key must exist and stand at this revision.
    Revision(u64),
    /// A put takes any state; a deletion takes any revision of a key that exists.
    Any,
}

/// An object as it stands, or stood at the revision of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its bytes, as they were put.
    pub value: Bytes,
    /// The revision at which the key came into being.
    pub created: u64,
    /// The revision of the last change: the object's `resourceVersion`.
    pub modified: u64,
}

impl Entry {
    /// What the entry counts for against the bound of the store.
    pub(super) fn weight(&self) -> usize {
        Self::weight_of(&self.key, &self.value)
    }

    /// The same of an entry to be.
    pub(super) fn weight_of(key: &Key, value: &Bytes) -> usize {
        value.len() + key.len() + size_of::<Self>()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            created,
            modified,
        } = self;
        write!(
            formatter,
            "{key}@{modified} (created {created}, {} bytes)",
            value.len()
        )
    }
}

/// One change of one object.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The revision that the change made.
    pub revision: u64,
    /// The object that changed.
    pub key: Key,
    /// The revision at which the object came into being.
    pub created: u64,
    /// The revision of the object before this change; 0 where it did not exist.
    pub replaced: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to an object.
#[derive(Clone, PartialEq, Eq)]
pub enum EventKind {
    /// It was created (`previous` is none) or replaced.
    Put {
        /// The new bytes.
        value: Bytes,
        /// The bytes before.
        previous: Option<Bytes>,
    },
    /// It was deleted.
    Delete {
        /// The bytes before.
        previous: Bytes,
    },
}

impl Event {
    /// The object before this change.
    pub(super) fn before(&self) -> Option<Entry> {
        let previous = match &self.kind {
            EventKind::Put { previous, .. } => previous.clone()?,
            EventKind::Delete { previous } => previous.clone(),
        };
        Some(Entry {
            key: self.key.clone(),
            value: previous,
            created: self.created,
            modified: self.replaced,
        })
    }

    /// What the event holds in memory, about.
    pub(super) fn weight(&self) -> usize {
        let values = match &self.kind {
            EventKind::Put { value, previous } => {
                value.len() + previous.as_ref().map_or(0, Bytes::len)
            }
            EventKind::Delete { previous } => previous.len(),
        };
        values + self.key.len() + size_of::<Self>()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.kind {
            EventKind::Put { previous: None, .. } => "created",
            EventKind::Put { .. } => "replaced",
            EventKind::Delete { .. } => "deleted",
        };
        write!(formatter, "{} {what} at {}", self.key, self.revision)
    }
}
