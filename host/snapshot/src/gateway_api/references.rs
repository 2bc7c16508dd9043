//! What routes and gateways refer to, and whether they may: an object of another namespace only if a ReferenceGrant there says so
//! (<https://gateway-api.sigs.k8s.io/api-types/referencegrant/>).

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::inputs::Inputs;
use osier_routing::kind::Kind;

/// Objects that others refer to.
pub(crate) struct References<'a> {
    services: HashMap<String, &'a Arc<Object>>,
    config_maps: HashMap<String, &'a Arc<Object>>,
    /// By namespace.
    grants: HashMap<&'a str, Vec<&'a Arc<Object>>>,
    pub(super) namespaces: &'a [Arc<Object>],
}

/// An object that a field names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) kind: Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl<'a> References<'a> {
    pub(crate) fn of(inputs: &Inputs<'a>) -> Self {
        let services = inputs.services.iter();
        let config_maps = inputs.gateway_api.config_maps.iter();
        let mut grants: HashMap<&str, Vec<&Arc<Object>>> = HashMap::new();
        for grant in inputs.gateway_api.reference_grants {
            grants.entry(grant.namespace()).or_default().push(grant);
        }
        Self {
            services: services.map(|service| (key(service), service)).collect(),
            config_maps: config_maps.map(|map| (key(map), map)).collect(),
            grants,
            namespaces: inputs.namespaces,
        }
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&'a Arc<Object>> {
        self.services.get(&format!("{namespace}/{name}")).copied()
    }

    pub(super) fn config_map(&self, namespace: &str, name: &str) -> Option<&'a Arc<Object>> {
        self.config_maps
            .get(&format!("{namespace}/{name}"))
            .copied()
    }

    /// Whether an object of kind `from` in namespace `own` may refer to `to`.
    pub(super) fn permit(&self, (from, own): (Kind, &str), to: Target<'_>) -> bool {
        let mut grants = self.grants.get(to.namespace).into_iter().flatten();
        to.namespace == own || grants.any(|grant| permits(grant, (from, own), to))
    }

    /// The grants that a reference into a namespace depends on.
    pub(super) fn grants(&self, namespace: &str) -> impl Iterator<Item = Arc<Object>> {
        let grants = self.grants.get(namespace).into_iter().flatten();
        grants.map(|grant| Arc::clone(grant))
    }
}

fn key(object: &Object) -> String {
    format!("{}/{}", object.namespace(), object.name())
}

fn permits(grant: &Object, (from, own): (Kind, &str), to: Target<'_>) -> bool {
    let is = |entry: &Value, kind: Kind| entry["group"] == kind.group && entry["kind"] == kind.name;
    let source = |entry: &&Value| is(entry, from) && entry["namespace"] == own;
    let object = |entry: &&Value| {
        let name = entry["name"].as_str().filter(|name| !name.is_empty());
        is(entry, to.kind) && name.is_none_or(|name| name == to.name)
    };
    entries(grant, "from").any(|entry| source(&entry))
        && entries(grant, "to").any(|entry| object(&entry))
}

fn entries<'a>(grant: &'a Object, list: &str) -> impl Iterator<Item = &'a Value> {
    let list = grant.get(&["spec", list]).and_then(Value::as_array);
    list.into_iter().flatten()
}
