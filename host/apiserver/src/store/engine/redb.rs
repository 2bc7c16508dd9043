//! redb behind the engine trait: one table, each batch one transaction.
//!
//! A file that was not closed is walked in full when it is opened, unless its last commit kept the state of the allocator
//! (quick repair). Doing that in every commit makes small ones two to ten times slower, so it is done in a commit of its
//! own when nothing waits: a store that was killed at rest opens at once, one that was killed at work is walked.

use std::ops::ControlFlow;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{Batch, Engine, EngineError, Visit};

/// Memory for pages; the store above caches objects itself.
const CACHE: usize = 64 << 20;
const FILE: &str = "data.redb";
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("osier");

/// An open redb file.
pub(super) struct Redb {
    database: Database,
}

impl Redb {
    /// Opens or creates the file in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, EngineError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let database = builder
            .create(directory.join(FILE))
            .map_err(|error| refusal(error.into()))?;
        Ok(Self { database })
    }

    fn commit(&self, batch: Batch, quick_repair: bool) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(quick_repair);
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in batch {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(TABLE) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), redb::Error> {
        let table = match self.database.begin_read()?.open_table(TABLE) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        for pair in table.range(from..to)? {
            let (key, value) = pair?;
            if let ControlFlow::Break(()) = visit(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }
}

impl Engine for Redb {
    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        self.commit(batch, false).map_err(refusal)
    }

    fn rest(&self) -> Result<(), EngineError> {
        self.commit(Batch::default(), true).map_err(refusal)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.read(key).map_err(refusal)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), EngineError> {
        self.walk(from, to, visit).map_err(refusal)
    }

    fn close(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Whatever is not the system's refusal means that the file does not hold what was written.
fn refusal(error: redb::Error) -> EngineError {
    match error {
        redb::Error::Io(error) => error.into(),
        redb::Error::PreviousIo
        | redb::Error::LockPoisoned(_)
        | redb::Error::DatabaseAlreadyOpen => EngineError::Io(error.to_string()),
        error => EngineError::Corrupt(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// True when a copy of the open file, which is what a kill leaves, must be walked.
    fn is_walked(directory: &Path) -> bool {
        let copy = directory.join("copy");
        std::fs::copy(directory.join(FILE), &copy).unwrap();
        let walked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&walked);
        let mut builder = Database::builder();
        builder.set_repair_callback(move |_| seen.store(true, Ordering::Relaxed));
        drop(builder.open(&copy).unwrap());
        walked.load(Ordering::Relaxed)
    }

    #[test]
    fn a_file_at_rest_opens_without_a_walk() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Redb::open(directory.path()).unwrap();
        let mut batch = Batch::default();
        batch.put(vec![1], vec![2]);
        engine.apply(batch).unwrap();
        assert!(is_walked(directory.path()));
        engine.rest().unwrap();
        assert!(!is_walked(directory.path()));
        assert_eq!(engine.get(&[1]).unwrap(), Some(vec![2]));
    }
}
