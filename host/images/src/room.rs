//! What leaves the store: components that no name means any more, and pulled images that were not used for longest.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::time::SystemTime;

use crate::name::reference_file;
use crate::{Image, ImageError, ImageStore, file};

impl ImageStore {
    /// Removes components without a name. Gives how many there were, and their bytes.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn prune(&self) -> Result<(usize, u64), ImageError> {
        let _alone = self.alone()?;
        let named: BTreeSet<String> = self
            .list()?
            .into_iter()
            .map(|image| image.digest.trim_start_matches("sha256:").to_owned())
            .collect();
        let folder = self.blobs();
        let (mut count, mut size) = (0, 0);
        let entries = fs::read_dir(&folder).map_err(|source| file("", &folder, source))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if named.contains(&name) {
                continue;
            }
            size += entry.metadata().map_or(0, |found| found.len());
            count += 1;
            let path = entry.path();
            fs::remove_file(&path).map_err(|source| file("", &path, source))?;
        }
        Ok((count, size))
    }

    /// Forgets names that were pulled, the least recently used first, until at most `limit` bytes are left; none of `keep`, and
    /// none that a person imported. Gives those that went.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn shrink(&self, limit: u64, keep: &HashSet<String>) -> Result<Vec<Image>, ImageError> {
        let mut images = self.list()?;
        let keep: HashSet<String> = keep
            .iter()
            .filter_map(|name| crate::canonical(name))
            .collect();
        images.sort_by_key(|image| self.last_used(&image.name));
        let mut gone = Vec::new();
        let mut left = images.clone();
        for image in images {
            if total(&left) <= limit {
                break;
            }
            if keep.contains(&image.name) || self.pulled(&image.name).is_none() {
                continue;
            }
            self.forget(&image.name)?;
            left.retain(|other| other.name != image.name);
            gone.push(image);
        }
        self.prune()?;
        Ok(gone)
    }

    /// Forgets the name of an image, for a person who does not want it any more. Its component goes with the next
    /// [`ImageStore::prune`].
    ///
    /// # Errors
    /// When it is not there, or the store cannot be written.
    pub fn remove(&self, image: &str) -> Result<String, ImageError> {
        let known = crate::canonical(image).filter(|_| self.digest(image).is_some());
        let name = known.ok_or_else(|| ImageError::NotFound {
            name: image.to_owned(),
        })?;
        let _alone = self.alone()?;
        self.forget(&name)?;
        Ok(name)
    }

    /// Whether two references mean one image of the store, as `web` and `web:latest` do.
    #[must_use]
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        let name = crate::canonical(one);
        name.is_some() && name == crate::canonical(other)
    }

    /// Forgets a name; its component goes with the next [`ImageStore::prune`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget(&self, name: &str) -> Result<(), ImageError> {
        for path in [
            self.pulled_names().join(reference_file(name)),
            self.names().join(reference_file(name)),
        ] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(file(name, &path, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn last_used(&self, name: &str) -> SystemTime {
        let path = self.names().join(reference_file(name));
        fs::metadata(path)
            .and_then(|found| found.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Bytes of the components, each counted once.
fn total(images: &[Image]) -> u64 {
    let each: BTreeSet<(&str, u64)> = images
        .iter()
        .map(|image| (image.digest.as_str(), image.size))
        .collect();
    each.iter().map(|(_, size)| size).sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn age(store: &ImageStore, name: &str, seconds: u64) {
        let path = store.names().join(reference_file(name));
        let time = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    #[test]
    fn the_least_recently_used_pulled_image_leaves_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path()).unwrap();
        store.import("mine:1", b"\0asm----------").unwrap();
        age(&store, "mine:1", 900);
        for (name, seconds) in [
            ("r.io/old:1", 500),
            ("r.io/used:1", 400),
            ("r.io/new:1", 10),
        ] {
            let bytes = format!("\0asm{name:10}");
            store
                .keep_pulled(name, bytes.as_bytes(), "sha256:layer")
                .unwrap();
            age(&store, name, seconds);
        }
        let keep = HashSet::from(["r.io/used:1".to_owned()]);
        let names = |images: Vec<Image>| {
            images
                .into_iter()
                .map(|image| image.name)
                .collect::<Vec<_>>()
        };
        assert!(store.shrink(1000, &keep).unwrap().is_empty());
        assert_eq!(names(store.shrink(50, &keep).unwrap()), ["r.io/old:1"]);
        assert_eq!(names(store.shrink(0, &keep).unwrap()), ["r.io/new:1"]);
        assert_eq!(names(store.list().unwrap()), ["mine:1", "r.io/used:1"]);
        assert_eq!(fs::read_dir(store.blobs()).unwrap().count(), 2);
        store.import("mine:1", b"\0asm2").unwrap();
        assert_eq!(store.prune().unwrap(), (1, 14));
    }

    #[test]
    fn a_name_that_is_removed_leaves_its_component_to_be_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path()).unwrap();
        store.import("web", b"\0asm1").unwrap();
        assert!(store.is_same("web", "web:latest") && !store.is_same("web", "web:2"));
        assert_eq!(store.remove("web").unwrap(), "web:latest");
        assert!(store.remove("web").is_err());
        assert_eq!(store.prune().unwrap(), (1, 5));
    }
}
