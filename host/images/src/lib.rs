//! The node's images: components by digest, under names that people give them.
//!
//! A blob is a file named by its digest; a name is a small file that holds a digest. Both are
//! written whole to the side and renamed, so that a crash leaves either the old or the new.

mod name;
mod pull;
mod room;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use osier_engine::Digest;

pub use name::InvalidName;
use name::{Source, parse, reference_file};
pub use pull::{InUse, PullFailure, PullPolicy, Pulled, Puller};

/// The components that come with the binary.
pub trait Bundled: Send + Sync {
    /// The component of that name.
    fn component(&self, name: &str) -> Option<&'static [u8]>;
    /// All names, for messages.
    fn names(&self) -> Vec<&'static str>;
}

/// An imported image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// With its tag.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// Images of one node.
#[derive(Debug, Clone)]
pub struct ImageStore {
    data: PathBuf,
}

/// Why an image cannot be used; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is not the name of an image.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Nobody imported it.
    #[error("image {name:?} is not on this node; import it with `osier image import {name} FILE`")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The binary has no such component.
    #[error("there is no bundled component {name:?}; there are: {known}")]
    NotBundled {
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// A registry is named, and the image was not brought from there.
    #[error(
        "image {name:?} is in a registry and not on this node; run `osier image pull {name}`, or set imagePullPolicy to IfNotPresent"
    )]
    Registry {
        /// The name.
        name: String,
    },
    /// It names no registry.
    #[error(transparent)]
    Reference(#[from] osier_distribution::BadReference),
    /// A file outside the data directory is named.
    #[error(
        "image {name:?} is outside the data directory {data}; copy the file there, or run `osier image import NAME FILE`"
    )]
    Outside {
        /// The name.
        name: String,
        /// The data directory.
        data: PathBuf,
    },
    /// The bytes are not WebAssembly.
    #[error("{what} is not a Wasm component: it starts with {start}; build it for wasm32-wasip2")]
    NotWasm {
        /// The name or file.
        what: String,
        /// The first bytes, printable.
        start: String,
    },
    /// A file cannot be read or written.
    #[error("image {name:?}: {path}: {source}")]
    File {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A blob is not what its name says.
    #[error("image {name:?}: the file {path} was changed on disk; import it again")]
    Corrupt {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

impl ImageStore {
    /// The store under a data directory; makes its folders.
    pub fn open(data: &Path) -> Result<Self, ImageError> {
        let store = Self {
            data: data.to_owned(),
        };
        for folder in [store.blobs(), store.names(), store.pulled_names()] {
            fs::create_dir_all(&folder).map_err(|source| file("", &folder, source))?;
        }
        Ok(store)
    }

    /// Puts a component into the store under a name; the same bytes are kept once.
    pub fn import(&self, name: &str, bytes: &[u8]) -> Result<Digest, ImageError> {
        let Source::Name(name) = parse(name)? else {
            return Err(InvalidName::new(
                name,
                "an imported image has a plain name such as `shop/web:1`",
            )
            .into());
        };
        let digest = self.keep(&name, bytes)?;
        self.unmark(&name)?;
        Ok(digest)
    }

    /// Keeps a component that was pulled. `layer` is the digest by which the registry knows it.
    ///
    /// # Errors
    /// When it is no component, or cannot be written.
    pub fn keep_pulled(
        &self,
        image: &str,
        bytes: &[u8],
        layer: &str,
    ) -> Result<Digest, ImageError> {
        let (Source::Name(name) | Source::Registry(name)) = parse(image)? else {
            return Err(InvalidName::new(image, "it is not in a registry").into());
        };
        let digest = self.keep(&name, bytes)?;
        let mark = self.pulled_names().join(reference_file(&name));
        write_whole(&mark, layer.as_bytes()).map_err(|source| file(&name, &mark, source))?;
        Ok(digest)
    }

    /// The digest by which the registry knows an image that was pulled and is still here.
    #[must_use]
    pub fn pulled(&self, image: &str) -> Option<String> {
        let name = canonical(image)?;
        let reference = reference_file(&name);
        let layer = fs::read_to_string(self.pulled_names().join(&reference)).ok()?;
        let digest = fs::read_to_string(self.names().join(&reference)).ok()?;
        let blob = self
            .blobs()
            .join(digest.trim().trim_start_matches("sha256:"));
        blob.exists().then(|| layer.trim().to_owned())
    }

    /// The image is used now.
    pub fn touch(&self, image: &str) {
        let Some(name) = canonical(image) else {
            return;
        };
        let path = self.names().join(reference_file(&name));
        // Only the order in which images leave depends on it.
        if let Ok(file) = fs::File::options().append(true).open(path) {
            let _known = file.set_modified(std::time::SystemTime::now());
        }
    }

    fn unmark(&self, name: &str) -> Result<(), ImageError> {
        let mark = self.pulled_names().join(reference_file(name));
        match fs::remove_file(&mark) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(file(name, &mark, source))
            }
            _ => Ok(()),
        }
    }

    /// Holds off whoever else would change the store, in this process or another.
    fn alone(&self) -> Result<fs::File, ImageError> {
        let path = self.data.join("images").join("lock");
        let locked = fs::File::create(&path).and_then(|lock| lock.lock().map(|()| lock));
        locked.map_err(|source| file("", &path, source))
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<Digest, ImageError> {
        check_wasm(name, bytes)?;
        let _alone = self.alone()?;
        let digest = Digest::of(bytes);
        let blob = self.blob(&digest);
        if !blob.exists() {
            write_whole(&blob, bytes).map_err(|source| file(name, &blob, source))?;
        }
        let reference = self.names().join(reference_file(name));
        write_whole(&reference, digest.as_str().as_bytes())
            .map_err(|source| file(name, &reference, source))?;
        Ok(digest)
    }

    /// All imported images, ordered by name.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let folder = self.names();
        let entries = fs::read_dir(&folder).map_err(|source| file("", &folder, source))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| file("", &folder, source))?.path();
            let Some(name) = path
                .file_name()
                .and_then(|name| name::from_reference_file(name.to_str()?))
            else {
                continue;
            };
            let digest = fs::read_to_string(&path).map_err(|source| file(&name, &path, source))?;
            let digest = digest.trim().to_owned();
            let blob = self.blobs().join(digest.trim_start_matches("sha256:"));
            let size = fs::metadata(&blob)
                .map_err(|source| file(&name, &blob, source))?
                .len();
            found.push(Image { name, digest, size });
        }
        found.sort();
        Ok(found)
    }

    /// The digest under which a name was imported, without reading the component.
    pub fn digest(&self, name: &str) -> Option<String> {
        let name = canonical(name)?;
        let digest = fs::read_to_string(self.names().join(reference_file(&name))).ok()?;
        Some(digest.trim().to_owned())
    }

    /// A plain name under which nothing was imported.
    #[must_use]
    pub fn lacks(&self, image: &str) -> bool {
        matches!(parse(image), Ok(Source::Name(_) | Source::Registry(_)))
            && self.digest(image).is_none()
    }

    /// The bytes of an image: an imported name first, then `file://` in the data directory, then
    /// `builtin://`.
    pub fn resolve(&self, image: &str, bundled: &dyn Bundled) -> Result<Vec<u8>, ImageError> {
        let bytes = match parse(image)? {
            Source::Name(name) => self.imported(&name, image)?,
            Source::File(path) => self.file(image, &path)?,
            Source::Bundled(name) => {
                let component = bundled
                    .component(&name)
                    .ok_or_else(|| ImageError::NotBundled {
                        name,
                        known: bundled.names().join(", "),
                    })?;
                component.to_vec()
            }
            Source::Registry(name) => match self.imported(&name, image) {
                Err(ImageError::NotFound { .. }) => {
                    return Err(ImageError::Registry {
                        name: image.to_owned(),
                    });
                }
                other => other?,
            },
        };
        check_wasm(image, &bytes)?;
        Ok(bytes)
    }

    fn imported(&self, name: &str, image: &str) -> Result<Vec<u8>, ImageError> {
        let reference = self.names().join(reference_file(name));
        let digest = match fs::read_to_string(&reference) {
            Ok(digest) => digest.trim().to_owned(),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(ImageError::NotFound {
                    name: image.to_owned(),
                });
            }
            Err(source) => return Err(file(image, &reference, source)),
        };
        let path = self.blobs().join(digest.trim_start_matches("sha256:"));
        let bytes = fs::read(&path).map_err(|source| file(image, &path, source))?;
        if Digest::of(&bytes).as_str() == digest {
            Ok(bytes)
        } else {
            Err(ImageError::Corrupt {
                name: image.to_owned(),
                path,
            })
        }
    }

    /// A relative path is one in the data directory. Symbolic links are followed before the check.
    fn file(&self, image: &str, path: &str) -> Result<Vec<u8>, ImageError> {
        let path = self.data.join(path);
        let real = path
            .canonicalize()
            .map_err(|source| file(image, &path, source))?;
        let data = self
            .data
            .canonicalize()
            .map_err(|source| file(image, &self.data, source))?;
        if !real.starts_with(&data) {
            return Err(ImageError::Outside {
                name: image.to_owned(),
                data,
            });
        }
        fs::read(&real).map_err(|source| file(image, &real, source))
    }

    fn blobs(&self) -> PathBuf {
        self.data.join("images").join("blobs")
    }

    fn names(&self) -> PathBuf {
        self.data.join("images").join("names")
    }

    /// Names that were pulled, each with its layer's digest.
    fn pulled_names(&self) -> PathBuf {
        self.data.join("images").join("pulled")
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs()
            .join(digest.as_str().trim_start_matches("sha256:"))
    }
}

