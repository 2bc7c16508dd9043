//! What keeps pods running.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    AGE, Column, Layout, NAME, array, joined, number, or_none, since_creation, text, wide,
};
use osier_api::Object;
use osier_api::selector::LabelSelector;

pub(super) const CONTAINERS: Column =
    wide("Containers", "Names of each container in the template.");
pub(super) const IMAGES: Column = wide(
    "Images",
    "Images referenced by each container in the template.",
);
pub(super) const SELECTOR: Column = wide("Selector", "Label selector of its pods.");

pub(super) const DEPLOYMENTS: Layout = Layout {
    columns: &[
        NAME,
        text("Ready", "Number of the pod with ready state"),
        text("Up-to-date", "Pods made from the template of now."),
        text("Available", "Pods that are ready for minReadySeconds."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |deployment, now| {
        let ready = format!(
            "{}/{}",
            count(deployment, "status", "readyReplicas"),
            count(deployment, "spec", "replicas")
        );
        let mut cells = vec![
            deployment.name().into(),
            ready.into(),
            count(deployment, "status", "updatedReplicas").into(),
            count(deployment, "status", "availableReplicas").into(),
            since_creation(deployment, now),
        ];
        cells.extend(template_cells(deployment));
        cells
    },
};

pub(super) const REPLICA_SETS: Layout = Layout {
    columns: &[
        NAME,
        number("Desired", "Number of pods asked for."),
        number("Current", "Number of pods that exist."),
        number("Ready", "Number of pods that are ready."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: replica_set,
};

pub(super) const STATEFUL_SETS: Layout = Layout {
    columns: &[
        NAME,
        text("Ready", "Number of the pod with ready state"),
        AGE,
        CONTAINERS,
        IMAGES,
    ],
    cells: |set, now| {
        let ready = format!(
            "{}/{}",
            count(set, "status", "readyReplicas"),
            count(set, "spec", "replicas")
        );
        let [names, images, _] = template_cells(set);
        vec![
            set.name().into(),
            ready.into(),
            since_creation(set, now),
            names,
            images,
        ]
    },
};

pub(super) const DAEMON_SETS: Layout = Layout {
    columns: &[
        NAME,
        number("Desired", "Nodes that shall run a pod of it."),
        number("Current", "Nodes of those that have one."),
        number("Ready", "Nodes whose pod is ready."),
        number("Up-to-date", "Nodes whose pod is of the template of now."),
        number("Available", "Nodes whose pod is ready for minReadySeconds."),
        text("Node Selector", "Labels of the nodes that are meant."),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    cells: |set, now| {
        let numbers = [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ];
        let mut cells: Vec<Value> = vec![set.name().into()];
        cells.extend(numbers.map(|field| Value::from(count(set, "status", field))));
        let nodes = set.get(&["spec", "template", "spec", "nodeSelector"]);
        let nodes = nodes.and_then(Value::as_object).into_iter().flatten();
        let nodes: Vec<String> = nodes
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        cells.push(joined(nodes.iter().map(String::as_str)));
        cells.push(since_creation(set, now));
        cells.extend(template_cells(set));
        cells
    },
};

pub(super) const BUDGETS: Layout = Layout {
    columns: &[
        NAME,
        text("Min Available", "How many pods must stay available."),
        text("Max Unavailable", "How many pods may be unavailable."),
        number("Allowed Disruptions", "How many pods may leave now."),
        AGE,
    ],
    cells: |budget, now| {
        let share = |field: &str| match budget.get(&["spec", field]) {
            None | Some(Value::Null) => "N/A".into(),
            Some(Value::String(share)) => Value::from(share.as_str()),
            Some(share) => share.to_string().into(),
        };
        vec![
            budget.name().into(),
            share("minAvailable"),
            share("maxUnavailable"),
            count(budget, "status", "disruptionsAllowed").into(),
            since_creation(budget, now),
        ]
    },
};

pub(super) const CONTROLLER_REVISIONS: Layout = Layout {
    columns: &[
        NAME,
        text("Controller", "Whose template it was."),
        number("Revision", "The number of the revision."),
        AGE,
    ],
    cells: |revision, now| {
        let owner = revision.controller_of();
        let owner = owner.map(|owner| match owner.api_version.split_once('/') {
            Some((group, _)) => format!("{}.{group}/{}", owner.kind.to_lowercase(), owner.name),
            None => format!("{}/{}", owner.kind.to_lowercase(), owner.name),
        });
        vec![
            revision.name().into(),
            or_none(&owner.unwrap_or_default()),
            revision.get(&["revision"]).cloned().unwrap_or(0.into()),
            since_creation(revision, now),
        ]
    },
};

pub(super) const ENDPOINT_SLICES: Layout = Layout {
    columns: &[
        NAME,
        text("AddressType", "IPv4, IPv6 or FQDN."),
        text("Ports", "Ports of its endpoints."),
        text("Endpoints", "Addresses of its endpoints."),
        AGE,
    ],
    cells: |slice, now| {
        let ports = array(slice, &["ports"]).iter();
        let ports: Vec<String> = ports.map(|port| port["port"].to_string()).collect();
        let addresses: Vec<&str> = array(slice, &["endpoints"])
            .iter()
            .filter_map(|endpoint| endpoint["addresses"][0].as_str())
            .collect();
        let more = addresses.len().saturating_sub(3);
        let mut shown = addresses.get(..3).unwrap_or(&addresses).join(",");
        if more > 0 {
            shown.push_str(&format!(" + {more} more..."));
        }
        let or_unset = |text: String| match text.as_str() {
            "" => Value::from("<unset>"),
            _ => text.into(),
        };
        vec![
            slice.name().into(),
            slice.text(&["addressType"]).into(),
            or_unset(ports.join(",")),
            or_unset(shown),
            since_creation(slice, now),
        ]
    },
};

fn replica_set(set: &Object, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        set.name().into(),
        count(set, "spec", "replicas").into(),
        count(set, "status", "replicas").into(),
        count(set, "status", "readyReplicas").into(),
        since_creation(set, now),
    ];
    cells.extend(template_cells(set));
    cells
}

/// A number of `spec` or `status`; absent is none.
pub(super) fn count(object: &Object, part: &str, field: &str) -> i64 {
    object
        .get(&[part, field])
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// The containers' names and images, and the selector.
pub(super) fn template_cells(object: &Object) -> [Value; 3] {
    let containers = array(object, &["spec", "template", "spec", "containers"]);
    let each = |field: &str| {
        joined(
            containers
                .iter()
                .filter_map(|container| container[field].as_str()),
        )
    };
    let selector = object
        .get(&["spec", "selector"])
        .and_then(|selector| LabelSelector::from_object(selector).ok());
    let selector = selector.map(|selector| selector.to_string());
    [
        each("name"),
        each("image"),
        or_none(&selector.unwrap_or_default()),
    ]
}
