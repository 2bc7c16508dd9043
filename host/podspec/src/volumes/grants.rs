//! What a pod's annotations grant to its containers: buckets and configuration in volumes of the pod, and a log with levels.

use std::collections::{BTreeMap, BTreeSet};

use osier_api::Object;
use serde_json::{Value, json};

use super::part::Variables;
use super::{Mounted, Scope, VolumeError, list, parts, volume, volumes};
use crate::environment::{Place, Sources};
use crate::wish::Tokens;

/// Buckets of `wasi:keyvalue`: `VOLUME` or `BUCKET=VOLUME`, separated by commas.
const KEY_VALUE: &str = "osier.dev/keyvalue";
/// Volumes with the configuration of `wasi:config`, separated by commas.
const CONFIGURATION: &str = "osier.dev/config";
/// The least level of `wasi:logging` that is written.
const LOGGING: &str = "osier.dev/logging";

/// Buckets, or volumes, that one pod may name.
const MOST: usize = 32;
/// The levels of `wasi:logging`.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];

/// What a pod is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The volume of each bucket.
    pub buckets: BTreeMap<String, String>,
    /// Volumes with configuration; the first that has a key counts.
    pub configuration: Vec<String>,
    /// The least level that is written.
    pub logging: Option<String>,
}

/// An annotation that grants nothing, because it is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation}: {detail}")]
pub struct GrantError {
    /// Its name.
    pub annotation: &'static str,
    /// What it says.
    pub value: String,
    /// What is wrong with it, and what to do.
    pub detail: String,
}

impl Grants {
    /// Of a pod, or of a template of pods.
    ///
    /// # Errors
    /// The first annotation that is wrong.
    pub fn of(pod: &Object) -> Result<Self, GrantError> {
        Ok(Self {
            buckets: read(pod, KEY_VALUE, buckets)?.unwrap_or_default(),
            configuration: read(pod, CONFIGURATION, configuration)?.unwrap_or_default(),
            logging: read(pod, LOGGING, |_, word| level(word))?,
        })
    }

    /// The volumes that it needs.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        let volumes = self.buckets.values().chain(&self.configuration);
        volumes.map(String::as_str)
    }
}

/// Whether a volume holds what objects say.
pub(super) fn is_files(volume: &Value) -> bool {
    volume["projected"].is_object() || !parts(volume).is_empty()
}

/// The volumes that a container mounts, and those that its pod is granted as something else than files.
pub(super) fn used<'a>(pod: &'a Object, container: &Value) -> Vec<&'a Value> {
    let mounts = list(&container["volumeMounts"]);
    let mounted = mounts.filter_map(|mount| volume(pod, mount["name"].as_str()?));
    // What is wrong with grants is told when the container is made.
    let grants = Grants::of(pod).unwrap_or_default();
    let granted = grants.volumes().filter_map(|name| volume(pod, name));
    mounted.chain(granted).collect()
}

/// The volumes that the pod is granted as something else than files, by name, with what they hold now. No container sees them by a path.
///
/// # Errors
/// What keeps its containers from being given them.
pub fn granted(
    pod: &Object,
    grants: &Grants,
    (sources, tokens): (&Sources, &Tokens),
    place: &Place,
) -> Result<Vec<Mounted>, VolumeError> {
    let scope = Scope {
        pod,
        sources,
        tokens,
        place,
    };
    let names: BTreeSet<&str> = grants.volumes().collect();
    let whole = |name| scope.mounted(&json!({"name": name}), &Variables::default());
    names.into_iter().map(whole).collect()
}

fn read<T>(
    pod: &Object,
    annotation: &'static str,
    meaning: impl FnOnce(&Object, &str) -> Result<T, String>,
) -> Result<Option<T>, GrantError> {
    let Some(value) = pod.annotation(annotation) else {
        return Ok(None);
    };
    let wrong = |detail| GrantError {
        annotation,
        value: value.to_owned(),
        detail,
    };
    meaning(pod, value).map(Some).map_err(wrong)
}

