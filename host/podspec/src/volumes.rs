//! The volumes of a pod: what each holds, by its spec and what it refers to.

mod bounds;
mod claimed;
mod error;
mod grants;
mod part;
mod single;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::Object;
use serde_json::Value;

use crate::environment::{self, Place, SourceKind, Sources};
use crate::wish::{Tokens, Wish};
pub use bounds::{Bounds, Whole};
pub use error::VolumeError;
pub use grants::{GrantError, Grants, granted};
use grants::{is_files, used};
use part::Variables;

/// Files by their path in the volume.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What the pod writes; it lives as long as the pod.
    Empty,
    /// What objects say, read-only; it follows them.
    Files(Files),
    /// A directory of the node.
    Host {
        /// Its whole path.
        path: String,
        /// It is made if it is not there.
        make: bool,
    },
    /// What a claim keeps on the node's disk, by the name of its volume.
    Claim(String),
}

/// A volume as one container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its name.
    pub volume: String,
    /// The directory in the volume that is mounted; all of it if this is empty.
    pub within: String,
    /// Where the container sees it.
    pub path: String,
    /// Whether the container only reads it.
    pub read_only: bool,
    /// The folder that it has among those of the pod, if that is not the volume's: part of it is shown, or it is shown with others.
    pub kept: Option<String>,
    /// What it holds.
    pub content: Content,
}

/// The objects that the volumes of a container come from.
#[must_use]
pub fn references(pod: &Object, container: &Value) -> BTreeSet<(SourceKind, String)> {
    let mounted: Vec<&Value> = used(pod, container);
    let files = mounted
        .iter()
        .copied()
        .flat_map(parts)
        .filter_map(reference);
    let claims = mounted.iter().copied().filter_map(claimed::reference);
    files.chain(claims).collect()
}

/// The tokens that the volumes of a container hold.
#[must_use]
pub fn tokens(pod: &Object, container: &Value) -> BTreeSet<Wish> {
    let used = used(pod, container).into_iter();
    let tokens = used.flat_map(parts).filter(|part| part.kind == TOKEN);
    tokens.map(|part| Wish::of(part.source)).collect()
}

/// Whether any volume of the pod holds what objects say, which may change while the pod runs.
#[must_use]
pub fn follows(pod: &Object) -> bool {
    volumes(pod).flat_map(parts).next().is_some()
}

/// Whether the container uses such a volume.
#[must_use]
pub fn references_files(pod: &Object, container: &Value) -> bool {
    used(pod, container).into_iter().any(is_files)
}

/// The volumes that a container mounts, with what they hold now.
///
/// # Errors
/// What keeps the container from being given them.
pub fn mounts(
    pod: &Object,
    container: &Value,
    (sources, tokens): (&Sources, &Tokens),
    place: &Place,
) -> Result<Vec<Mounted>, VolumeError> {
    let scope = Scope {
        pod,
        sources,
        tokens,
        place,
    };
    let variables = part::variables((pod, container), sources, place)?;
    let name = container["name"].as_str().unwrap_or_default();
    let all = list(&container["volumeMounts"])
        .enumerate()
        .map(|(index, mount)| {
            let mounted = scope.mounted(mount, &variables)?;
            let part = mounted.kept.map(|_| format!("..{name}.{index}"));
            Ok(Mounted {
                kept: part,
                ..mounted
            })
        });
    single::joined(all.collect::<Result<_, _>>()?)
}

/// A token of the pod's service account, which only a projected volume holds.
const TOKEN: &str = "serviceAccountToken";

/// One source of files: a configMap, secret or downwardAPI, alone or projected, or a token.
struct Part<'a> {
    kind: &'a str,
    source: &'a Value,
}

fn volumes(pod: &Object) -> impl Iterator<Item = &Value> {
    let volumes = pod.get(&["spec", "volumes"]).and_then(Value::as_array);
    volumes.into_iter().flatten()
}

