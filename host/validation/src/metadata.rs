//! What every object's metadata must be, and what of it may change.

use super::at::At;
use super::names;
use osier_api::selector::LabelSelector;
use osier_api::{Fault, Object, Resource};

const ANNOTATIONS_LIMIT: usize = 256 * 1024;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

pub(super) fn check(resource: &Resource, object: &Object) -> Vec<Fault> {
    let meta = At::of(object, "metadata");
    let mut faults = name(resource, &meta);
    faults.extend(namespace(resource, &meta.at("namespace")));
    faults.extend(labels(&meta.at("labels")));
    faults.extend(annotations(&meta.at("annotations")));
    for finalizer in meta.at("finalizers").items() {
        faults.extend(finalizer.name(names::qualified));
        let text = finalizer.text();
        if !text.contains('/') && !STANDARD_FINALIZERS.contains(&text) {
            faults
                .push(finalizer.invalid(
                    "name is neither a standard finalizer name nor is it fully qualified",
                ));
        }
    }
    faults.extend(owners(&meta.at("ownerReferences")));
    faults
}

pub(super) fn check_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "metadata"), At::of(new, "metadata"));
    let mut faults = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        let (before, after) = (before.at(field), after.at(field));
        if after.is_set() && before.is_set() && before.value != after.value {
            faults.push(Fault::immutable(&after.path, after.value.clone()));
        }
    }
    let had = old.finalizers();
    let added: Vec<&str> = new
        .finalizers()
        .into_iter()
        .filter(|name| !had.contains(name))
        .collect();
    if old.deletion_timestamp().is_some() && !added.is_empty() {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
        );
        faults.push(Fault::forbidden("metadata.finalizers", detail));
    }
    faults
}

/// Keys and values of a label map.
pub(super) fn labels(labels: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (key, value) in labels.entries() {
        let keys = names::qualified(key)
            .into_iter()
            .map(|words| Fault::invalid(&labels.path, key, words));
        faults.extend(keys);
        let values = names::label_value(value.text()).into_iter();
        faults.extend(values.map(|words| Fault::invalid(&labels.path, value.text(), words)));
    }
    faults
}

/// A label selector in the form with `matchLabels` and `matchExpressions`.
pub(super) fn selector(selector: &At<'_>) -> Vec<Fault> {
    let mut faults = labels(&selector.at("matchLabels"));
    if LabelSelector::from_object(selector.value).is_err() {
        faults.push(selector.at("matchExpressions").invalid("each needs a key, an operator of In, NotIn, Exists, DoesNotExist, and values that fit it"));
    }
    faults
}

fn name(resource: &Resource, meta: &At<'_>) -> Vec<Fault> {
    let rule = match (resource.group, resource.plural) {
        ("", "services") => names::label_1035,
        ("", "namespaces") => names::label,
        ("rbac.authorization.k8s.io", _) => names::path_segment,
        _ => names::subdomain,
    };
    let (name, prefix) = (meta.at("name"), meta.at("generateName"));
    if !name.is_set() && !prefix.is_set() {
        return vec![name.required("name or generateName is required")];
    }
    let mut faults = name.optional_name(rule);
    // A prefix may end with a dash, since something follows it.
    let masked = |text: &str| match text.strip_suffix('-') {
        Some(head) => rule(&format!("{head}a")),
        None => rule(text),
    };
    faults.extend(prefix.optional_name(masked));
    faults
}

fn namespace(resource: &Resource, namespace: &At<'_>) -> Vec<Fault> {
    match (resource.namespaced, namespace.is_set()) {
        (true, _) => namespace.name(names::label),
        (false, true) => vec![namespace.forbidden("not allowed on this type")],
        (false, false) => Vec::new(),
    }
}

fn annotations(annotations: &At<'_>) -> Vec<Fault> {
    let entries = annotations.entries();
    let keys = entries.iter().flat_map(|(key, _)| {
        let found = names::qualified(&key.to_lowercase()).into_iter();
        found.map(|words| Fault::invalid(&annotations.path, *key, words))
    });
    let mut faults: Vec<Fault> = keys.collect();
    let size: usize = entries
        .iter()
        .map(|(key, value)| key.len() + value.text().len())
        .sum();
    if size > ANNOTATIONS_LIMIT {
        faults.push(Fault::too_long(&annotations.path, ANNOTATIONS_LIMIT));
    }
    faults
}

fn owners(list: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut controller: Option<&str> = None;
    for owner in list.items() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            let field = owner.at(field);
            if !field.is_set() {
                faults.push(Fault::invalid(
                    &field.path,
                    field.text(),
                    "must not be empty",
                ));
            }
        }
        if !owner.at("controller").is_true() {
            continue;
        }
        let name = owner.at("name").text();
        if let Some(first) = controller {
            faults.push(list.invalid(format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
            )));
        }
        controller = Some(name);
    }
    faults
}