fn words(text: &str) -> Result<Vec<&str>, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if words.iter().any(|word| word.is_empty()) {
        return Err("must name volumes of the pod, separated by commas".to_owned());
    }
    match words.len() > MOST {
        true => Err(format!("must name at most {MOST}")),
        false => Ok(words),
    }
}

fn buckets(pod: &Object, text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for word in words(text)? {
        let (bucket, kept) = word.split_once('=').unwrap_or((word, word));
        let (bucket, kept) = (bucket.trim(), kept.trim());
        if is_files(the(pod, kept)?) {
            return Err(format!(
                "volume {kept:?} follows objects and cannot be written; keep buckets in an emptyDir, persistentVolumeClaim or hostPath, \
                 or grant it as configuration by {CONFIGURATION}"
            ));
        }
        if found.insert(bucket.to_owned(), kept.to_owned()).is_some() {
            return Err(format!("names bucket {bucket:?} twice"));
        }
    }
    Ok(found)
}

fn configuration(pod: &Object, text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for name in words(text)? {
        if !is_files(the(pod, name)?) {
            return Err(format!(
                "volume {name:?} is not configuration; name a configMap, secret, downwardAPI or projected volume, \
                 or grant it as a bucket by {KEY_VALUE}"
            ));
        }
        found.push(name.to_owned());
    }
    Ok(found)
}

fn level(text: &str) -> Result<String, String> {
    match LEVELS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be one of {}", LEVELS.join(", "))),
    }
}

/// The volume of that name.
fn the<'a>(pod: &'a Object, name: &str) -> Result<&'a Value, String> {
    volume(pod, name).ok_or_else(|| {
        let known: Vec<&str> = volumes(pod)
            .filter_map(|volume| volume["name"].as_str())
            .collect();
        let known = match known.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", known.join(", ")),
        };
        format!("the pod has no volume {name:?} ({known}); add it to spec.volumes")
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(annotations: Value) -> Object {
        Object::from_value(
            json!({"metadata": {"annotations": annotations}, "spec": {"volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "all", "projected": {"sources": [{"secret": {"name": "key"}}]}},
            ]}}),
        )
        .unwrap()
    }

    #[test]
    fn nothing_is_granted_unless_it_is_said() {
        assert_eq!(Grants::of(&pod(json!({}))), Ok(Grants::default()));
    }

    #[test]
    fn annotations_name_volumes_of_the_pod() {
        let said = json!({KEY_VALUE: "data, default=kept", CONFIGURATION: "settings,all", LOGGING: "warn"});
        let grants = Grants::of(&pod(said)).unwrap();
        let buckets: Vec<_> = grants.buckets.iter().collect();
        assert_eq!(
            buckets,
            [
                (&"data".to_owned(), &"data".to_owned()),
                (&"default".to_owned(), &"kept".to_owned())
            ]
        );
        assert_eq!(grants.configuration, ["settings", "all"]);
        assert_eq!(grants.logging.as_deref(), Some("warn"));
        let volumes: Vec<_> = grants.volumes().collect();
        assert_eq!(volumes, ["data", "kept", "settings", "all"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let many = vec!["data"; 40].join(",");
        for (annotation, value, words) in [
            (KEY_VALUE, "sessions", "it has data, kept, settings, all"),
            (KEY_VALUE, "settings", "osier.dev/config"),
            (KEY_VALUE, "data,", "separated by commas"),
            (KEY_VALUE, "a=data,a=kept", "twice"),
            (KEY_VALUE, many.as_str(), "at most 32"),
            (CONFIGURATION, "data", "osier.dev/keyvalue"),
            (LOGGING, "loud", "trace, debug, info"),
        ] {
            let error = Grants::of(&pod(json!({annotation: value}))).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(annotation) && told.contains(words), "{told}");
        }
    }
}
