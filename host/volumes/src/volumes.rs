//! Volumes on the node's disk, one folder a pod uid and in it one a volume; what claims keep has folders beside them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use osier_capabilities::BucketError;
use osier_engine::Mount;
use osier_podspec::volumes::{Content, Mounted};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::publish::{folder, publish};

/// The unit of `st_blocks`.
const BLOCK: u64 = 512;
/// A directory that is opened to be named, not to be read.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why a single file of a volume that is written cannot be mounted.
const FILE: &str =
    "it is a file, and a component is given directories: mount the one that the file is in";

/// A volume, or what lies in it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It could not be written.
    #[error("volume {volume:?} could not be written at {path}: {source}; is the disk full?")]
    Write {
        /// The volume.
        volume: String,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node does not allow it.
    #[error(
        "volume {volume:?}: hostPath {path} is not allowed on this node; who runs the node allows it by --host-path DIR"
    )]
    NotAllowed {
        /// The volume.
        volume: String,
        /// The directory.
        path: PathBuf,
    },
    /// It could not be opened.
    #[error(
        "volume {volume:?}: {path} cannot be opened: {source}; it must be a directory, and no part of its path a symbolic link"
    )]
    Open {
        /// The volume.
        volume: String,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bucket in it could not be opened.
    #[error("bucket {bucket:?}, volume {volume:?}: {source}")]
    Bucket {
        /// The name by which components open it.
        bucket: String,
        /// The volume.
        volume: String,
        /// Why not.
        source: BucketError,
    },
}

/// The folder with the volumes of all pods of a node.
#[derive(Debug)]
pub struct Volumes {
    root: PathBuf,
    /// What claims keep, by the name of their volume.
    claims: PathBuf,
    /// What pods may mount of the machine.
    host_paths: Vec<PathBuf>,
    /// Files are published by one writer at a time: two containers may mount one volume.
    publishing: Mutex<()>,
}

