//! Configuration of pods: volumes whose files follow objects of the API, read as keys and values.
//!
//! Only the host writes into these directories, so its own symbolic links in them (`..data`) are followed. They are read at each question:
//! a change of the object is seen as soon as its files are.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use osier_process::Tasks;

/// Values of one configuration.
const MOST_VALUES: usize = 10_000;
/// Bytes of one value: no object has more.
const MOST_VALUE: u64 = 2 << 20;
/// Folders in folders; a projected volume may name some.
const DEEPEST: usize = 8;

/// The configuration of a pod. Clones share it.
#[derive(Clone)]
pub struct Configuration {
    /// A key that several have is that of the first.
    directories: Arc<[PathBuf]>,
    tasks: Tasks,
}

impl Configuration {
    /// Reads these directories, by these tasks.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>, tasks: Tasks) -> Self {
        Self {
            directories: directories.into(),
            tasks,
        }
    }

    /// The value of a key, which is the path of its file.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub async fn get(&self, key: String) -> Result<Option<String>, String> {
        self.on(move |directories| find(directories, &key)).await
    }

    /// Every key with its value, in the order of the keys.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    pub async fn all(&self) -> Result<Vec<(String, String)>, String> {
        self.on(|directories| {
            let mut found = BTreeMap::new();
            for directory in directories {
                collect(directory, ("", 0), &mut found)?;
            }
            Ok(found.into_iter().collect())
        })
        .await
    }

    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[PathBuf]) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let directories = Arc::clone(&self.directories);
        let done = (self.tasks).spawn_blocking("configuration", move || work(&directories));
        done.await.map_err(|_| "the node is stopping".to_owned())?
    }
}

fn find(directories: &[PathBuf], key: &str) -> Result<Option<String>, String> {
    let path = Path::new(key);
    let mut parts = path.components();
    let inside = parts.all(|part| matches!(part, Component::Normal(_)));
    if key.is_empty() || !inside || key.starts_with("..") {
        return Ok(None);
    }
    for directory in directories {
        if let Some(value) = read(&directory.join(path), key)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// What a file holds; nothing if there is none.
fn read(path: &Path, key: &str) -> Result<Option<String>, String> {
    let words = |error: &dyn std::fmt::Display| format!("the value of {key:?}: {error}");
    let about = match std::fs::metadata(path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(words(&error)),
    };
    if about.len() > MOST_VALUE {
        return Err(words(&format!("it has more than {MOST_VALUE} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| words(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| words(&"it is no text in UTF-8"))?;
    Ok(Some(text))
}

fn collect(
    directory: &Path,
    (prefix, depth): (&str, usize),
    found: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let (path, name) = (entry.path(), entry.file_name());
        // What begins with two dots is the volume's own.
        let Some(name) = name.to_str().filter(|name| !name.starts_with("..")) else {
            continue;
        };
        let key = format!("{prefix}{name}");
        if path.is_dir() && depth < DEEPEST {
            collect(&path, (&format!("{key}/"), depth + 1), found)?;
        } else if !found.contains_key(&key)
            && let Some(value) = read(&path, &key)?
        {
            if found.len() >= MOST_VALUES {
                return Err(format!("there are more than {MOST_VALUES} values"));
            }
            found.insert(key, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::os::unix::fs::symlink;

    /// A volume as the node publishes it.
    fn volume(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..1");
        for (name, value) in files {
            let path = data.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value).unwrap();
            let first = name.split('/').next().unwrap();
            let _there = symlink(format!("..data/{first}"), folder.path().join(first));
        }
        symlink("..1", folder.path().join("..data")).unwrap();
        folder
    }

    #[tokio::test]
    async fn files_are_values_and_the_first_volume_counts() {
        let one = volume(&[("colour", "green"), ("named/size", "4")]);
        let other = volume(&[("colour", "red"), ("shape", "round")]);
        let directories = [&one, &other].map(|folder| folder.path().to_owned());
        let configuration = Configuration::new(directories.into(), Tasks::new());
        let get = |key: &str| configuration.get(key.to_owned());
        assert_eq!(get("colour").await.unwrap().as_deref(), Some("green"));
        assert_eq!(get("shape").await.unwrap().as_deref(), Some("round"));
        assert_eq!(get("named/size").await.unwrap().as_deref(), Some("4"));
        for none in [
            "",
            "none",
            "named",
            "..data",
            "..data/colour",
            "/etc/passwd",
        ] {
            assert_eq!(get(none).await.unwrap(), None, "{none}");
        }
        let out = get("../../../../etc/passwd").await.unwrap();
        assert_eq!(out, None);
        let all = configuration.all().await.unwrap();
        let all: Vec<_> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            all,
            [("colour", "green"), ("named/size", "4"), ("shape", "round")]
        );
    }

    #[tokio::test]
    async fn what_is_no_text_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), [0xff]).unwrap();
        let configuration = Configuration::new(vec![folder.path().to_owned()], Tasks::new());
        let refused = configuration.get("key".into()).await.unwrap_err();
        assert!(refused.contains("\"key\""), "{refused}");
        assert!(configuration.all().await.is_err());
    }
}
