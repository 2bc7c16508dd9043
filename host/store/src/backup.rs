//! A backup: everything that a store of this machine holds at one revision, as one file from which either engine is made anew.
//!
//! | part | holds |
//! |---|---|
//! | mark | what the file is, and the version of its layout |
//! | head | a checksum, the revision, the number of objects |
//! | objects | a record each, as the log has them, each with its checksum |
//!
//! What is encrypted in the store is encrypted in the file. There is no history in it: whoever watched lists again.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::directory::{Directory, unusable};
use super::engine::{Batch, StoreKind, guard};
use super::entry::Entry;
use super::error::StoreError;
use super::layout::{Progress, Record, Standing, index_key, progress_key};
use super::shared::refusal;

const MARK: &[u8] = b"osier store backup 1\n";
/// Bytes of one piece of the file, and of one change of the engine, about.
const PIECE: usize = 256 << 10;
/// No record is longer: a longer one in a file is damage.
const LONGEST: usize = 64 << 20;
/// A restored store goes on so many revisions after its backup: what was written meanwhile is gone, and nobody who saw it
/// shall take new revisions for those.
const GAP: u64 = 1_000_000;

/// What a store held at a revision.
pub struct Backup {
    revision: u64,
    entries: Vec<Entry>,
}

/// What a backup says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// The revision at which everything stood so.
    pub revision: u64,
    /// How many objects there are.
    pub objects: u64,
}

impl Backup {
    pub(super) fn new(revision: u64, entries: Vec<Entry>) -> Self {
        Self { revision, entries }
    }

    /// The file, piece by piece.
    pub fn pieces(self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let mut head = MARK.to_vec();
        let count = Progress {
            revision: self.revision,
            compacted: self.entries.len() as u64,
        };
        head.extend(count.encode());
        let mut entries = self.entries.into_iter().peekable();
        let rest = std::iter::from_fn(move || {
            entries.peek()?;
            let mut piece = Vec::new();
            while piece.len() < PIECE
                && let Some(entry) = entries.next()
            {
                piece.extend(record(entry).bytes());
            }
            Some(piece.into())
        });
        std::iter::once(Bytes::from(head)).chain(rest)
    }
}

/// An object without what was there before.
fn record(entry: Entry) -> Record {
    Record {
        revision: entry.modified,
        replaced: 0,
        created: entry.created,
        replaced_parts: 0,
        deleted: false,
        key: entry.key,
        value: entry.value,
    }
}

/// Reads a backup to its end.
///
/// # Errors
/// `NoBackup` when it is none, or not whole.
pub fn check_backup(file: impl Read) -> Result<Contents, StoreError> {
    read(file, |_| Ok(()))
}

/// Makes a store in `directory`, where there is none, of a backup.
///
/// # Errors
/// `NoBackup` when the file is none or not whole: nothing is written then. `Occupied` when there is a store.
pub fn restore(
    directory: &Path,
    kind: StoreKind,
    file: &mut (impl Read + Seek),
) -> Result<Contents, StoreError> {
    check_backup(&mut *file)?;
    file.seek(SeekFrom::Start(0))
        .map_err(|error| broken(&error))?;
    let occupied = || StoreError::Occupied {
        directory: directory.to_owned(),
    };
    let claimed = Directory::claim(directory, kind).map_err(|error| match error {
        StoreError::OtherFormat { .. } => occupied(),
        error => error,
    })?;
    if claimed.data().exists() || claimed.acknowledged().is_some() {
        return Err(occupied());
    }
    let refuse = |error| refusal(directory, error);
    let draft = claimed.draft()?;
    let engine = kind.open(&draft).map_err(refuse)?;
    let apply = |batch| guard(|| engine.apply(batch)).map_err(refuse);
    let (mut batch, mut bytes) = (Batch::default(), 0);
    let contents = read(file, |record| {
        bytes += record.value.len();
        put(&record, &mut batch);
        if bytes < PIECE {
            return Ok(());
        }
        bytes = 0;
        apply(std::mem::take(&mut batch))
    })?;
    let revision = contents.revision + GAP;
    let progress = Progress {
        revision,
        compacted: revision,
    };
    batch.put(progress_key(), progress.encode());
    apply(batch)?;
    guard(|| engine.close()).map_err(refuse)?;
    claimed.adopt(&draft)?;
    let noted = claimed.acknowledge(revision).and_then(|()| claimed.sync());
    noted.map_err(|error| unusable("write the file acknowledged in", directory, &error))?;
    Ok(contents)
}

fn put(record: &Record, batch: &mut Batch) {
    for (key, part) in record.encode() {
        batch.put(key, part);
    }
    let standing = Standing {
        modified: record.revision,
        created: record.created,
    };
    batch.put(index_key(&record.key), standing.encode());
}

/// Reads a file, giving each object to `visit`.
fn read(
    file: impl Read,
    mut visit: impl FnMut(Record) -> Result<(), StoreError>,
) -> Result<Contents, StoreError> {
    let mut file = BufReader::with_capacity(PIECE, file);
    let mut mark = [0; MARK.len()];
    let marked = file.read_exact(&mut mark).is_ok() && mark == MARK;
    if !marked {
        return Err(no_backup("it does not begin as one"));
    }
    let mut head = vec![0; Progress::BYTES];
    file.read_exact(&mut head).map_err(|error| broken(&error))?;
    let head = Progress::decode(&head).map_err(|_| no_backup("its head is damaged"))?;
    let contents = Contents {
        revision: head.revision,
        objects: head.compacted,
    };
    for number in 0..contents.objects {
        let damaged = || {
            no_backup(&format!(
                "object {number} of {} is damaged",
                contents.objects
            ))
        };
        let record = next(&mut file)?.ok_or_else(damaged)?;
        if record.deleted || record.revision > contents.revision {
            return Err(damaged());
        }
        visit(record)?;
    }
    match file.read(&mut [0]) {
        Ok(0) => Ok(contents),
        Ok(_) => Err(no_backup("something follows its end")),
        Err(error) => Err(broken(&error)),
    }
}

/// The next record; `None` where it is damaged.
fn next(file: &mut impl Read) -> Result<Option<Record>, StoreError> {
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes)
        .map_err(|error| broken(&error))?;
    let Some(length) = Record::length(&bytes).filter(|length| (8..LONGEST).contains(length)) else {
        return Ok(None);
    };
    bytes.resize(length, 0);
    let rest = bytes.get_mut(8..).unwrap_or_default();
    file.read_exact(rest).map_err(|error| broken(&error))?;
    Ok(Record::whole(&bytes))
}

fn broken(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => no_backup("it ends before its end: it is not whole"),
        _ => no_backup(&error.to_string()),
    }
}

fn no_backup(reason: &str) -> StoreError {
    StoreError::NoBackup {
        reason: reason.to_owned(),
    }
}