impl Volumes {
    /// The volumes below a data directory; of the machine, pods mount what is in `host_paths`.
    pub fn new(data_dir: &Path, host_paths: Vec<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            root: data_dir.join("volumes"),
            claims: data_dir.join("claims"),
            host_paths,
            publishing: Mutex::new(()),
        })
    }

    /// Makes the directories of these mounts, with what they hold now. Blocks.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn prepare(&self, uid: &str, mounts: &[Mounted]) -> Result<Vec<Mount>, DiskError> {
        let mount = |mounted: &Mounted| self.mount(uid, mounted);
        mounts.iter().map(mount).collect()
    }

    fn mount(&self, uid: &str, mounted: &Mounted) -> Result<Mount, DiskError> {
        let directory = self.place(uid, mounted);
        let made = match &mounted.content {
            Content::Host { path, make } => return self.host(mounted, Path::new(path), *make),
            Content::Empty | Content::Claim(_) => folder(&directory),
            Content::Files(files) => folder(&directory).and_then(|()| {
                let _one = self.publishing.lock();
                publish(&directory, files)
            }),
        };
        made.map_err(|source| DiskError::Write {
            volume: mounted.volume.clone(),
            path: directory.clone(),
            source,
        })?;
        if mounted.within.is_empty() {
            return Ok(Mount {
                directory,
                held: None,
                path: mounted.path.clone(),
                read_only: mounted.read_only,
            });
        }
        opened(mounted, (&directory, Path::new("")), true)
    }

    /// Where a volume is that is kept here.
    fn place(&self, uid: &str, mounted: &Mounted) -> PathBuf {
        match &mounted.content {
            Content::Claim(name) => self.claims.join(name),
            _ => {
                let folder = mounted.kept.as_ref().unwrap_or(&mounted.volume);
                self.root.join(uid).join(folder)
            }
        }
    }

    /// A directory of the machine, if it is in one that is allowed.
    fn host(&self, mounted: &Mounted, path: &Path, make: bool) -> Result<Mount, DiskError> {
        let mut allowed = self.host_paths.iter();
        let found = allowed.find_map(|base| Some((base, path.strip_prefix(base).ok()?)));
        match found {
            Some((base, below)) => opened(mounted, (base, below), make),
            None => Err(DiskError::NotAllowed {
                volume: mounted.volume.clone(),
                path: path.to_owned(),
            }),
        }
    }

    /// Bytes on the disk of a pod's volume. Blocks.
    pub fn size(&self, uid: &str, volume: &str) -> u64 {
        let (mut sum, mut folders) = (0, vec![self.root.join(uid).join(volume)]);
        while let Some(folder) = folders.pop() {
            // What goes away meanwhile takes no room.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    Ok(metadata) => sum += metadata.blocks() * BLOCK,
                    Err(_) => {}
                }
            }
        }
        sum
    }

    /// Removes all that a pod has written. Blocks.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove(&self, uid: &str) -> io::Result<()> {
        match std::fs::remove_dir_all(self.root.join(uid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what a claim has kept. Blocks.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_claim(&self, volume: &str) -> io::Result<()> {
        match std::fs::remove_dir_all(self.claims.join(volume)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The uids of pods that have volumes.
    pub fn pods(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

/// Opens what is mounted below a directory, and its part that is asked for, following no symbolic link: a container that writes there
/// could lead the next one out by it.
fn opened(
    mounted: &Mounted,
    (base, below): (&Path, &Path),
    make: bool,
) -> Result<Mount, DiskError> {
    let part = Path::new(&mounted.within);
    let found = descend((base, below), make).and_then(|found| enter(found, part, true));
    let held = found.map_err(|source| DiskError::Open {
        volume: mounted.volume.clone(),
        path: base.join(below).join(part),
        source,
    })?;
    Ok(Mount {
        directory: PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
        held: Some(Arc::new(held)),
        path: mounted.path.clone(),
        read_only: mounted.read_only,
    })
}

fn descend((base, below): (&Path, &Path), make: bool) -> io::Result<OwnedFd> {
    let opened = rustix::fs::open(base, FOLDER, Mode::empty())?;
    enter(opened, below, make)
}

/// Goes into a directory name by name.
fn enter(mut at: OwnedFd, below: &Path, make: bool) -> io::Result<OwnedFd> {
    for part in below.components() {
        let Component::Normal(name) = part else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if make {
            match rustix::fs::mkdirat(&at, name, Mode::RWXU) {
                Err(Errno::EXIST) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let opened = rustix::fs::openat(&at, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        at = opened.map_err(|error| why(&at, name, error))?;
    }
    Ok(at)
}

/// Says of a file that it is one: in other systems single files of such volumes are mounted too.
fn why(at: &OwnedFd, name: &OsStr, error: Errno) -> io::Error {
    let found = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    match found.map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(FileType::RegularFile) => io::Error::new(io::ErrorKind::NotADirectory, FILE),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::os::unix::fs::symlink;

    fn mounted(content: Content, within: &str) -> Mounted {
        Mounted {
            volume: "v".to_owned(),
            within: within.to_owned(),
            path: "/v".to_owned(),
            read_only: false,
            kept: None,
            content,
        }
    }

    #[test]
    fn a_part_of_a_volume_never_leads_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(folder.path(), Vec::new());
        let part = mounted(Content::Empty, "a/b");
        let made = volumes.prepare("u", std::slice::from_ref(&part)).unwrap();
        std::fs::write(made[0].directory.join("f"), "x").unwrap();
        let volume = folder.path().join("volumes/u/v");
        assert!(volume.join("a/b/f").is_file());
        assert!(volumes.size("u", "v") > 0);
        symlink("/etc", volume.join("out")).unwrap();
        let out = volumes.prepare("u", &[mounted(Content::Empty, "out")]);
        assert!(out.unwrap_err().to_string().contains("symbolic link"));
        let file = volumes.prepare("u", &[mounted(Content::Empty, "a/b/f")]);
        assert!(file.unwrap_err().to_string().contains("it is a file"));
        // Who has the directory keeps it, whatever its path comes to be.
        std::fs::rename(volume.join("a"), volume.join("c")).unwrap();
        symlink("/etc", volume.join("a")).unwrap();
        assert!(made[0].directory.join("f").is_file());
    }

    #[test]
    fn only_directories_that_are_allowed_are_mounted_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("allowed");
        std::fs::create_dir(&allowed).unwrap();
        symlink("/etc", allowed.join("out")).unwrap();
        let volumes = Volumes::new(folder.path(), vec![allowed.clone()]);
        let host = |path: &Path, make| {
            let path = path.to_str().unwrap().to_owned();
            let wanted = mounted(Content::Host { path, make }, "");
            volumes
                .prepare("u", &[wanted])
                .map_err(|error| error.to_string())
        };
        assert!(host(&allowed, false).is_ok());
        assert!(host(&allowed.join("new"), false).is_err());
        assert!(host(&allowed.join("new"), true).is_ok());
        assert!(
            host(Path::new("/etc"), false)
                .unwrap_err()
                .contains("--host-path")
        );
        assert!(
            host(&folder.path().join("allowed-too"), true)
                .unwrap_err()
                .contains("--host-path")
        );
        assert!(
            host(&allowed.join("../x"), true)
                .unwrap_err()
                .contains("cannot be opened")
        );
        assert!(
            host(&allowed.join("out"), false)
                .unwrap_err()
                .contains("symbolic link")
        );
    }
}
