//! Discovery: which groups, versions and resources there are, in the old form (one document a group version) and the
//! aggregated one.

use std::collections::BTreeMap;

use osier_api::resources::{CUSTOM_METRICS, REQUESTS_PER_SECOND, by_priority};
use osier_api::{Resource, Subresource};
use serde_json::{Value, json};

use crate::Entry;
use crate::document::Document;

/// Versions of one group, best first, each with its kinds.
pub(crate) type Versions<'a> = Vec<(&'static str, Vec<Entry<'a>>)>;

/// The form of a discovery document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document a group version.
    Legacy,
    /// Everything in one document, of this version of `apidiscovery.k8s.io`.
    Aggregated(&'static str),
}

/// All discovery documents of one state of the kinds.
pub struct Documents {
    core: Forms,
    groups: Forms,
    group: BTreeMap<String, Document>,
    version: BTreeMap<(String, String), Document>,
}

/// One document in its three forms.
struct Forms {
    legacy: Document,
    v2: Document,
    v2beta1: Document,
}

impl Forms {
    fn new(legacy: &Value, groups: &[(&'static str, Versions<'_>)]) -> Self {
        Self {
            legacy: Document::new(legacy),
            v2: Document::new(&aggregated("v2", groups)),
            v2beta1: Document::new(&aggregated("v2beta1", groups)),
        }
    }

    fn in_form(&self, form: Form) -> &Document {
        match form {
            Form::Legacy => &self.legacy,
            Form::Aggregated("v2") => &self.v2,
            Form::Aggregated(_) => &self.v2beta1,
        }
    }
}

impl Documents {
    /// The documents of these kinds.
    pub fn new(entries: &[Entry<'_>]) -> Self {
        let all = groups(entries);
        let (core, named): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|(group, _)| group.is_empty());
        let listed: Vec<Value> = named
            .iter()
            .map(|(group, versions)| api_group(group, versions))
            .collect();
        let group = named.iter().map(|(group, versions)| {
            let mut value = api_group(group, versions);
            value["kind"] = json!("APIGroup");
            value["apiVersion"] = json!("v1");
            ((*group).to_owned(), Document::new(&value))
        });
        let version = all.iter().flat_map(|(group, versions)| {
            versions.iter().map(|(version, resources)| {
                let key = ((*group).to_owned(), (*version).to_owned());
                (
                    key,
                    Document::new(&resource_list(group, version, resources)),
                )
            })
        });
        let core_versions =
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []});
        let group_list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed});
        Self {
            core: Forms::new(&core_versions, &core),
            groups: Forms::new(&group_list, &named),
            group: group.collect(),
            version: version.collect(),
        }
    }

    /// `/api`.
    pub fn core(&self, form: Form) -> &Document {
        self.core.in_form(form)
    }

    /// `/apis`.
    pub fn groups(&self, form: Form) -> &Document {
        self.groups.in_form(form)
    }

    /// The paths of groups and of their versions.
    pub fn paths(&self) -> Vec<String> {
        let groups = self.group.keys().map(|group| format!("/apis/{group}"));
        let versions = self
            .version
            .keys()
            .map(|(group, version)| match group.as_str() {
                "" => format!("/api/{version}"),
                group => format!("/apis/{group}/{version}"),
            });
        let roots = ["/api", "/apis"].map(str::to_owned);
        roots.into_iter().chain(groups).chain(versions).collect()
    }

    /// `/apis/GROUP`.
    pub fn group(&self, group: &str) -> Option<&Document> {
        self.group.get(group)
    }

    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub fn version(&self, group: &str, version: &str) -> Option<&Document> {
        self.version.get(&(group.to_owned(), version.to_owned()))
    }
}

/// Every group with its versions and their kinds, in the order in which the kinds are given.
pub(crate) fn groups<'a>(entries: &[Entry<'a>]) -> Vec<(&'static str, Versions<'a>)> {
    let mut groups: Vec<(&'static str, Versions<'a>)> = Vec::new();
    for entry in entries {
        let group = entry.resource.group;
        let known = groups.iter().position(|(name, _)| *name == group);
        let index = known.unwrap_or_else(|| {
            groups.push((group, Vec::new()));
            groups.len() - 1
        });
        let versions = &mut groups[index].1;
        for version in entry.resource.versions {
            match versions.iter_mut().find(|(name, _)| name == version) {
                Some((_, members)) => members.push(*entry),
                None => versions.push((version, vec![*entry])),
            }
        }
        // Our own kinds say which version is the best; what users add takes its place by the name.
        if entry.document.is_some() {
            versions.sort_by(|(a, _), (b, _)| by_priority(a, b));
        }
    }
    groups
}

