//! Reading manifests: files, directories and standard input, YAML or JSON, several documents each, `List` kinds opened.

use anyhow::{Context as _, bail};
use osier_api::{Object, Resource, resources};
use serde::Deserialize as _;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One object of a manifest, with its kind resolved.
pub(crate) struct Manifest {
    /// Its kind.
    pub(crate) resource: &'static Resource,
    /// The object; the namespace is filled in.
    pub(crate) object: Object,
}

/// One object of a manifest, of whatever kind.
pub(crate) struct Document {
    /// Where it stands.
    place: String,
    /// The object as it is written.
    pub(crate) object: Object,
}

impl Document {
    /// Group and version, and kind.
    fn names(&self) -> (&str, &str, &str) {
        let version = self.object.api_version();
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        (group, version, self.object.kind())
    }

    /// Whether this is the definition of the kind of another document.
    pub(crate) fn defines(&self, other: &Self) -> bool {
        let (group, _, kind) = other.names();
        self.is_definition()
            && self.object.text(&["spec", "group"]) == group
            && self.object.text(&["spec", "names", "kind"]) == kind
    }

    /// Whether this is the definition of some kind.
    pub(crate) fn is_definition(&self) -> bool {
        let (group, _, kind) = self.names();
        let definitions = &resources::CUSTOM_RESOURCE_DEFINITIONS;
        group == definitions.group && kind == definitions.kind
    }

    /// The manifest, if its kind is among those that there are.
    ///
    /// # Errors
    /// Names the file, the document and the kind that is not.
    pub(crate) fn resolve(
        &self,
        namespace: &str,
        kinds: &[&'static Resource],
    ) -> anyhow::Result<Manifest> {
        let (group, version, kind) = self.names();
        let mut named = kinds.iter().copied();
        let named = named.find(|found| found.group == group && found.kind == kind);
        let Some(resource) = named.filter(|found| found.versions.contains(&version)) else {
            bail!(
                "{}: apiVersion {}, kind {kind}: not served here; `kubectl api-resources` lists what is",
                self.place,
                self.object.api_version(),
            );
        };
        let mut object = self.object.clone();
        if resource.namespaced && object.namespace().is_empty() {
            object.set(&["metadata", "namespace"], namespace.into());
        }
        Ok(Manifest { resource, object })
    }
}

/// Everything in `files`, in the order of files and documents; `kinds` are those that there are.
///
/// # Errors
/// Names the file, the document and what is wrong.
pub(crate) fn read(
    files: &[PathBuf],
    namespace: &str,
    kinds: &[&'static Resource],
) -> anyhow::Result<Vec<Manifest>> {
    let documents = open(files)?;
    let resolved = documents.iter().map(|one| one.resolve(namespace, kinds));
    resolved.collect()
}

/// The same, of kinds that there may not be yet.
///
/// # Errors
/// As [`read`].
pub(crate) fn open(files: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut opened = Vec::new();
    for path in files {
        for (name, text) in texts(path)? {
            let values = documents(&text).with_context(|| name.clone())?;
            for (index, value) in values.into_iter().enumerate() {
                let place = format!("{name}, document {}", index + 1);
                collect(value, &place, &mut opened).context(place.clone())?;
            }
        }
    }
    if opened.is_empty() {
        bail!("no object found in the given files");
    }
    Ok(opened)
}

fn texts(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
        return Ok(vec![("standard input".to_owned(), text)]);
    }
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        files.retain(|file| {
            file.extension()
                .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        });
        files.sort();
    }
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok((file.display().to_string(), text))
    };
    files.into_iter().map(read).collect()
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect())
}

fn collect(value: Value, place: &str, into: &mut Vec<Document>) -> anyhow::Result<()> {
    if value.get("kind").and_then(Value::as_str) == Some("List") {
        let items = Vec::<Value>::deserialize(value.get("items").unwrap_or(&Value::Null))?;
        let mut items = items.into_iter();
        return items.try_for_each(|item| collect(item, place, into));
    }
    let (place, object) = (place.to_owned(), Object::from_value(value)?);
    into.push(Document { place, object });
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn documents_and_lists_are_opened_and_namespaces_filled_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n";
        std::fs::write(&path, text).unwrap();
        let read = read(&[path], "default", resources::all()).unwrap();
        let told: Vec<_> = read
            .iter()
            .map(|found| (found.resource.kind, found.object.namespace()))
            .collect();
        assert_eq!(told, [("Namespace", ""), ("ConfigMap", "default")]);
    }

    #[test]
    fn an_unknown_kind_is_told_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        std::fs::write(
            &path,
            "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n",
        )
        .unwrap();
        let told = format!(
            "{:#}",
            read(&[path], "default", resources::all()).err().unwrap()
        );
        assert!(
            told.contains("document 1") && told.contains("Widget"),
            "{told}"
        );
    }
}
