//! Machine code on disk, so that a component is compiled once for each machine.
//!
//! A forged file would be native code run with our rights. So only files that this user wrote are read: the directory
//! belongs to us with mode 0700, and each file ends with a digest of its name and content, which also catches torn
//! writes and bad disks. A file that fails the check is deleted and made again.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const SUFFIX: &str = ".cwasm";
const TRAILER: usize = 32;

/// A directory of machine code, bounded in size.
pub struct Cache {
    dir: PathBuf,
    limit: u64,
    writes: AtomicU64,
}

impl Cache {
    /// Opens or makes the directory, for so many bytes.
    ///
    /// # Errors
    /// It cannot be used, or another user could plant machine code in it.
    pub fn open(dir: &Path, limit: u64) -> io::Result<Self> {
        private(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            limit,
            writes: AtomicU64::new(0),
        })
    }

    /// The code kept under `name`, if it is there and whole.
    pub fn load(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut content = fs::read(&path).ok()?;
        let code = content
            .len()
            .checked_sub(TRAILER)
            .filter(|at| content[*at..] == trailer(name, &content[..*at]));
        let Some(code) = code else {
            tracing::warn!(file = %path.display(), "compiled code is damaged; compiling again");
            self.forget(name);
            return None;
        };
        content.truncate(code);
        // The time of the last use decides what goes first; if it cannot be set, the time of writing does.
        let _ = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some(content)
    }

    /// True if something is kept under `name`; whether it is whole, loading it shows.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    /// Keeps `code` under `name`. A full or read-only disk costs a compilation next time, not more.
    pub fn keep(&self, name: &str, code: &[u8]) {
        if let Err(error) = self.write(name, code).and_then(|()| self.evict()) {
            tracing::warn!(dir = %self.dir.display(), %error, "compiled code is not kept; the next start compiles again");
        }
    }

    /// Removes what cannot be used.
    pub fn forget(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    /// Writes aside and renames, so that a reader sees all or nothing.
    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let serial = self.writes.fetch_add(1, Ordering::Relaxed);
        let aside = self
            .dir
            .join(format!("{name}.{}.{serial}.tmp", std::process::id()));
        let written = File::create(&aside).and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(code)?;
            file.write_all(&trailer(name, code))
        });
        written
            .and_then(|()| fs::rename(&aside, self.path(name)))
            .inspect_err(|_| {
                let _ = fs::remove_file(&aside);
            })
    }

    /// Deletes the least recently used files until the rest fits, and what crashed writers left behind.
    fn evict(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(meta) = entry.metadata() else { continue };
            let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = entry.file_name();
            let abandoned = name.as_encoded_bytes().ends_with(b".tmp")
                && used.elapsed().is_ok_and(|age| age.as_secs() > 3600);
            if abandoned {
                let _ = fs::remove_file(entry.path());
            } else if name.as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
                kept.push((used, meta.len(), entry.path()));
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        // The newest stays, however large: it is the one just written.
        let older = kept.len().saturating_sub(1);
        for (_, size, path) in kept.into_iter().take(older) {
            if total <= self.limit {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let meta = fs::metadata(dir)?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        let reason = "belongs to another user, who could plant machine code in it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn trailer(name: &str, code: &[u8]) -> [u8; TRAILER] {
    Sha256::new()
        .chain_update(name)
        .chain_update(code)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::Duration;

    fn open(limit: u64) -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("code"), limit).unwrap();
        (dir, cache)
    }

    #[test]
    fn what_was_kept_is_loaded_and_private() {
        let (_dir, cache) = open(1 << 20);
        cache.keep("a", b"code");
        assert_eq!(cache.load("a").unwrap(), b"code");
        assert_eq!(cache.load("b"), None);
        assert_eq!(fs::metadata(&cache.dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(cache.path("a")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn damage_and_renames_are_found_out() {
        let (_dir, cache) = open(1 << 20);
        for damage in [
            &|path: &Path| fs::write(path, b"").unwrap(),
            &flip_first as &dyn Fn(&Path),
            &cut_last,
        ] {
            cache.keep("a", b"code");
            damage(&cache.path("a"));
            assert_eq!(cache.load("a"), None);
            assert!(!cache.path("a").exists());
        }
        cache.keep("a", b"code");
        fs::rename(cache.path("a"), cache.path("b")).unwrap();
        assert_eq!(cache.load("b"), None);
    }

    fn flip_first(path: &Path) {
        let mut content = fs::read(path).unwrap();
        content[0] ^= 1;
        fs::write(path, content).unwrap();
    }

    fn cut_last(path: &Path) {
        let content = fs::read(path).unwrap();
        fs::write(path, &content[..content.len() - 1]).unwrap();
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let (_dir, cache) = open(3 * (1000 + TRAILER as u64));
        let age = |name: &str, seconds| {
            let file = File::options().append(true).open(cache.path(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
                .unwrap();
        };
        for (name, seconds) in [("a", 30), ("b", 20), ("c", 10)] {
            cache.keep(name, &[0; 1000]);
            age(name, seconds);
        }
        assert!(cache.load("a").is_some());
        cache.keep("d", &[0; 1000]);
        let left = ["a", "b", "c", "d"].map(|name| cache.path(name).exists());
        assert_eq!(left, [true, false, true, true]);
    }

    #[test]
    fn a_lax_directory_is_tightened() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Cache::open(dir.path(), 1).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_path_that_is_no_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Cache::open(file.path(), 1).is_err());
    }
}
