//! Files that follow objects are changed all at once, as kubelet does (its AtomicWriter): they lie in a folder named by
//! their content, the link `..data` says which folder is meant, and each name in the volume is a link through it.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use osier_podspec::volumes::Files;
use sha2::{Digest as _, Sha256};

const DATA: &str = "..data";

/// Makes `files` the content of the volume in one step; a reader sees the old files or the new ones.
pub(crate) fn publish(volume: &Path, files: &Files) -> io::Result<()> {
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

/// Makes a directory that is nobody else's, and those above it.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn files_follow_their_object_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let publish = |files: &[(&str, &str)]| {
            let files = files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect();
            super::publish(folder.path(), &files).unwrap();
        };
        let text = |path: &str| std::fs::read_to_string(folder.path().join(path)).ok();
        publish(&[("a", "1"), ("d/b", "2")]);
        assert_eq!(
            (text("a").unwrap(), text("d/b").unwrap()),
            ("1".into(), "2".into())
        );
        publish(&[("a", "3"), ("c", "4")]);
        assert_eq!(
            (text("a").unwrap(), text("c").unwrap()),
            ("3".into(), "4".into())
        );
        assert_eq!(text("d/b"), None);
        publish(&[("a", "3"), ("c", "4")]);
        // `..data`, the folder that it names, and a link for each file.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
        publish(&[]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
