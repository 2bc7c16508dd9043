//! Istio's kinds, with the columns of their custom resource definitions.

use serde_json::Value;

use super::{AGE, Layout, NAME, since_creation, text};
use osier_api::Object;

pub(super) const VIRTUAL_SERVICES: Layout = Layout {
    columns: &[
        NAME,
        text(
            "Gateways",
            "The names of gateways and sidecars that should apply these routes.",
        ),
        text(
            "Hosts",
            "The destination hosts to which traffic is being sent.",
        ),
        AGE,
    ],
    cells: |service, now| {
        vec![
            service.name().into(),
            list(service, "gateways"),
            list(service, "hosts"),
            since_creation(service, now),
        ]
    },
};

pub(super) const DESTINATION_RULES: Layout = Layout {
    columns: &[
        NAME,
        text("Host", "The name of a service from the service registry."),
        AGE,
    ],
    cells: |rule, now| {
        vec![
            rule.name().into(),
            rule.text(&["spec", "host"]).into(),
            since_creation(rule, now),
        ]
    },
};

pub(super) const SERVICE_ENTRIES: Layout = Layout {
    columns: &[
        NAME,
        text("Hosts", "The hosts associated with the ServiceEntry."),
        text(
            "Location",
            "Whether the service is external to the mesh or part of it.",
        ),
        text(
            "Resolution",
            "Service resolution mode for the hosts (NONE, STATIC or DNS).",
        ),
        AGE,
    ],
    cells: |entry, now| {
        vec![
            entry.name().into(),
            list(entry, "hosts"),
            entry.text(&["spec", "location"]).into(),
            entry.text(&["spec", "resolution"]).into(),
            since_creation(entry, now),
        ]
    },
};

pub(super) const WORKLOAD_ENTRIES: Layout = Layout {
    columns: &[
        NAME,
        AGE,
        text("Address", "Address associated with the network endpoint."),
    ],
    cells: |entry, now| {
        vec![
            entry.name().into(),
            since_creation(entry, now),
            entry.text(&["spec", "address"]).into(),
        ]
    },
};

pub(super) const PEER_AUTHENTICATIONS: Layout = Layout {
    columns: &[
        NAME,
        text(
            "Mode",
            "Defines the mTLS mode used for peer authentication.",
        ),
        AGE,
    ],
    cells: |rule, now| {
        vec![
            rule.name().into(),
            rule.text(&["spec", "mtls", "mode"]).into(),
            since_creation(rule, now),
        ]
    },
};

pub(super) const AUTHORIZATION_POLICIES: Layout = Layout {
    columns: &[NAME, text("Action", "The operation to take."), AGE],
    cells: |policy, now| {
        vec![
            policy.name().into(),
            policy.text(&["spec", "action"]).into(),
            since_creation(policy, now),
        ]
    },
};

/// A list as a custom resource's column prints it: `["a","b"]`.
fn list(object: &Object, field: &str) -> Value {
    object
        .get(&["spec", field])
        .map_or_else(|| "".into(), |list| list.to_string().into())
}
