//! Reading manifests: files, directories and standard input, YAML or JSON, several documents each, `List` kinds opened.

use anyhow::{Context as _, bail};
use osier_api::{Object, Resource};
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

/// Everything in `files`, in the order of files and documents; `kinds` are those that there are.
///
/// # Errors
/// Names the file, the document and what is wrong.
pub(crate) fn read(
    files: &[PathBuf],
    namespace: &str,
    kinds: &[&'static Resource],
) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for path in files {
        for (name, text) in texts(path)? {
            for (index, value) in documents(&text)
                .with_context(|| name.clone())?
                .into_iter()
                .enumerate()
            {
                let place = || format!("{name}, document {}", index + 1);
                collect(value, (namespace, kinds), &mut manifests).with_context(place)?;
            }
        }
    }
    if manifests.is_empty() {
        bail!("no object found in the given files");
    }
    Ok(manifests)
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

fn collect(
    value: Value,
    (namespace, kinds): (&str, &[&'static Resource]),
    into: &mut Vec<Manifest>,
) -> anyhow::Result<()> {
    if value.get("kind").and_then(Value::as_str) == Some("List") {
        let items = Vec::<Value>::deserialize(value.get("items").unwrap_or(&Value::Null))?;
        return items
            .into_iter()
            .try_for_each(|item| collect(item, (namespace, kinds), into));
    }
    let mut object = Object::from_value(value)?;
    let (group, version) = object
        .api_version()
        .rsplit_once('/')
        .unwrap_or(("", object.api_version()));
    let mut named = kinds.iter().copied();
    let named = named.find(|found| found.group == group && found.kind == object.kind());
    let Some(resource) = named.filter(|found| found.versions.contains(&version)) else {
        bail!(
            "apiVersion {}, kind {}: not served here; `kubectl api-resources` lists what is",
            object.api_version(),
            object.kind()
        );
    };
    if resource.namespaced && object.namespace().is_empty() {
        object.set(&["metadata", "namespace"], namespace.into());
    }
    into.push(Manifest { resource, object });
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use osier_api::resources;

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