fn volume<'a>(pod: &'a Object, name: &str) -> Option<&'a Value> {
    volumes(pod).find(|volume| volume["name"] == name)
}

fn parts(volume: &Value) -> Vec<Part<'_>> {
    let projected = list(&volume["projected"]["sources"]);
    std::iter::once(volume)
        .chain(projected)
        .flat_map(|volume| {
            let kinds = ["configMap", "secret", "downwardAPI", TOKEN];
            kinds.map(|kind| Part {
                kind,
                source: &volume[kind],
            })
        })
        .filter(|part| part.source.is_object())
        .collect()
}

fn reference(part: Part<'_>) -> Option<(SourceKind, String)> {
    let kind = source_kind(part.kind)?;
    Some((kind, object_name(part.source)?.to_owned()))
}

fn source_kind(kind: &str) -> Option<SourceKind> {
    match kind {
        "configMap" => Some(SourceKind::ConfigMap),
        "secret" => Some(SourceKind::Secret),
        _ => None,
    }
}

/// A volume calls a Secret `secretName`, a projection calls it `name`.
fn object_name(source: &Value) -> Option<&str> {
    source["secretName"].as_str().or(source["name"].as_str())
}

/// Relative, and naming nothing above it. What begins with two dots is the volume's own.
fn within(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with("..")
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

struct Scope<'a> {
    pod: &'a Object,
    sources: &'a Sources,
    tokens: &'a Tokens,
    place: &'a Place,
}

