//! sled 0.34 behind the engine trait, with what it lacks added here. Each condition was found by killing it or by cutting
//! its power:
//!
//! 1. its `flush` never syncs the file. What it writes it takes for durable after `sync_file_range`, which is not, and it
//!    says so in the headers of the segments that it writes next. A power cut may leave such a header without what it speaks
//!    of, and then sled wipes its file when it opens (see [`segments`]). So `db` is marked synchronous (`chattr +S`): each of
//!    its writes is on the disk before it goes on, and a file that it would wipe is refused. Where the file system has no such mark, that is said, and a batch ends with `fdatasync`,
//!    which saves what is acknowledged but cannot order what sled writes within a batch;
//! 2. a snapshot that was being written when the process died (`snap.*.generating`) makes it refuse to open for ever:
//!    such files hold nothing that the log does not, and are removed first;
//! 3. pages over 128 KiB go to files in `blobs/` that it never syncs: the store above keeps values small enough that there
//!    are none, and a batch that made one all the same syncs it before it answers;
//! 4. many trees grow without bound: there is one tree, and keys carry a prefix;
//! 5. it panics on some damaged files: every open runs inside [`super::guard`];
//! 6. its settings in `conf` and its directory are never synced, and without them it does not open: they are synced after
//!    opening, before anything is written that could be acknowledged;
//! 7. its own flushing thread would write before the mark is made: there is none. Segments are collected with each write
//!    as well, which is enough.

mod segments;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::{Batch, Engine, EngineError, Visit};

/// Memory for pages; sled really uses about three times as much. The store above keeps every object, so that the engine reads
/// little but the pages that it writes.
const CACHE: u64 = 2 << 20;
/// How long a closed sled of the same process may take to let go of its file.
const RELEASE: Duration = Duration::from_secs(5);

/// An open sled database.
pub(super) struct Sled {
    database: sled::Db,
    file: File,
    /// Each write to the file is on the disk when it returns.
    synchronous: bool,
    blobs: PathBuf,
}

impl Sled {
    /// Opens or creates the database in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, EngineError> {
        remove_unfinished_snapshots(directory).map_err(EngineError::from)?;
        segments::check(directory)?;
        let database = open_released(directory)?;
        let file = File::options().write(true).open(directory.join("db"))?;
        let synchronous = make_synchronous(&file, directory);
        file.sync_all()?;
        File::open(directory.join("conf"))?.sync_all()?;
        let blobs = directory.join("blobs");
        sync_directory(&blobs)?;
        sync_directory(directory)?;
        Ok(Self {
            database,
            file,
            synchronous,
            blobs,
        })
    }

    /// Syncs the files of oversized pages, of which there should be none.
    fn sync_blobs(&self) -> io::Result<()> {
        let mut found = false;
        for blob in std::fs::read_dir(&self.blobs)? {
            match File::open(blob?.path()) {
                Ok(file) => file.sync_all()?,
                // Collected between the listing and the opening.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            found = true;
        }
        if found {
            sync_directory(&self.blobs)
        } else {
            Ok(())
        }
    }
}

impl Engine for Sled {
    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.database.apply_batch(changes)?;
        self.database.flush()?;
        self.sync_blobs()?;
        if !self.synchronous {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.database.get(key)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), EngineError> {
        for pair in self.database.range(from..to) {
            let (key, value) = pair?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), EngineError> {
        self.database.flush()?;
        drop(self.database);
        self.file.sync_all()?;
        Ok(())
    }
}

impl From<sled::Error> for EngineError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { at, .. } => Self::Corrupt(match at {
                Some(at) => format!("sled found a wrong checksum at {at:?}"),
                None => "sled found a wrong checksum".to_owned(),
            }),
            error => Self::Corrupt(error.to_string()),
        }
    }
}

fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(directory)? {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            tracing::info!(path = %path.display(), "removing a snapshot that was not finished");
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Opens, waiting for threads of a sled that this process closed a moment ago. Other processes are kept out by the lock of
/// the store's directory, so the file lock of sled can be held by nobody else.
fn open_released(directory: &Path) -> Result<sled::Db, EngineError> {
    let deadline = Instant::now() + RELEASE;
    loop {
        let error = match sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE)
            .flush_every_ms(None)
            .open()
        {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        let locked =
            matches!(&error, sled::Error::Io(error) if error.to_string().contains("acquire lock"));
        if !locked || Instant::now() > deadline {
            return Err(error.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Marks the file so that the kernel ends each write to it with a sync of what was written (`FS_SYNC_FL`: ext4, xfs, btrfs,
/// f2fs, and overlays of them). False where there is no such mark.
fn make_synchronous(file: &File, directory: &Path) -> bool {
    let marked = ioctl_getflags(file).and_then(|flags| ioctl_setflags(file, flags | IFlags::SYNC));
    if let Err(error) = marked {
        tracing::warn!(directory = %directory.display(), %error, "this file system cannot be told to write the store synchronously: a power cut may leave it damaged; put the data on ext4, xfs or btrfs, or choose redb");
    }
    marked.is_ok()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
