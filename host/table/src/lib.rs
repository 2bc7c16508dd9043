//! Server-side printing: columns and rows of every kind, as `kubectl get` shows them. The words of people, never a value that a program reads: what
//! programs need is in the objects. Pure: no clock but the one it is given.

mod access;
mod admission;
mod age;
mod autoscaler;
mod cluster;
mod core;
mod gateway_api;
mod job;
mod mesh;
mod networking;
mod pod;
mod policy;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use osier_api::{Object, Resource};

pub use age::human;

/// Which part of each object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// `includeObject=None`.
    None,
    /// `includeObject=Metadata`, the default: kubectl needs it for `-A`, `-L` and `--show-labels`.
    #[default]
    Metadata,
    /// `includeObject=Object`.
    Object,
}

/// One column.
struct Column {
    name: &'static str,
    kind: &'static str,
    /// Shown by `-o wide` only.
    wide: bool,
    description: &'static str,
}

/// How a kind is shown.
struct Layout {
    columns: &'static [Column],
    /// One cell per column.
    cells: fn(&Object, Timestamp) -> Vec<Value>,
}

const fn text(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        wide: false,
        description,
    }
}

const fn number(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        wide: false,
        description,
    }
}

const fn wide(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        wide: true,
        description,
    }
}

const NAME: Column = text("Name", "Name must be unique within a namespace.");
const AGE: Column = text("Age", "Time since the object was created.");

/// A meta.k8s.io/v1 Table of the objects; rows carry PartialObjectMetadata.
pub fn render(resource: &Resource, objects: &[Object], now: Timestamp) -> Value {
    render_with(resource, objects, now, Include::default())
}

/// As [`render`], choosing what rows carry. The list's own metadata goes into `metadata` afterwards.
pub fn render_with(
    resource: &Resource,
    objects: &[Object],
    now: Timestamp,
    include: Include,
) -> Value {
    let layout = layout(resource);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| row(resource, &layout, object, now, include))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": layout.columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": rows,
    })
}

/// The table of one `autoscaling/v1` Scale, in a version of meta.k8s.io.
pub fn scale(scale: &Value, version: &str, now: Timestamp) -> Value {
    let metadata = &scale["metadata"];
    let columns = [
        NAME,
        number("Desired", "How many there shall be."),
        number("Available", "How many there are."),
        AGE,
    ];
    let (wanted, found) = (&scale["spec"]["replicas"], &scale["status"]["replicas"]);
    let age = age::since(metadata["creationTimestamp"].as_str(), now);
    let group_version = format!("meta.k8s.io/{version}");
    json!({
        "kind": "Table",
        "apiVersion": group_version,
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": [{
            "cells": [metadata["name"], wanted, found, age],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": group_version, "metadata": metadata},
        }],
    })
}

