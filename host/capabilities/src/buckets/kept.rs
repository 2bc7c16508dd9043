//! The directory of one bucket, and what is done with it. Everything here blocks.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{BucketError, name};

/// Keys of one bucket.
const MOST_KEYS: usize = 65_536;
/// Bytes of one value.
const MOST_VALUE: u64 = 1 << 20;
/// Bytes of all values of a bucket.
const MOST_BYTES: u64 = 256 << 20;
/// Keys of one page.
const PAGE: usize = 1_000;
/// What the names of files begin with that are not values yet.
const ASIDE: &str = ".osier-";

/// A directory with a file for each key.
pub(super) struct Kept {
    directory: OwnedFd,
    durable: bool,
    /// Locked by every change.
    held: Mutex<Held>,
}

/// What is there, as far as it came through here.
#[derive(Default)]
struct Held {
    keys: usize,
    bytes: u64,
    /// Of the next file that is written aside.
    serial: u64,
}

/// Some keys of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys, in order.
    pub keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// Opens a directory, and tells which one it is.
pub(super) fn enter(path: &Path) -> Result<((u64, u64), OwnedFd), BucketError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(disk)?;
    let about = rustix::fs::fstat(&directory).map_err(disk)?;
    Ok(((about.st_dev, about.st_ino), directory))
}

fn disk(error: impl std::fmt::Display) -> BucketError {
    BucketError::Disk {
        reason: error.to_string(),
    }
}

fn full(what: &'static str, most: u64) -> BucketError {
    BucketError::Full { what, most }
}

impl Kept {
    /// Counts what is there, and removes what a process left that ended while it wrote.
    pub(super) fn count(directory: OwnedFd, durable: bool) -> Result<Self, BucketError> {
        let mut held = Held::default();
        for entry in Dir::read_from(&directory).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name.starts_with(ASIDE) {
                let _gone = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
            } else if name::key(name).is_some() {
                held.keys += 1;
                held.bytes += size(&directory, name)?.unwrap_or_default();
            }
        }
        Ok(Self {
            directory,
            durable,
            held: Mutex::new(held),
        })
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.read(&name::of(key)?)
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool, BucketError> {
        Ok(size(&self.directory, &name::of(key)?)?.is_some())
    }

    pub(super) fn keys(&self, from: u64) -> Result<Page, BucketError> {
        let mut keys = Vec::new();
        for entry in Dir::read_from(&self.directory).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            keys.extend(entry.file_name().to_str().ok().and_then(name::key));
        }
        keys.sort_unstable();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(keys.len());
        let mut keys = keys.split_off(from);
        let next = (keys.len() > PAGE).then_some((from + PAGE) as u64);
        keys.truncate(PAGE);
        Ok(Page { keys, next })
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), BucketError> {
        let name = name::of(key)?;
        self.write(&name, value, &mut self.held.lock())
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), BucketError> {
        let name = name::of(key)?;
        let mut held = self.held.lock();
        let Some(old) = size(&self.directory, &name)? else {
            return Ok(());
        };
        rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::empty()).map_err(disk)?;
        held.keys = held.keys.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(old);
        self.settle()
    }

    pub(super) fn increment(&self, key: &str, delta: u64) -> Result<u64, BucketError> {
        let name = name::of(key)?;
        let mut held = self.held.lock();
        let no_number = || BucketError::NotANumber {
            key: key.to_owned(),
        };
        let number = match self.read(&name)? {
            None => 0,
            Some(value) => std::str::from_utf8(&value)
                .ok()
                .and_then(|text| text.trim().parse::<u64>().ok())
                .ok_or_else(no_number)?,
        };
        let sum = number.checked_add(delta).ok_or_else(no_number)?;
        self.write(&name, sum.to_string().as_bytes(), &mut held)?;
        Ok(sum)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        // Not blocking: another way may have put a pipe there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(disk(error)),
        };
        let about = rustix::fs::fstat(&opened).map_err(disk)?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut value = Vec::new();
        let mut file = File::from(opened).take(MOST_VALUE + 1);
        file.read_to_end(&mut value).map_err(disk)?;
        match value.len() as u64 > MOST_VALUE {
            true => Err(full("bytes of one value", MOST_VALUE)),
            false => Ok(Some(value)),
        }
    }

    fn write(&self, name: &str, value: &[u8], held: &mut Held) -> Result<(), BucketError> {
        let new = value.len() as u64;
        if new > MOST_VALUE {
            return Err(full("bytes of one value", MOST_VALUE));
        }
        let old = size(&self.directory, name)?;
        let keys = held.keys + usize::from(old.is_none());
        let bytes = held.bytes.saturating_sub(old.unwrap_or_default()) + new;
        if keys > MOST_KEYS {
            return Err(full("keys of one bucket", MOST_KEYS as u64));
        }
        if bytes > MOST_BYTES {
            return Err(full("bytes of one bucket", MOST_BYTES));
        }
        held.serial += 1;
        let aside = format!("{ASIDE}{}", held.serial);
        let written = self.aside(&aside, value).and_then(|()| {
            rustix::fs::renameat(&self.directory, &aside, &self.directory, name).map_err(disk)
        });
        if written.is_err() {
            let _gone = rustix::fs::unlinkat(&self.directory, &aside, AtFlags::empty());
            return written;
        }
        (held.keys, held.bytes) = (keys, bytes);
        self.settle()
    }

    /// Writes a value where no reader looks.
    fn aside(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        // A guest that mounts the directory may have put something there, on purpose.
        let _gone = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = rustix::fs::openat(&self.directory, name, flags, mode).map_err(disk)?;
        let mut file = File::from(opened);
        file.write_all(value).map_err(disk)?;
        match self.durable {
            true => file.sync_data().map_err(disk),
            false => Ok(()),
        }
    }

    /// What was renamed or removed stays so, whatever happens to the machine.
    fn settle(&self) -> Result<(), BucketError> {
        match self.durable {
            true => rustix::fs::fsync(&self.directory).map_err(disk),
            false => Ok(()),
        }
    }
}

/// Bytes of a value, if there is one.
fn size(directory: &OwnedFd, name: &str) -> Result<Option<u64>, BucketError> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(about) if FileType::from_raw_mode(about.st_mode) == FileType::RegularFile => {
            Ok(Some(u64::try_from(about.st_size).unwrap_or_default()))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(disk(error)),
    }
}
