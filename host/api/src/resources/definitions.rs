//! Kinds that users define: the kind of their definitions, and how the names in one become a [`Resource`].
//!
//! Everywhere a kind is a `&'static Resource`, and so is one that a user defines: its names are kept for as long as the
//! process lives, those of one kind once. Its schema, which may be large and changes, is not kept here.

use std::cmp::Ordering;
use std::sync::OnceLock;

use serde_json::Value;

use super::{BASE, Resource, Scale, Status, Subresource, VERBS};
use crate::Object;

/// Definitions of kinds
/// (<https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>).
pub static CUSTOM_RESOURCE_DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Status],
    schema: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    ..BASE
};

/// More kinds than this, counting each state of their names, are not known to one process in its life.
const MOST: usize = 20_000;

/// What a kind that a user defines is called in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// `CronTab`.
    pub kind: String,
    /// `crontabs`.
    pub plural: String,
    /// `crontab`.
    pub singular: String,
    /// `ct`.
    pub short_names: Vec<String>,
    /// Such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What is served below an object.
    pub subresources: Vec<Subresource>,
}

impl Names {
    /// The names in a definition for one of its versions; those that were accepted count, and where none were yet
    /// those that are asked for.
    pub fn of(definition: &Object, version: &Value) -> Self {
        let accepted = definition.get(&["status", "acceptedNames"]);
        let accepted =
            accepted.filter(|names| names["plural"].as_str().is_some_and(|s| !s.is_empty()));
        let asked = definition.get(&["spec", "names"]);
        let names = accepted.or(asked).unwrap_or(&Value::Null);
        let text = |name: &str| names[name].as_str().unwrap_or("").to_owned();
        let parts = [("scale", Scale), ("status", Status)];
        let has = |name: &str| version["subresources"][name].is_object();
        Self {
            group: definition.text(&["spec", "group"]).to_owned(),
            version: version["name"].as_str().unwrap_or("").to_owned(),
            kind: text("kind"),
            plural: text("plural"),
            singular: text("singular"),
            short_names: strings(&names["shortNames"]),
            categories: strings(&names["categories"]),
            namespaced: definition.text(&["spec", "scope"]) == "Namespaced",
            subresources: parts
                .into_iter()
                .filter(|(name, _)| has(name))
                .map(|(_, part)| part)
                .collect(),
        }
    }

    /// The name of the schema in documents: the group backwards, the version and the kind.
    fn schema(&self) -> String {
        let mut parts: Vec<&str> = self.group.split('.').rev().collect();
        parts.extend([self.version.as_str(), self.kind.as_str()]);
        parts.join(".")
    }

    fn are_of(&self, resource: &Resource) -> bool {
        self.group == resource.group
            && resource.versions == [self.version.as_str()]
            && self.kind == resource.kind
            && self.plural == resource.plural
            && self.singular == resource.singular
            && resource.short_names == self.short_names
            && resource.categories == self.categories
            && self.namespaced == resource.namespaced
            && self.subresources == resource.subresources
    }

    fn kept(&self) -> Resource {
        Resource {
            group: text(&self.group),
            versions: texts(std::slice::from_ref(&self.version)),
            kind: text(&self.kind),
            plural: text(&self.plural),
            singular: text(&self.singular),
            short_names: texts(&self.short_names),
            categories: texts(&self.categories),
            namespaced: self.namespaced,
            subresources: Box::leak(self.subresources.clone().into_boxed_slice()),
            verbs: VERBS,
            schema: text(&self.schema()),
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn texts(list: &[String]) -> &'static [&'static str] {
    Box::leak(list.iter().map(|one| text(one)).collect())
}

/// One kept kind, and the one that was kept after it.
struct Kept {
    resource: Resource,
    next: Place,
}

type Place = OnceLock<&'static Kept>;

static FIRST: Place = OnceLock::new();

/// The kind with these names, the same one for the same names. `None` when this process knows too many already: then
/// it must be started anew.
pub fn custom(names: &Names) -> Option<&'static Resource> {
    let mut place = &FIRST;
    for _ in 0..MOST {
        let kept = place.get_or_init(|| {
            Box::leak(Box::new(Kept {
                resource: names.kept(),
                next: OnceLock::new(),
            }))
        });
        if names.are_of(&kept.resource) {
            return Some(&kept.resource);
        }
        place = &kept.next;
    }
    None
}

/// The kind that a definition makes, in the version that clients prefer, or where versions are converted by a program in the one
/// that is stored and needs no program; `None` if it is not established yet, no version
/// is served, or the kind is one of ours.
pub fn defined(definition: &Object) -> Option<&'static Resource> {
    let list = |path: [&str; 2]| {
        let list = definition.get(&path).and_then(Value::as_array);
        list.map_or(&[][..], Vec::as_slice)
    };
    let mut conditions = list(["status", "conditions"]).iter();
    conditions.find(|one| one["type"] == "Established" && one["status"] == "True")?;
    let served = list(["spec", "versions"]).iter();
    let served = served.filter(|version| version["served"] == true);
    let name = |version: &&Value| version["name"].as_str().unwrap_or("").to_owned();
    let converted = definition.get(&["spec", "conversion", "strategy"]) == Some(&"Webhook".into());
    let stored = |version: &&Value| converted && version["storage"] == true;
    let best = served.clone().find(stored);
    let best = best.or_else(|| served.min_by(|a, b| by_priority(&name(a), &name(b))))?;
    let names = Names::of(definition, best);
    let mut ours = super::all().iter();
    if ours.any(|one| one.group == names.group && one.plural == names.plural) {
        return None;
    }
    custom(&names)
}

