//! redb behind the engine trait: one table, each batch one transaction.
//!
//! Every opening verifies the checksum of every page once: redb does so by itself when the file was not closed, and is asked
//! to otherwise, since a damaged branch leads lookups and writes astray although a scan passes it. Quick repair, which
//! spares redb that walk and makes small commits two to ten times slower, is therefore left off.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{Batch, Engine, EngineError, Visit};

/// Memory for pages; the store above caches objects itself.
const CACHE: usize = 8 << 20;
const FILE: &str = "data.redb";
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("osier");

/// An open redb file.
pub(super) struct Redb {
    database: Database,
}

impl Redb {
    /// Opens or creates the file in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, EngineError> {
        let walked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&walked);
        let mut builder = Database::builder();
        builder
            .set_cache_size(CACHE)
            .set_repair_callback(move |_| seen.store(true, Ordering::Relaxed));
        let mut database = builder
            .create(directory.join(FILE))
            .map_err(|error| refusal(error.into()))?;
        let verified = walked.load(Ordering::Relaxed)
            || database
                .check_integrity()
                .map_err(|error| refusal(error.into()))?;
        if !verified {
            tracing::warn!(directory = %directory.display(), "redb repaired its file; its contents are compared next");
        }
        Ok(Self { database })
    }

    fn commit(&self, batch: Batch) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
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
        self.commit(batch).map_err(refusal)
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
