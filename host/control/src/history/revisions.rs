//! Revisions as values: which one is of the template of now, how a new one is called and numbered, which old ones go. Pure.

use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::CONTROLLER_REVISIONS;
use serde_json::{Value, json};

use crate::{hash as short, ownership};

/// Tells the pods of one revision from those of another.
pub(crate) const LABEL: &str = "controller-revision-hash";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The revisions of an object, by number; the last one is of its template of now.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Vec<Arc<Object>>);

/// What makes the history true.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is: the newest revision is of the template of now.
    Here,
    /// Such a template was never there.
    Create(Box<Object>),
    /// It was, and comes back under this number.
    Renumber(Arc<Object>, u64),
}

impl History {
    /// The revision of the template of now.
    pub(crate) fn newest(&self) -> Option<&Arc<Object>> {
        self.0.last()
    }

    /// A revision by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Object>> {
        self.0.iter().find(|revision| revision.name() == name)
    }
}

/// Decides from the object and the revisions that it owns.
pub(crate) fn decide(object: &Object, mut owned: Vec<Arc<Object>>) -> (History, Next) {
    owned.retain(|revision| revision.deletion_timestamp().is_none());
    owned.sort_by_key(|revision| (number(revision), revision.name().to_owned()));
    let data = data(object);
    let last = owned.last().map_or(0, |revision| number(revision));
    let mut newest_first = owned.iter().rev();
    let same = newest_first.find(|revision| revision.get(&["data"]) == Some(&data));
    let next = match same {
        Some(same) if number(same) == last => Next::Here,
        Some(same) => Next::Renumber(Arc::clone(same), last + 1),
        None => Next::Create(Box::new(revision(object, data, last + 1))),
    };
    (History(owned), next)
}

/// Revisions that are not `live` beyond `limit`, the oldest first.
pub(crate) fn superfluous(
    history: &History,
    live: impl Fn(&Object) -> bool,
    limit: usize,
) -> Vec<Arc<Object>> {
    let (_newest, old) = match history.0.split_last() {
        Some(split) => split,
        None => return Vec::new(),
    };
    let idle = old.iter().filter(|revision| !live(revision));
    let idle: Vec<&Arc<Object>> = idle.collect();
    let beyond = idle.len().saturating_sub(limit);
    idle.into_iter().take(beyond).cloned().collect()
}

/// The patch that brings the template back, as kubectl applies it.
fn data(object: &Object) -> Value {
    let template = object.get(&["spec", "template"]).cloned();
    let mut template = template.unwrap_or_else(|| json!({}));
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision remembers.
pub(crate) fn template(revision: &Object) -> Value {
    let template = revision.get(&["data", "spec", "template"]).cloned();
    let mut template = template.unwrap_or_default();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    template
}

/// What a revision's pods are labelled with, where that is not its name.
pub(crate) fn hash(revision: &Object) -> &str {
    revision.label(LABEL).unwrap_or_default()
}

/// How often the name of a new revision was taken.
pub(crate) fn collisions(object: &Object) -> u64 {
    let count = object.get(&["status", "collisionCount"]);
    count.and_then(Value::as_u64).unwrap_or(0)
}

fn number(revision: &Object) -> u64 {
    let number = revision.get(&["revision"]);
    number.and_then(Value::as_u64).unwrap_or(0)
}

fn revision(object: &Object, data: Value, number: u64) -> Object {
    let hash = short::of(&format!("{data}{}", collisions(object)));
    let name = format!("{}-{hash}", object.name());
    let mut revision = Object::new(&CONTROLLER_REVISIONS, object.namespace(), &name);
    let labels = object.get(&["spec", "template", "metadata", "labels"]);
    revision.set(
        &["metadata", "labels"],
        labels.cloned().unwrap_or_else(|| json!({})),
    );
    revision.set(&["metadata", "labels", LABEL], hash.into());
    for (key, value) in object.annotations() {
        if key != LAST_APPLIED {
            revision.set(&["metadata", "annotations", key], value.into());
        }
    }
    let owners = json!([ownership::reference(object)]);
    revision.set(&["metadata", "ownerReferences"], owners);
    revision.set(&["data"], data);
    revision.set(&["revision"], number.into());
    revision
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn set(image: &str) -> Object {
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "web", "namespace": "shop", "uid": "s", "annotations": {"kubernetes.io/change-cause": image, LAST_APPLIED: "x"}},
            "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}}}}))
        .unwrap()
    }

    /// The history after the templates were rolled out one after the other, and what follows for `now`.
    fn rolled(images: &[&str], now: &str) -> (History, Next) {
        let mut all: Vec<Arc<Object>> = Vec::new();
        for image in images {
            match decide(&set(image), all.clone()).1 {
                Next::Here => {}
                Next::Create(revision) => all.push(Arc::new(*revision)),
                Next::Renumber(revision, number) => {
                    let mut renumbered = (*revision).clone();
                    renumbered.set(&["revision"], number.into());
                    all.retain(|one| one.name() != revision.name());
                    all.push(Arc::new(renumbered));
                }
            }
        }
        decide(&set(now), all)
    }

    #[test]
    fn a_new_template_is_a_new_revision_and_an_old_one_comes_back_under_a_new_number() {
        let (_, next) = rolled(&[], "v1");
        let Next::Create(first) = next else {
            panic!("{next:?}")
        };
        assert_eq!(first.name(), format!("web-{}", hash(&first)));
        assert_eq!((number(&first), first.label("app")), (1, Some("web")));
        assert_eq!(first.annotation("kubernetes.io/change-cause"), Some("v1"));
        assert_eq!(first.annotation(LAST_APPLIED), None);
        assert_eq!(
            Some(&template(&first)),
            set("v1").get(&["spec", "template"])
        );
        assert!(matches!(rolled(&["v1"], "v1").1, Next::Here));
        let (_, next) = rolled(&["v1", "v2"], "v1");
        assert!(matches!(&next, Next::Renumber(_, 3)), "{next:?}");
        let (history, next) = rolled(&["v1", "v2", "v1"], "v1");
        assert!(matches!(next, Next::Here));
        assert_eq!(
            template(history.newest().unwrap())["spec"]["containers"][0]["image"],
            "v1"
        );
    }

    #[test]
    fn a_taken_name_gives_way_to_another() {
        let mut collided = set("v1");
        collided.set(&["status", "collisionCount"], 1.into());
        let names = [set("v1"), collided].map(|set| {
            let (_, next) = decide(&set, Vec::new());
            let Next::Create(revision) = next else {
                panic!("{next:?}")
            };
            revision.name().to_owned()
        });
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn idle_revisions_beyond_the_limit_go_oldest_first() {
        let (history, _) = rolled(&["v1", "v2", "v3", "v4"], "v4");
        let image = |revision: &Arc<Object>| {
            template(revision)["spec"]["containers"][0]["image"].to_string()
        };
        let gone = |live: &[&str], limit| -> Vec<String> {
            let live = |revision: &Object| live.contains(&revision.name());
            superfluous(&history, live, limit)
                .iter()
                .map(image)
                .collect()
        };
        assert_eq!(gone(&[], 1), ["\"v1\"", "\"v2\""]);
        let first = history.0[0].name();
        assert_eq!(gone(&[first], 1), ["\"v2\""]);
        assert!(gone(&[], 10).is_empty());
    }
}