/// The order of versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, and then any other words by the alphabet.
pub fn by_priority(a: &str, b: &str) -> Ordering {
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Stability, major and minor number of `v1`, `v1beta2`, `v1alpha1`.
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, word) = rest.split_at(digits);
    let major = major.parse().ok().filter(|major| *major > 0)?;
    let (stability, minor) = match (word.strip_prefix("beta"), word.strip_prefix("alpha")) {
        (Some(minor), _) => (1, minor),
        (_, Some(minor)) => (0, minor),
        _ if word.is_empty() => return Some((2, major, 0)),
        _ => return None,
    };
    let minor = minor.parse().ok().filter(|minor| *minor > 0)?;
    Some((stability, major, minor))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        Names {
            group: "stable.example.com".into(),
            version: "v1".into(),
            kind: "CronTab".into(),
            plural: "crontabs".into(),
            singular: "crontab".into(),
            short_names: vec!["ct".into()],
            namespaced: true,
            subresources: vec![Status],
            ..Names::default()
        }
    }

    #[test]
    fn the_same_names_are_kept_once() {
        let one = custom(&names()).unwrap();
        assert!(std::ptr::eq(one, custom(&names()).unwrap()));
        assert_eq!(one.schema, "com.example.stable.v1.CronTab");
        let other = Names {
            version: "v2".into(),
            ..names()
        };
        let other = custom(&other).unwrap();
        assert!(!std::ptr::eq(one, other));
        assert!(!one.strategic());
        assert_eq!(one, other, "versions of a kind are one kind");
    }

    #[test]
    fn versions_are_ordered_as_upstream_does() {
        let mut versions = [
            "foo10",
            "v1alpha1",
            "v11alpha2",
            "foo1",
            "v1",
            "v3beta1",
            "v10",
            "v12alpha1",
            "v10beta3",
            "v11beta2",
            "v2",
        ];
        versions.sort_by(|a, b| by_priority(a, b));
        let wanted = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "v1alpha1",
            "foo1",
            "foo10",
        ];
        assert_eq!(versions, wanted);
    }

    #[test]
    fn a_definition_is_a_kind_once_it_is_established() {
        let mut definition = Object::from_value(json!({
            "spec": {"group": "stable.example.com", "scope": "Cluster",
                "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab"},
                "versions": [{"name": "v1beta1", "served": true}, {"name": "v2", "served": false}, {"name": "v1", "served": true}]},
        }))
        .unwrap();
        assert_eq!(defined(&definition), None);
        definition.set(
            &["status"],
            json!({"conditions": [{"type": "Established", "status": "True"}]}),
        );
        let found = defined(&definition).unwrap();
        assert_eq!((found.versions, found.namespaced), (&["v1"][..], false));
        definition.set(&["spec", "conversion"], json!({"strategy": "Webhook"}));
        definition.set(&["spec", "versions"], json!([{"name": "v1", "served": true}, {"name": "v1beta1", "served": true, "storage": true}]));
        assert_eq!(defined(&definition).unwrap().versions, ["v1beta1"]);
    }
}
