//! The replica sets of a Deployment as its revisions: which one is of the template of now, how a
//! new one is called and numbered, and which old ones are kept. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::REPLICA_SETS;
use serde_json::{Map, Value, json};

use super::wanted::Wanted;
use crate::{facts, hash, ownership};

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";
/// Annotations of the Deployment that its replica sets do not carry.
const OWN: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
];
/// The history annotation is cut from its oldest end to this many characters.
const HISTORY_LENGTH: usize = 2000;

/// One replica set, with the numbers that decisions need.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) object: Arc<Object>,
    /// `spec.replicas`.
    pub(crate) replicas: usize,
    /// Available pods. Never more than `replicas`: those beyond are going, the others stay.
    pub(crate) available: usize,
    pub(crate) revision: u64,
}

/// The replica sets of a Deployment.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    /// The one of the template of now.
    pub(crate) new: Option<Set>,
    /// The others, oldest first.
    pub(crate) old: Vec<Set>,
}

impl Set {
    fn of(object: &Arc<Object>) -> Self {
        let replicas = number(object, "spec", "replicas");
        let revision = object.annotation(REVISION);
        Self {
            object: Arc::clone(object),
            replicas,
            available: number(object, "status", "availableReplicas").min(replicas),
            revision: revision.and_then(|text| text.parse().ok()).unwrap_or(0),
        }
    }

    /// A number of its status.
    pub(crate) fn reported(&self, field: &str) -> usize {
        number(&self.object, "status", field)
    }

    /// A number that an annotation remembers.
    pub(super) fn remembered(&self, annotation: &str) -> Option<usize> {
        self.object.annotation(annotation)?.parse().ok()
    }
}

impl Revisions {
    pub(crate) fn of(wanted: &Wanted, sets: &[Arc<Object>]) -> Self {
        let mut sets: Vec<Set> = sets.iter().map(Set::of).collect();
        sets.sort_by_key(|set| (facts::created(&set.object), set.object.name().to_owned()));
        let is_new = |set: &Set| same_template(&wanted.template, &set.object);
        let new = sets.iter().position(is_new).map(|index| sets.remove(index));
        Self { new, old: sets }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    /// The sum of a number over all of them.
    pub(crate) fn sum(&self, number: impl Fn(&Set) -> usize) -> usize {
        self.all().map(number).sum()
    }

    /// The number of the new revision: above all old ones.
    pub(crate) fn revision(&self) -> u64 {
        let last = self.old.iter().map(|set| set.revision).max().unwrap_or(0);
        let own = self.new.as_ref().map_or(0, |set| set.revision);
        own.max(last + 1)
    }

    /// Old ones without pods beyond the history limit, the lowest revision first.
    pub(crate) fn superfluous(&self, wanted: &Wanted) -> Vec<Arc<Object>> {
        let mut old: Vec<&Set> = self
            .old
            .iter()
            .filter(|set| set.object.deletion_timestamp().is_none())
            .collect();
        old.sort_by_key(|set| set.revision);
        let beyond = old.len().saturating_sub(wanted.history);
        let settled = |set: &&&Set| {
            let observed = set.object.get(&["status", "observedGeneration"]);
            let observed = observed.and_then(Value::as_i64).unwrap_or(0);
            set.replicas == 0
                && set.reported("replicas") == 0
                && observed >= set.object.generation()
        };
        old.iter()
            .take(beyond)
            .filter(settled)
            .map(|set| Arc::clone(&set.object))
            .collect()
    }
}

fn number(object: &Object, part: &str, field: &str) -> usize {
    let number = object.get(&[part, field]).and_then(Value::as_u64);
    number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(0)
}

/// The templates are the same but for the label that tells replica sets apart.
pub(crate) fn same_template(template: &Value, set: &Object) -> bool {
    let Some(Value::Object(of_set)) = set.get(&["spec", "template"]) else {
        return false;
    };
    let Some(of_deployment) = template.as_object() else {
        return false;
    };
    let same = |field: &str| of_set.get(field) == of_deployment.get(field);
    same("spec")
        && without_hash(of_set.get("metadata")) == without_hash(of_deployment.get("metadata"))
}

/// Labels and annotations, without the hash and without what is empty.
fn without_hash(metadata: Option<&Value>) -> Map<String, Value> {
    let mut metadata = metadata
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    metadata
}

/// A new replica set for the Deployment's template.
pub(super) fn replica_set(deployment: &Object, wanted: &Wanted, replicas: usize) -> Object {
    let hash = hash::of(&format!("{}{}", wanted.template, wanted.collisions));
    let name = format!("{}-{hash}", deployment.name());
    let mut set = Object::new(&REPLICA_SETS, deployment.namespace(), &name);
    let mut template = Object::default();
    template.set(&["template"], wanted.template.clone());
    template.set(
        &["template", "metadata", "labels", HASH],
        hash.as_str().into(),
    );
    let labels = template.get(&["template", "metadata", "labels"]).cloned();
    set.set(&["metadata", "labels"], labels.unwrap_or_default());
    set.set(
        &["metadata", "ownerReferences"],
        json!([ownership::reference(deployment)]),
    );
    let selector = deployment.get(&["spec", "selector"]).cloned();
    set.set(&["spec", "selector"], selector.unwrap_or_default());
    set.set(&["spec", "selector", "matchLabels", HASH], hash.into());
    set.set(&["spec", "minReadySeconds"], wanted.min_ready.into());
    set.set(&["spec", "replicas"], replicas.into());
    let template = template.remove(&["template"]);
    set.set(&["spec", "template"], template.unwrap_or_default());
    set
}

/// The annotations that the new replica set must carry: the Deployment's, and its revision; a
/// number that it had before is remembered in its history.
pub(super) fn annotations(
    deployment: &Object,
    set: Option<&Set>,
    revision: u64,
) -> BTreeMap<String, String> {
    let mut wanted: BTreeMap<String, String> = deployment
        .annotations()
        .into_iter()
        .filter(|(key, _)| !OWN.contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    wanted.insert(REVISION.to_owned(), revision.to_string());
    if let Some(set) = set.filter(|set| set.revision != 0 && set.revision != revision) {
        let before = set.object.annotation(HISTORY);
        let mut history: Vec<String> = before
            .into_iter()
            .flat_map(|text| text.split(',').map(str::to_owned))
            .collect();
        history.push(set.revision.to_string());
        while history.len() > 1 && history.join(",").len() > HISTORY_LENGTH {
            history.remove(0);
        }
        wanted.insert(HISTORY.to_owned(), history.join(","));
    }
    wanted
}