/// The name, kind, group and version of a part of a resource, and what can be done with it.
pub(crate) struct PartOf {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) verbs: &'static [&'static str],
}

/// How a part is described; group and version are empty where they are those of the resource.
pub(crate) fn part(resource: &Resource, part: Subresource) -> PartOf {
    let connect: &[&str] = &["create", "get"];
    let (name, kind, group, version, verbs): (_, _, _, _, &[&str]) = match part {
        Subresource::Status => ("status", resource.kind, "", "", &["get", "patch", "update"]),
        Subresource::Scale => (
            "scale",
            "Scale",
            "autoscaling",
            "v1",
            &["get", "patch", "update"],
        ),
        Subresource::Approval => (
            "approval",
            resource.kind,
            "",
            "",
            &["get", "patch", "update"],
        ),
        Subresource::Log => ("log", resource.kind, "", "", &["get"]),
        Subresource::PortForward => ("portforward", "PodPortForwardOptions", "", "", connect),
        Subresource::Exec => ("exec", "PodExecOptions", "", "", connect),
        Subresource::Attach => ("attach", "PodAttachOptions", "", "", connect),
        Subresource::Binding => ("binding", "Binding", "", "", &["create"]),
        Subresource::Finalize => ("finalize", resource.kind, "", "", &["update"]),
        Subresource::Eviction => ("eviction", "Eviction", "policy", "v1", &["create"]),
        Subresource::Token => (
            "token",
            "TokenRequest",
            "authentication.k8s.io",
            "v1",
            &["create"],
        ),
    };
    PartOf {
        name,
        kind,
        group,
        version,
        verbs,
    }
}

fn api_group(group: &str, versions: &Versions<'_>) -> Value {
    let named: Vec<Value> = versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": named, "preferredVersion": named.first()})
}

fn resource_list(group: &str, version: &str, members: &[Entry<'_>]) -> Value {
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let entries: Vec<Value> = members
        .iter()
        .flat_map(|Entry { resource, .. }| {
            let parts = resource
                .subresources
                .iter()
                .map(|kind| legacy_part(resource, part(resource, *kind)));
            std::iter::once(legacy(resource)).chain(parts)
        })
        .collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries})
}

fn legacy(resource: &Resource) -> Value {
    // Of custom metrics, what can be asked for is a metric of pods.
    let name = match *resource == CUSTOM_METRICS {
        true => format!("{}/{REQUESTS_PER_SECOND}", resource.plural),
        false => resource.plural.to_owned(),
    };
    let mut entry = json!({
        "name": name,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    entry
}

fn legacy_part(resource: &Resource, part: PartOf) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, part.name),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": part.kind,
        "verbs": part.verbs,
    });
    if !part.group.is_empty() {
        entry["group"] = json!(part.group);
        entry["version"] = json!(part.version);
    }
    entry
}

fn aggregated(form: &str, groups: &[(&'static str, Versions<'_>)]) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, members)| {
                    let resources: Vec<Value> = members
                        .iter()
                        .map(|entry| aggregated_resource(entry.resource, version))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{form}"),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(resource: &Resource, version: &str) -> Value {
    let scope = if resource.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|named| {
            let part = part(resource, *named);
            let (group, version) =
                if part.group.is_empty() { (resource.group, version) } else { (part.group, part.version) };
            json!({"subresource": part.name, "responseKind": kind(group, version, part.kind), "verbs": part.verbs})
        })
        .collect();
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, version, resource.kind),
        "scope": scope,
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if *resource == CUSTOM_METRICS {
        let of = kind(resource.group, version, resource.kind);
        parts.push(json!({"subresource": REQUESTS_PER_SECOND, "responseKind": of, "verbs": resource.verbs}));
        entry["verbs"] = json!([]);
    }
    for (field, list) in [
        ("shortNames", json!(resource.short_names)),
        ("categories", json!(resource.categories)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            entry[field] = list;
        }
    }
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}
