//! Parts of volumes that follow objects: single files, and directories in them. A component is given directories and no files: of a
//! single file it sees the directory that the file is to be in, and in it that file with those that are mounted beside it.

use std::path::Path;

use super::{Content, Files, Mounted, VolumeError};

/// What a mount shows of files, and the directory in which the container sees it.
///
/// # Errors
/// There is no such file or directory in the volume, or no name for the file.
pub(super) fn narrowed(
    volume: &str,
    (part, path): (&str, &str),
    files: &Files,
) -> Result<(String, Files), VolumeError> {
    if let Some(bytes) = files.get(part) {
        let place = Path::new(path).parent().zip(Path::new(path).file_name());
        let Some((folder, name)) = place else {
            let (volume, path) = (volume.to_owned(), path.to_owned());
            return Err(VolumeError::Unnamed { volume, path });
        };
        let folder = Path::new("/").join(folder).to_string_lossy().into_owned();
        let file = (name.to_string_lossy().into_owned(), bytes.clone());
        return Ok((folder, [file].into()));
    }
    let below = files.iter().filter_map(|(path, bytes)| {
        let path = path.strip_prefix(part)?.strip_prefix('/')?;
        Some((path.to_owned(), bytes.clone()))
    });
    let below: Files = below.collect();
    match below.is_empty() {
        true => Err(VolumeError::NoPart {
            volume: volume.to_owned(),
            part: part.to_owned(),
            known: files
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }),
        false => Ok((path.to_owned(), below)),
    }
}

/// The mounts of a container, with one directory for all the files that it is to see in one.
///
/// # Errors
/// Something else that is written is mounted at a directory that a single file is to be in.
pub(super) fn joined(mounts: Vec<Mounted>) -> Result<Vec<Mounted>, VolumeError> {
    let mut joined: Vec<Mounted> = Vec::with_capacity(mounts.len());
    for mounted in mounts {
        let same = |other: &&mut Mounted| {
            let parts = mounted.kept.is_some() || other.kept.is_some();
            parts && Path::new(&other.path) == Path::new(&mounted.path)
        };
        let Some(before) = joined.iter_mut().find(same) else {
            joined.push(mounted);
            continue;
        };
        match (&mut before.content, mounted.content) {
            (Content::Files(files), Content::Files(more)) => files.extend(more),
            _ => {
                return Err(VolumeError::Beside {
                    volume: match mounted.kept {
                        Some(_) => mounted.volume,
                        None => before.volume.clone(),
                    },
                    path: mounted.path,
                });
            }
        }
        before.kept = before.kept.take().or(mounted.kept);
    }
    Ok(joined)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        of.iter().map(own).collect()
    }

    fn mounted(path: &str, kept: Option<&str>, content: Content) -> Mounted {
        Mounted {
            volume: format!("at {path}"),
            within: String::new(),
            path: path.to_owned(),
            read_only: true,
            kept: kept.map(str::to_owned),
            content,
        }
    }

    #[test]
    fn a_file_is_seen_in_its_directory_under_the_name_of_its_mount() {
        let all = files(&[
            ("app.yaml", "1"),
            ("certs/ca.pem", "2"),
            ("certs/own/key", "3"),
        ]);
        let of = |part, path| narrowed("v", (part, path), &all);
        let wanted = |path: &str, of: &[(&str, &str)]| Ok((path.to_owned(), files(of)));
        assert_eq!(
            of("app.yaml", "/etc/app/config.yaml"),
            wanted("/etc/app", &[("config.yaml", "1")])
        );
        assert_eq!(
            of("app.yaml", "/config.yaml"),
            wanted("/", &[("config.yaml", "1")])
        );
        assert_eq!(
            of("app.yaml", "config.yaml"),
            wanted("/", &[("config.yaml", "1")])
        );
        assert_eq!(
            of("certs/ca.pem", "/ca.pem/"),
            wanted("/", &[("ca.pem", "2")])
        );
        assert_eq!(
            of("certs", "/certs"),
            wanted("/certs", &[("ca.pem", "2"), ("own/key", "3")])
        );
        let told = of("cert", "/certs").unwrap_err().to_string();
        assert!(told.contains("app.yaml, certs/ca.pem"), "{told}");
        assert!(of("app.yaml", "/").is_err());
    }

    #[test]
    fn files_of_one_directory_are_one_directory() {
        let file = |name: &str, at: &str| Content::Files(files(&[(name, at)]));
        let one = mounted("/etc/app", Some("..main.0"), file("a", "1"));
        let two = mounted("/etc/app/", Some("..main.1"), file("b", "2"));
        let whole = mounted(
            "/etc/app",
            None,
            Content::Files(files(&[("a", "0"), ("c", "3")])),
        );
        let other = mounted("/etc", Some("..main.2"), file("b", "4"));
        let all = joined(vec![whole.clone(), one.clone(), other.clone(), two]).unwrap();
        let shown = files(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let first = Mounted {
            content: Content::Files(shown),
            kept: Some("..main.0".to_owned()),
            ..whole
        };
        assert_eq!(all, [first, other]);
        let written = mounted("/etc/app", None, Content::Empty);
        for both in [[one.clone(), written.clone()], [written, one]] {
            let told = joined(both.into()).unwrap_err().to_string();
            assert!(told.contains("a directory of its own"), "{told}");
        }
    }
}
