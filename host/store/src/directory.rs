//! The store's directory: who holds it, what it is written as, and how far it was acknowledged.
//!
//! | name | holds |
//! |---|---|
//! | `lock` | the owner's pid; the kernel's lock on it ends with the owner, however that dies |
//! | `format` | the engine and the version of the layout, so that another engine never starts empty beside the data |
//! | `acknowledged` | the last revision that a client was told, so that a log that lost its end is noticed |
//! | `sled/`, `redb/` | the files of the engine; `….new` while the first state is written |

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FlockOperation, fadvise, flock, statvfs};
use rustix::process::{Resource, getrlimit};

use super::engine::StoreKind;
use super::error::StoreError;

/// The version of the layout in `format`.
const VERSION: &str = "osier store 1";

/// A directory that this process owns until the value is dropped.
pub(super) struct Directory {
    path: PathBuf,
    kind: StoreKind,
    acknowledged: File,
    _lock: Lock,
}

impl Directory {
    /// Makes the directory if need be and takes it for this process.
    pub(super) fn claim(path: &Path, kind: StoreKind) -> Result<Self, StoreError> {
        create_durable(path).map_err(|error| unusable("create the directory", path, &error))?;
        let lock = lock(path)?;
        check_format(path, kind)?;
        let file = path.join("acknowledged");
        let acknowledged = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|error| unusable("open", &file, &error))?;
        Ok(Self {
            path: path.to_owned(),
            kind,
            acknowledged,
            _lock: lock,
        })
    }

    /// Where the store is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which engine's files it holds.
    pub(super) fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Where the engine's files are.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join(self.kind.word())
    }

    /// Where the engine's files are made, before there is anything in them.
    pub(super) fn draft(&self) -> Result<PathBuf, StoreError> {
        let draft = self.path.join(format!("{}.new", self.kind));
        let made = match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(&draft),
        };
        made.map_err(|error| unusable("create the directory", &draft, &error))?;
        Ok(draft)
    }

    /// Makes the draft the data.
    pub(super) fn adopt(&self, draft: &Path) -> Result<(), StoreError> {
        let done = sync_directory(draft).and_then(|()| fs::rename(draft, self.data()));
        let done = done.and_then(|()| sync_directory(&self.path));
        done.map_err(|error| unusable("rename", draft, &error))
    }

    /// The last revision that a client was told, if anything ever was.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        let mut bytes = [0; 12];
        self.acknowledged.read_exact_at(&mut bytes, 0).ok()?;
        let (revision, sum) = bytes.split_at(8);
        (sum == crc32fast::hash(revision).to_be_bytes()).then_some(())?;
        Some(u64::from_be_bytes(revision.try_into().ok()?))
    }

    /// Notes a revision that is on the disk, before a client is told. Not synced: what a power cut leaves of it is an older
    /// revision, and it only ever says "at least".
    pub(super) fn acknowledge(&self, revision: u64) -> io::Result<()> {
        let mut bytes = revision.to_be_bytes().to_vec();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        self.acknowledged.write_all_at(&bytes, 0)
    }

    /// The bytes by which the largest file may grow: what is free on the disk, within the limit of the process.
    pub(super) fn room(&self) -> io::Result<u64> {
        let disk = statvfs(&self.path)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let Some(most) = getrlimit(Resource::Fsize).current else {
            return Ok(free);
        };
        let mut largest = 0;
        for file in fs::read_dir(self.data())? {
            largest = largest.max(file?.metadata()?.len());
        }
        Ok(free.min(most.saturating_sub(largest)))
    }

    /// Makes what is read from the engine's files be what is on the disk. The kernel keeps in memory what it could not write, and
    /// forgets that it could not: so what is still to be written is written, and what it remembers is dropped.
    pub(super) fn settle(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.data())? {
            let path = entry?.path();
            if path.is_file() {
                let file = File::open(&path)?;
                file.sync_all()?;
                fadvise(&file, 0, None, Advice::DontNeed)?;
            }
        }
        sync_directory(&self.data())
    }

    /// Puts the note on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.acknowledged.sync_all()?;
        sync_directory(&self.path)
    }
}

/// The kernel's lock, given back when the value is dropped. Closing the file would not always do that: a process that is being
/// started (a fork before its exec) holds a copy of the descriptor, and with it the lock, for as long as that takes.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock, or says who has it.
fn lock(directory: &Path) -> Result<Lock, StoreError> {
    let path = directory.join("lock");
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = file.map_err(|error| unusable("open", &path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let (directory, owner) = (directory.to_owned(), owner(&mut file));
            return Err(StoreError::Locked { directory, owner });
        }
        Err(error) => return Err(unusable("lock", &path, &error.into())),
    }
    write_pid(&mut file).map_err(|error| unusable("write", &path, &error))?;
    Ok(Lock(file))
}

fn owner(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.read_to_string(&mut pid) {
        Ok(read) if read > 0 => pid.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

/// Refuses what another engine or another version wrote; marks a directory that is new.
fn check_format(directory: &Path, kind: StoreKind) -> Result<(), StoreError> {
    let asked = format!("{VERSION} {kind}");
    let path = directory.join("format");
    let found = match fs::read_to_string(&path) {
        Ok(found) => found.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_unmarked(directory)?;
            write_durable(directory, &path, &asked)
                .map_err(|error| unusable("write", &path, &error))?;
            return Ok(());
        }
        Err(error) => return Err(unusable("read", &path, &error)),
    };
    if found == asked {
        return Ok(());
    }
    Err(StoreError::OtherFormat {
        directory: directory.to_owned(),
        found,
        asked,
    })
}

/// Data without the mark is not new.
fn refuse_unmarked(directory: &Path) -> Result<(), StoreError> {
    let kinds = [StoreKind::Sled, StoreKind::Redb];
    match kinds
        .iter()
        .find(|kind| directory.join(kind.word()).exists())
    {
        None => Ok(()),
        Some(kind) => {
            let reason =
                format!("there is data in {kind}, but the file format that names it is missing");
            Err(StoreError::Corrupt {
                directory: directory.to_owned(),
                reason,
            })
        }
    }
}

fn write_durable(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_directory(directory)
}

/// Makes the directory and those above it, and puts each new one on the disk.
fn create_durable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_durable(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(parent)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The error for a file or directory that the system does not let us use.
pub(super) fn unusable(action: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable {
        action,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