/// Under which name an image is in a store, if it is one that stores keep: with its tag.
#[must_use]
pub fn canonical(image: &str) -> Option<String> {
    match parse(image) {
        Ok(Source::Name(name) | Source::Registry(name)) => Some(name),
        _ => None,
    }
}

fn check_wasm(what: &str, bytes: &[u8]) -> Result<(), ImageError> {
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    let start: String = bytes
        .iter()
        .take(16)
        .flat_map(|byte| std::ascii::escape_default(*byte))
        .map(char::from)
        .collect();
    Err(ImageError::NotWasm {
        what: what.to_owned(),
        start: if start.is_empty() {
            "nothing: it is empty".to_owned()
        } else {
            format!("\"{start}\"")
        },
    })
}

fn file(name: &str, path: &Path, source: std::io::Error) -> ImageError {
    ImageError::File {
        name: name.to_owned(),
        path: path.to_owned(),
        source,
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let aside = folder.join(format!(
        ".{}.{}",
        std::process::id(),
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    let mut file = fs::File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    struct Two;

    impl Bundled for Two {
        fn component(&self, name: &str) -> Option<&'static [u8]> {
            (name == "denier").then_some(b"\0asm-denier".as_slice())
        }
        fn names(&self) -> Vec<&'static str> {
            vec!["denier", "list"]
        }
    }

    fn store() -> (tempfile::TempDir, ImageStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn what_is_imported_is_found_by_name_and_default_tag() {
        let (_folder, store) = store();
        let digest = store.import("shop/web", b"\0asm1").unwrap();
        assert_eq!(store.resolve("shop/web:latest", &Two).unwrap(), b"\0asm1");
        assert_eq!(store.digest("shop/web").as_deref(), Some(digest.as_str()));
        store.import("shop/web", b"\0asm2").unwrap();
        assert_eq!(store.resolve("shop/web", &Two).unwrap(), b"\0asm2");
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let (folder, store) = store();
        let words = |image: &str| store.resolve(image, &Two).unwrap_err().to_string();
        assert!(
            words("hello").contains("osier image import hello FILE"),
            "{}",
            words("hello")
        );
        assert!(words("builtin://x").contains("denier, list"));
        assert!(words("Bad Name").contains("Bad Name"));
        assert!(words("oci://registry.example/web:1").contains("osier image pull"));
        assert!(words("file:///etc/passwd").contains("outside the data directory"));
        assert!(words("file://../../etc/passwd").contains("outside the data directory"));
        fs::write(folder.path().join("text.wasm"), "#!/bin/sh").unwrap();
        assert!(words("file://text.wasm").contains("it starts with \"#!/bin/sh\""));
        assert!(
            store
                .import("web", b"")
                .unwrap_err()
                .to_string()
                .contains("it is empty")
        );
    }

    #[test]
    fn a_changed_blob_is_noticed() {
        let (_folder, store) = store();
        let digest = store.import("web", b"\0asm1").unwrap();
        fs::write(store.blob(&digest), b"\0asm2").unwrap();
        assert!(
            store
                .resolve("web", &Two)
                .unwrap_err()
                .to_string()
                .contains("changed on disk")
        );
        assert_eq!(
            store.resolve("builtin://denier", &Two).unwrap(),
            b"\0asm-denier"
        );
    }
}