impl Scope<'_> {
    fn mounted(&self, mount: &Value, variables: &Variables) -> Result<Mounted, VolumeError> {
        let name = mount["name"].as_str().unwrap_or_default();
        let mut path = mount["mountPath"].as_str().unwrap_or_default().to_owned();
        let mut within = part::of(name, mount, variables)?;
        let (mut content, mut kept) = (self.content(name)?, None);
        if let Content::Files(files) = &mut content
            && !within.is_empty()
        {
            (path, *files) = single::narrowed(name, (&within, &path), files)?;
            kept = Some(std::mem::take(&mut within));
        }
        let claim =
            volume(self.pod, name).map_or(&Value::Null, |one| &one["persistentVolumeClaim"]);
        let read = claimed::is_read_only(claim, self.sources) || mount["readOnly"] == true;
        Ok(Mounted {
            volume: name.to_owned(),
            within,
            path,
            read_only: read || matches!(content, Content::Files(_)),
            kept,
            content,
        })
    }

    fn content(&self, name: &str) -> Result<Content, VolumeError> {
        let volume = volume(self.pod, name).unwrap_or(&Value::Null);
        if volume["emptyDir"].is_object() {
            return Ok(Content::Empty);
        }
        if volume["hostPath"].is_object() {
            return host(name, &volume["hostPath"]);
        }
        if volume["persistentVolumeClaim"].is_object() {
            return claimed::content((name, volume), self.pod, self.sources);
        }
        self.mountable(name, volume)?;
        let mut files = Files::new();
        for part in parts(volume) {
            match source_kind(part.kind) {
                Some(kind) => self.keys((name, kind), part.source, &mut files)?,
                None if part.kind == TOKEN => self.token(name, part.source, &mut files)?,
                None => self.fields(name, part.source, &mut files)?,
            }
        }
        Ok(Content::Files(files))
    }

    /// Refuses what is none of the kinds above, alone or projected.
    fn mountable(&self, name: &str, volume: &Value) -> Result<(), VolumeError> {
        let known = [
            "name",
            "projected",
            "configMap",
            "secret",
            "downwardAPI",
            TOKEN,
        ];
        let all = std::iter::once(volume).chain(list(&volume["projected"]["sources"]));
        let mut kinds = all.filter_map(Value::as_object).flatten();
        match kinds.find(|(kind, value)| !value.is_null() && !known.contains(&kind.as_str())) {
            Some((kind, _)) => Err(VolumeError::Kind {
                volume: name.to_owned(),
                kind: kind.clone(),
            }),
            None => Ok(()),
        }
    }

    /// All keys of an object, or those that `items` names, at the paths that it says.
    fn keys(
        &self,
        (volume, kind): (&str, SourceKind),
        source: &Value,
        files: &mut Files,
    ) -> Result<(), VolumeError> {
        let name = object_name(source).unwrap_or_default();
        let optional = source["optional"] == true;
        let Some(object) = self.sources.get(&(kind, name.to_owned())) else {
            let missing = VolumeError::NoObject {
                volume: volume.to_owned(),
                kind: kind.title(),
                name: name.to_owned(),
            };
            return if optional { Ok(()) } else { Err(missing) };
        };
        let data = contents((volume, kind), object)?;
        let Some(items) = source["items"].as_array().filter(|items| !items.is_empty()) else {
            return data
                .into_iter()
                .try_for_each(|(key, bytes)| put(volume, files, (key, bytes)));
        };
        for item in items {
            let key = item["key"].as_str().unwrap_or_default();
            let path = item["path"].as_str().unwrap_or_default();
            match data.get(key) {
                Some(bytes) => put(volume, files, (path.to_owned(), bytes.clone()))?,
                None if optional => {}
                None => {
                    return Err(VolumeError::NoKey {
                        volume: volume.to_owned(),
                        key: key.to_owned(),
                        kind: kind.title(),
                        name: name.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn token(&self, volume: &str, source: &Value, files: &mut Files) -> Result<(), VolumeError> {
        let path = source["path"].as_str().unwrap_or_default().to_owned();
        let token = self.tokens.get(&Wish::of(source)).cloned();
        put(
            volume,
            files,
            (path, token.unwrap_or_default().into_bytes()),
        )
    }

    fn fields(&self, volume: &str, source: &Value, files: &mut Files) -> Result<(), VolumeError> {
        for item in list(&source["items"]) {
            let path = item["path"].as_str().unwrap_or_default();
            let text = environment::downward(self.pod, item, self.place).map_err(|error| {
                let volume = volume.to_owned();
                VolumeError::Value { volume, error }
            })?;
            put(volume, files, (path.to_owned(), text.into_bytes()))?;
        }
        Ok(())
    }
}

fn host(volume: &str, source: &Value) -> Result<Content, VolumeError> {
    let path = source["path"].as_str().unwrap_or_default().to_owned();
    match source["type"].as_str().unwrap_or_default() {
        "" | "Directory" => Ok(Content::Host { path, make: false }),
        "DirectoryOrCreate" => Ok(Content::Host { path, make: true }),
        kind => Err(VolumeError::HostType {
            volume: volume.to_owned(),
            kind: kind.to_owned(),
        }),
    }
}

fn put(
    volume: &str,
    files: &mut Files,
    (path, bytes): (String, Vec<u8>),
) -> Result<(), VolumeError> {
    if !within(&path) {
        let volume = volume.to_owned();
        return Err(VolumeError::Path { volume, path });
    }
    files.insert(path, bytes);
    Ok(())
}

/// The keys of a ConfigMap or Secret with their bytes.
fn contents((volume, kind): (&str, SourceKind), object: &Object) -> Result<Files, VolumeError> {
    let map = |field: &str| {
        let map = object.get(&[field]).and_then(Value::as_object);
        map.into_iter().flatten()
    };
    let plain = |(key, value): (&String, &Value)| {
        let bytes = value.as_str().unwrap_or_default().as_bytes().to_vec();
        (key.clone(), bytes)
    };
    let encoded = |(key, value): (&String, &Value)| {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default());
        let bytes = bytes.map_err(|error| VolumeError::Base64 {
            volume: volume.to_owned(),
            key: key.clone(),
            detail: error.to_string(),
        })?;
        Ok((key.clone(), bytes))
    };
    if kind == SourceKind::Secret {
        return map("data").map(encoded).collect();
    }
    let binary: Files = map("binaryData").map(encoded).collect::<Result<_, _>>()?;
    Ok(map("data").map(plain).chain(binary).collect())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
