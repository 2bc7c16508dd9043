//! ConfigMaps and Secrets.

use serde_json::Value;

use super::at::At;
use super::names;
use osier_api::{Fault, Object};

const LIMIT: usize = 1024 * 1024;

pub(super) fn check_map(object: &Object) -> Vec<Fault> {
    let (data, binary) = (At::of(object, "data"), At::of(object, "binaryData"));
    let mut faults = keys(&data);
    faults.extend(keys(&binary));
    for (key, at) in data.entries() {
        if binary.value.get(key).is_some() {
            faults.push(Fault::invalid(
                &at.path,
                key,
                "duplicate of key present in binaryData",
            ));
        }
    }
    let size = data
        .entries()
        .iter()
        .map(|(_, at)| at.text().len())
        .sum::<usize>()
        + decoded(&binary);
    if size > LIMIT {
        faults.push(Fault::too_long("data", LIMIT));
    }
    faults
}

pub(super) fn check_secret(object: &Object) -> Vec<Fault> {
    let data = At::of(object, "data");
    let mut faults = keys(&data);
    if decoded(&data) > LIMIT {
        faults.push(Fault::too_long("data", LIMIT));
    }
    for key in needed(object.text(&["type"])) {
        if data.value.get(*key).is_none() {
            faults.push(Fault::required(format!("data[{key}]"), ""));
        }
    }
    faults
}

/// An immutable object keeps its data, and stays immutable; a Secret keeps its type.
pub(super) fn check_update(old: &Object, new: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    if old.text(&["type"]) != new.text(&["type"]) {
        faults.push(Fault::immutable("type", new.text(&["type"])));
    }
    if old.get(&["immutable"]) != Some(&Value::Bool(true)) {
        return faults;
    }
    let words = "field is immutable when `immutable` is set";
    for field in ["immutable", "data", "binaryData"] {
        if old.get(&[field]) != new.get(&[field]) {
            faults.push(Fault::forbidden(field, words));
        }
    }
    faults
}

fn keys(data: &At<'_>) -> Vec<Fault> {
    let invalid = |key: &str| {
        let path = format!("{}[{key}]", data.path);
        names::config_key(key)
            .into_iter()
            .map(move |words| Fault::invalid(path.clone(), key, words))
            .collect::<Vec<_>>()
    };
    data.entries()
        .into_iter()
        .flat_map(|(key, _)| invalid(key))
        .collect()
}

/// Bytes behind the base64 texts, near enough for a limit.
fn decoded(data: &At<'_>) -> usize {
    data.entries()
        .iter()
        .map(|(_, at)| at.text().len() / 4 * 3)
        .sum()
}

/// Keys that a Secret of a well-known type must have.
fn needed(kind: &str) -> &'static [&'static str] {
    match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}
