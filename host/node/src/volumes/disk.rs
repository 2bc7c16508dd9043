//! Volumes on the node's disk, one folder a pod uid and in it one a volume.
//!
//! Files that follow objects are changed all at once, as kubelet does (its AtomicWriter): they lie in a folder named by
//! their content, the link `..data` says which folder is meant, and each name in the volume is a link through it.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osier_engine::Mount;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{Content, Files, Mounted};

const DATA: &str = "..data";

/// A volume could not be written.
#[derive(Debug, thiserror::Error)]
#[error("volume {volume:?} could not be written at {path}: {source}; is the disk full?")]
pub(crate) struct DiskError {
    volume: String,
    path: PathBuf,
    source: io::Error,
}

/// The folder with the volumes of all pods of a node.
#[derive(Debug)]
pub(crate) struct Volumes {
    root: PathBuf,
    /// Files are published by one writer at a time: two containers may mount one volume.
    publishing: Mutex<()>,
}

impl Volumes {
    pub(crate) fn new(data_dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            root: data_dir.join("volumes"),
            publishing: Mutex::new(()),
        })
    }

    /// Makes the directories of these mounts, with what they hold now. Blocks.
    pub(crate) fn prepare(&self, uid: &str, mounts: &[Mounted]) -> Result<Vec<Mount>, DiskError> {
        let mount = |mounted: &Mounted| {
            let directory = self.root.join(uid).join(&mounted.volume);
            let made = folder(&directory).and_then(|()| match &mounted.content {
                Content::Empty => Ok(()),
                Content::Files(files) => {
                    let _one = self.publishing.lock();
                    publish(&directory, files)
                }
            });
            made.map_err(|source| DiskError {
                volume: mounted.volume.clone(),
                path: directory.clone(),
                source,
            })?;
            Ok(Mount {
                directory,
                path: mounted.path.clone(),
                read_only: mounted.read_only,
            })
        };
        mounts.iter().map(mount).collect()
    }

    /// Removes all that a pod has written. Blocks.
    pub(crate) fn remove(&self, uid: &str) -> io::Result<()> {
        match std::fs::remove_dir_all(self.root.join(uid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The uids of pods that have volumes.
    pub(crate) fn pods(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

fn folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Makes `files` the content of the volume in one step; a reader sees the old files or the new ones.
pub(super) fn publish(volume: &Path, files: &Files) -> io::Result<()> {
    let fresh = format!("..{}", digest(files));
    let data = volume.join(DATA);
    let before = std::fs::read_link(&data).ok();
    if before.as_deref() == Some(Path::new(&fresh)) {
        return Ok(());
    }
    for (path, bytes) in files {
        let file = volume.join(&fresh).join(path);
        file.parent().map_or(Ok(()), folder)?;
        std::fs::write(file, bytes)?;
    }
    folder(&volume.join(&fresh))?;
    replace_link(&fresh, &data)?;
    let names = link_names(volume, files)?;
    remove_others(volume, &names)?;
    match before {
        Some(before) => std::fs::remove_dir_all(volume.join(before)),
        None => Ok(()),
    }
}

/// Links each first name of the files through [`DATA`].
fn link_names(volume: &Path, files: &Files) -> io::Result<BTreeSet<String>> {
    let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = files.keys().map(first).collect();
    for name in &names {
        let link = volume.join(name);
        if link.symlink_metadata().is_err() {
            replace_link(&format!("{DATA}/{name}"), &link)?;
        }
    }
    Ok(names)
}

/// Removes the links of files that are no more.
fn remove_others(volume: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !names.contains(&name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A link cannot be changed, but another can be renamed over it.
fn replace_link(to: &str, link: &Path) -> io::Result<()> {
    let fresh = link.with_file_name("..link");
    // Left by a process that was killed here.
    if fresh.symlink_metadata().is_ok() {
        std::fs::remove_file(&fresh)?;
    }
    symlink(to, &fresh)?;
    std::fs::rename(fresh, link)
}

/// Names the folder of these files: the same for the same content.
fn digest(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes.as_slice()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    let bytes = hash.finalize();
    bytes[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