fn layout(resource: &Resource) -> Layout {
    match (resource.group, resource.plural) {
        ("", "pods") => pod::PODS,
        ("", "nodes") => core::NODES,
        ("", "namespaces") => core::NAMESPACES,
        ("", "replicationcontrollers") => core::REPLICATION_CONTROLLERS,
        ("discovery.k8s.io", "endpointslices") => workload::ENDPOINT_SLICES,
        ("batch", "jobs") => job::JOBS,
        ("batch", "cronjobs") => job::CRON_JOBS,
        ("apps", "deployments") => workload::DEPLOYMENTS,
        ("apps", "replicasets") => workload::REPLICA_SETS,
        ("apps", "statefulsets") => workload::STATEFUL_SETS,
        ("apps", "daemonsets") => workload::DAEMON_SETS,
        ("policy", "poddisruptionbudgets") => workload::BUDGETS,
        ("autoscaling", "horizontalpodautoscalers") => autoscaler::AUTOSCALERS,
        ("apps", "controllerrevisions") => workload::CONTROLLER_REVISIONS,
        ("", "services") => core::SERVICES,
        ("", "endpoints") => core::ENDPOINTS,
        ("", "configmaps") => core::CONFIG_MAPS,
        ("", "secrets") => core::SECRETS,
        ("", "events") => core::EVENTS,
        ("", "serviceaccounts") => core::SERVICE_ACCOUNTS,
        ("coordination.k8s.io", "leases") => core::LEASES,
        ("", "limitranges") | ("apiextensions.k8s.io", "customresourcedefinitions") => {
            cluster::WITH_CREATION
        }
        ("", "componentstatuses") => cluster::COMPONENT_STATUSES,
        ("", "resourcequotas") => cluster::RESOURCE_QUOTAS,
        ("", "podtemplates") => cluster::POD_TEMPLATES,
        ("", "persistentvolumes") => cluster::PERSISTENT_VOLUMES,
        ("", "persistentvolumeclaims") => cluster::PERSISTENT_VOLUME_CLAIMS,
        ("storage.k8s.io", "storageclasses") => cluster::STORAGE_CLASSES,
        ("networking.k8s.io", "networkpolicies") => cluster::NETWORK_POLICIES,
        ("scheduling.k8s.io", "priorityclasses") => cluster::PRIORITY_CLASSES,
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => access::ROLES,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => access::BINDINGS,
        ("certificates.k8s.io", "certificatesigningrequests") => access::SIGNING_REQUESTS,
        ("admissionregistration.k8s.io", plural) => admission::layout(plural),
        ("policy.osier.dev", "attributemanifests") => policy::ATTRIBUTE_MANIFESTS,
        ("policy.osier.dev", "plugins") => policy::PLUGINS,
        ("policy.osier.dev", "policies") => policy::POLICIES,
        ("gateway.networking.k8s.io", "gatewayclasses") => gateway_api::GATEWAY_CLASSES,
        ("gateway.networking.k8s.io", "gateways") => gateway_api::GATEWAYS,
        ("gateway.networking.k8s.io", "httproutes" | "grpcroutes" | "tlsroutes") => {
            gateway_api::ROUTES_WITH_HOSTS
        }
        ("networking.k8s.io", "ingresses") => networking::INGRESSES,
        ("networking.k8s.io", "ingressclasses") => networking::INGRESS_CLASSES,
        ("networking.istio.io", "virtualservices") => mesh::VIRTUAL_SERVICES,
        ("networking.istio.io", "destinationrules") => mesh::DESTINATION_RULES,
        ("networking.istio.io", "serviceentries") => mesh::SERVICE_ENTRIES,
        ("security.istio.io", "authorizationpolicies") => mesh::AUTHORIZATION_POLICIES,
        ("security.istio.io", "peerauthentications") => mesh::PEER_AUTHENTICATIONS,
        ("networking.istio.io", "workloadentries") => mesh::WORKLOAD_ENTRIES,
        _ => Layout {
            columns: &[NAME, AGE],
            cells: |object, now| vec![object.name().into(), since_creation(object, now)],
        },
    }
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": if column.name == "Name" && !column.wide { "name" } else { "" },
        "description": column.description,
        "priority": i32::from(column.wide),
    })
}

fn row(
    resource: &Resource,
    layout: &Layout,
    object: &Object,
    now: Timestamp,
    include: Include,
) -> Value {
    let mut row = json!({ "cells": (layout.cells)(object, now) });
    match include {
        Include::None => {}
        Include::Metadata => row["object"] = partial(object),
        Include::Object => row["object"] = object.to_value(),
    }
    if resource.kind == "Pod"
        && let Some(conditions) = pod::row_conditions(object)
    {
        row["conditions"] = conditions;
    }
    row
}

/// The object as PartialObjectMetadata.
pub fn partial(object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get(&["metadata"]).cloned().unwrap_or_else(|| json!({})),
    })
}

fn since_creation(object: &Object, now: Timestamp) -> Value {
    age::since(object.creation_timestamp(), now).into()
}

/// The text, or `<none>`.
fn or_none(text: &str) -> Value {
    if text.is_empty() {
        "<none>".into()
    } else {
        text.into()
    }
}

/// Strings joined by commas, or `<none>`.
fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    or_none(&texts.into_iter().collect::<Vec<_>>().join(","))
}

fn array<'a>(object: &'a Object, path: &[&str]) -> &'a [Value] {
    object
        .get(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The condition of a type in `status.conditions`.
fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    array(object, &["status", "conditions"])
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn is_true(condition: Option<&Value>) -> bool {
    condition.is_some_and(|condition| condition["status"] == "True")
}

#[cfg(test)]
mod tests;
