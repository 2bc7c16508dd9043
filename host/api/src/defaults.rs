//! Upstream's defaults for the kinds served, and the normal form that a typed server would give an object.
//!
//! Only what upstream's `SetDefaults_*` functions do. What its registry allocates (cluster IPs, node ports) or its
//! admission adds (`default` service account, tolerations) is the server's work.

mod access;
mod cluster;
mod pod;
mod volume;
mod workload;

use base64::Engine;
use serde_json::{Map, Value, json};

use crate::{Object, Resource, schema};

/// Fills what the client left out, and writes what has several spellings (nulls, quantities) in its one form.
/// Applying it twice changes nothing more.
pub fn apply(resource: &Resource, object: &mut Object) {
    schema::normalize(resource, object);
    match (resource.group, resource.plural) {
        ("", "pods") => pod::pod(object.as_map_mut()),
        ("", "replicationcontrollers") => replication_controller(object),
        ("batch", "jobs") => workload::job(object),
        ("batch", "cronjobs") => workload::cron_job(object),
        ("apps", "deployments") => workload::deployment(object),
        ("apps", "replicasets") => workload::replica_set(object),
        ("apps", "statefulsets") => workload::stateful_set(object),
        ("apps", "daemonsets") => workload::daemon_set(object),
        ("autoscaling", "horizontalpodautoscalers") => workload::autoscaler(object),
        ("", "services") => service(object),
        ("", "endpoints") => endpoints(object),
        ("discovery.k8s.io", "endpointslices") => endpoint_slice(object),
        ("", "secrets") => secret(object),
        ("", "namespaces") => namespace(object),
        ("", "nodes") => node(object),
        ("", "limitranges") => cluster::limits(object),
        ("", "podtemplates") => cluster::template(object),
        ("", "persistentvolumes") => cluster::volume(object),
        ("", "persistentvolumeclaims") => cluster::claim(object),
        ("storage.k8s.io", "storageclasses") => cluster::class(object),
        ("networking.k8s.io", "networkpolicies") => cluster::network_policy(object),
        ("scheduling.k8s.io", "priorityclasses") => cluster::priority(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            access::binding(object)
        }
        _ => structural(schema::document(resource), object.as_map_mut()),
    }
}

/// Puts `value` at `key` unless something is there.
fn default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.entry(key).or_insert_with(|| value.into());
}

/// As [`default`], where upstream's field is a plain text whose zero counts as absent.
fn default_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    if map
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or("")
        .is_empty()
    {
        map.insert(key.to_owned(), value.into());
    }
}

/// As [`default_text`] for numbers.
fn default_number(map: &mut Map<String, Value>, key: &str, value: i64) {
    if map.get(key).and_then(Value::as_i64).unwrap_or(0) == 0 {
        map.insert(key.to_owned(), value.into());
    }
}

/// The map at `key`, if there is one.
fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key)?.as_object_mut()
}

/// The maps in the list at `key`.
fn children<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = map.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn replication_controller(object: &mut Object) {
    let labels = object
        .get(&["spec", "template", "metadata", "labels"])
        .cloned();
    if let Some(labels) = labels {
        let empty = |path: &[&str]| {
            object
                .get(path)
                .and_then(Value::as_object)
                .is_none_or(Map::is_empty)
        };
        let (selects, labelled) = (
            !empty(&["spec", "selector"]),
            !empty(&["metadata", "labels"]),
        );
        if !selects {
            object.set(&["spec", "selector"], labels.clone());
        }
        if !labelled {
            object.set(&["metadata", "labels"], labels);
        }
    }
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default(spec, "replicas", 1);
    workload::template(spec);
}

fn endpoint_slice(object: &mut Object) {
    for port in children(object.as_map_mut(), "ports") {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

fn service(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default_text(spec, "sessionAffinity", "None");
    default_text(spec, "type", "ClusterIP");
    let kind = spec
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    session_affinity(spec);
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default(spec, "internalTrafficPolicy", "Cluster");
        default(spec, "ipFamilyPolicy", "SingleStack");
        default(spec, "ipFamilies", json!(["IPv4"]));
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    children(spec, "ports").for_each(service_port);
}

fn session_affinity(spec: &mut Map<String, Value>) {
    if spec.get("sessionAffinity") != Some(&json!("ClientIP")) {
        return;
    }
    default(spec, "sessionAffinityConfig", json!({}));
    let Some(config) = child(spec, "sessionAffinityConfig") else {
        return;
    };
    default(config, "clientIP", json!({}));
    if let Some(client) = child(config, "clientIP") {
        default(client, "timeoutSeconds", 10_800);
    }
}

fn service_port(port: &mut Map<String, Value>) {
    default_text(port, "protocol", "TCP");
    let unset = port
        .get("targetPort")
        .is_none_or(|target| *target == json!(0) || *target == json!(""));
    if let Some(number) = port.get("port").cloned().filter(|_| unset) {
        port.insert("targetPort".to_owned(), number);
    }
}

fn endpoints(object: &mut Object) {
    for subset in children(object.as_map_mut(), "subsets") {
        for port in children(subset, "ports") {
            default_text(port, "protocol", "TCP");
        }
    }
}

/// `stringData` is for writing only: it goes into `data`.
fn secret(object: &mut Object) {
    let map = object.as_map_mut();
    if let Some(Value::Object(plain)) = map.remove("stringData") {
        let data = map.entry("data").or_insert_with(|| json!({}));
        for (key, value) in plain {
            let text = value.as_str().unwrap_or("");
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            if let Some(data) = data.as_object_mut() {
                data.insert(key, encoded.into());
            }
        }
    }
    default_text(map, "type", "Opaque");
}

fn namespace(object: &mut Object) {
    let name = object.name().to_owned();
    if !name.is_empty() {
        object.set(
            &["metadata", "labels", "kubernetes.io/metadata.name"],
            name.into(),
        );
    }
    default(object.as_map_mut(), "spec", json!({}));
    default(object.as_map_mut(), "status", json!({}));
    if let Some(status) = child(object.as_map_mut(), "status") {
        default_text(status, "phase", "Active");
    }
}

fn node(object: &mut Object) {
    let Some(status) = child(object.as_map_mut(), "status") else {
        return;
    };
    if let Some(capacity) = status.get("capacity").cloned() {
        default(status, "allocatable", capacity);
    }
}

/// Structural defaulting: `default` of a schema, wherever its parent is there.
fn structural(schema: &'static Value, map: &mut Map<String, Value>) {
    let schema = schema::resolve(schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(value) = property.get("default") {
            default(map, name, value.clone());
        }
        match map.get_mut(name) {
            Some(Value::Object(inner)) => structural(property, inner),
            Some(Value::Array(list)) => {
                let Some(items) = schema::items(property) else {
                    continue;
                };
                list.iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|item| structural(items, item));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
