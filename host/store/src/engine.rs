//! What the store needs from a key-value file: an atomic batch that is on the disk when it answers, and reads in the order
//! of keys. Two files do: sled, the default, and redb. Above this trait nothing knows which one it is.

mod redb;
mod sled;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;

/// Which engine keeps the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// sled 0.34, with its missing guarantees added.
    #[default]
    Sled,
    /// redb 4.
    Redb,
}

impl StoreKind {
    /// The word for it in configuration and on disk.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// Opens or creates the engine's files in `directory`, which exists.
    pub(super) fn open(self, directory: &Path) -> Result<Box<dyn Engine>, EngineError> {
        guard(|| match self {
            Self::Sled => {
                sled::Sled::open(directory).map(|engine| Box::new(engine) as Box<dyn Engine>)
            }
            Self::Redb => {
                redb::Redb::open(directory).map(|engine| Box::new(engine) as Box<dyn Engine>)
            }
        })
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// No engine has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no store called {0:?}: choose sled or redb")]
pub struct UnknownStore(String);

impl FromStr for StoreKind {
    type Err = UnknownStore;
    fn from_str(word: &str) -> Result<Self, UnknownStore> {
        [Self::Sled, Self::Redb]
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| UnknownStore(word.to_owned()))
    }
}

/// What an engine answers when it cannot.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum EngineError {
    /// Its files do not hold what it wrote.
    #[error("{0}")]
    Corrupt(String),
    /// It could not read or write its files.
    #[error("{0}")]
    Io(String),
    /// There is no room for what it writes.
    #[error("{0}")]
    NoRoom(&'static str),
    /// It gave up in the middle.
    #[error("its files are not as they were left, and the engine gave up on them ({0})")]
    Panicked(String),
}

impl From<io::Error> for EngineError {
    /// Files that are too short, or not what they should be, are damage; everything else is the system's refusal.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Corrupt(error.to_string())
            }
            kind => match no_room(kind) {
                Some(words) => Self::NoRoom(words),
                None => Self::Io(error.to_string()),
            },
        }
    }
}

/// Whether the system had no room for a write, in words for people: sled passes on the kind of an error and no text.
pub(super) fn no_room(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::StorageFull => Some("no space is left on its disk"),
        io::ErrorKind::QuotaExceeded => Some("the disk quota of its owner is used up"),
        io::ErrorKind::FileTooLarge => {
            Some("its file may not grow any more (a limit of the process or of the file system)")
        }
        _ => None,
    }
}

/// Called with each key and value of a range, until it breaks.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key-value file.
pub(super) trait Engine: Send + Sync {
    /// Makes all changes or none, and answers when they would survive a power cut.
    fn apply(&self, batch: Batch) -> Result<(), EngineError>;
    /// One value.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;
    /// Every key from `from` up to, not including, `to`.
    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), EngineError>;
    /// Gives the files back. Everything applied is on the disk before.
    fn close(self: Box<Self>) -> Result<(), EngineError>;
}

/// Changes that are made together. A later change of the same key wins.
#[derive(Default)]
pub(super) struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// True when there is nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }
}

impl IntoIterator for Batch {
    type Item = (Vec<u8>, Option<Vec<u8>>);
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread becomes an error of the store: a panic hook need not tell it then.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Both engines panic on some damaged files; here that becomes an error that names the cause.
pub(super) fn guard<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let outer = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("without a reason");
        Err(EngineError::Panicked(first_line(text)))
    })
}

/// What a panic says first: sled goes on with whole values of its own, and traces of its stack.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(160).collect()
}
