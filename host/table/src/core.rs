//! The core kinds but pods.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    AGE, Column, Layout, NAME, age, array, condition, is_true, joined, number, or_none,
    since_creation, text, wide,
};
use osier_api::Object;

pub(super) const NODES: Layout = Layout {
    columns: &[
        NAME,
        text("Status", "The status of the node"),
        text("Roles", "The roles of the node"),
        AGE,
        text("Version", "Node agent version reported by the node."),
        wide("Internal-IP", "Address inside the cluster."),
        wide("External-IP", "Address outside the cluster."),
        wide("OS-Image", "Operating system."),
        wide("Kernel-Version", "Kernel."),
        wide("Container-Runtime", "What runs the pods."),
    ],
    cells: |node, now| {
        let info = |field: &str| match node.text(&["status", "nodeInfo", field]) {
            "" => Value::from("<unknown>"),
            text => text.into(),
        };
        vec![
            node.name().into(),
            node_status(node).into(),
            roles(node),
            since_creation(node, now),
            node.text(&["status", "nodeInfo", "kubeletVersion"]).into(),
            address(node, "InternalIP"),
            address(node, "ExternalIP"),
            info("osImage"),
            info("kernelVersion"),
            info("containerRuntimeVersion"),
        ]
    },
};

pub(super) const NAMESPACES: Layout = Layout {
    columns: &[NAME, text("Status", "The status of the namespace"), AGE],
    cells: |namespace, now| {
        vec![
            namespace.name().into(),
            namespace.text(&["status", "phase"]).into(),
            since_creation(namespace, now),
        ]
    },
};

pub(super) const REPLICATION_CONTROLLERS: Layout = Layout {
    columns: &[
        NAME,
        number("Desired", "Number of pods asked for."),
        number("Current", "Number of pods that exist."),
        number("Ready", "Number of pods that are ready."),
        AGE,
        wide("Containers", "Names of each container in the template."),
        wide(
            "Images",
            "Images referenced by each container in the template.",
        ),
        wide("Selector", "Labels of its pods."),
    ],
    cells: |controller, now| {
        let count =
            |path: &[&str]| Value::from(controller.get(path).and_then(Value::as_i64).unwrap_or(0));
        let containers = array(controller, &["spec", "template", "spec", "containers"]);
        let each = |field: &str| {
            joined(
                containers
                    .iter()
                    .filter_map(|container| container[field].as_str()),
            )
        };
        vec![
            controller.name().into(),
            count(&["spec", "replicas"]),
            count(&["status", "replicas"]),
            count(&["status", "readyReplicas"]),
            since_creation(controller, now),
            each("name"),
            each("image"),
            pairs(controller.get(&["spec", "selector"])),
        ]
    },
};

pub(super) const SERVICES: Layout = Layout {
    columns: &[
        NAME,
        text("Type", "How the service is exposed."),
        text("Cluster-IP", "Virtual address inside the cluster."),
        text("External-IP", "Address outside the cluster."),
        text(
            "Port(s)",
            "The list of ports that are exposed by this service.",
        ),
        AGE,
        wide("Selector", "Labels of its pods."),
    ],
    cells: |service, now| {
        vec![
            service.name().into(),
            service.text(&["spec", "type"]).into(),
            or_none(service.text(&["spec", "clusterIP"])),
            external(service),
            ports(service),
            since_creation(service, now),
            pairs(service.get(&["spec", "selector"])),
        ]
    },
};

pub(super) const ENDPOINTS: Layout = Layout {
    columns: &[NAME, text("Endpoints", "Addresses that take traffic."), AGE],
    cells: |endpoints, now| {
        vec![
            endpoints.name().into(),
            addresses(endpoints),
            since_creation(endpoints, now),
        ]
    },
};

pub(super) const CONFIG_MAPS: Layout = Layout {
    columns: &[NAME, text("Data", "Number of keys."), AGE],
    cells: |map, now| {
        let keys = entries(map, "data") + entries(map, "binaryData");
        vec![map.name().into(), keys.into(), since_creation(map, now)]
    },
};

pub(super) const SECRETS: Layout = Layout {
    columns: &[
        NAME,
        text("Type", "What it is for."),
        text("Data", "Number of keys."),
        AGE,
    ],
    cells: |secret, now| {
        let keys = entries(secret, "data");
        vec![
            secret.name().into(),
            secret.text(&["type"]).into(),
            keys.into(),
            since_creation(secret, now),
        ]
    },
};

pub(super) const SERVICE_ACCOUNTS: Layout = Layout {
    columns: &[NAME, text("Secrets", "Number of secrets."), AGE],
    cells: |account, now| {
        vec![
            account.name().into(),
            array(account, &["secrets"]).len().into(),
            since_creation(account, now),
        ]
    },
};

pub(super) const LEASES: Layout = Layout {
    columns: &[NAME, text("Holder", "Who holds it."), AGE],
    cells: |lease, now| {
        vec![
            lease.name().into(),
            lease.text(&["spec", "holderIdentity"]).into(),
            since_creation(lease, now),
        ]
    },
};

pub(super) const EVENTS: Layout = Layout {
    columns: &[
        text("Last Seen", "When it last happened."),
        text("Type", "Normal or Warning."),
        text("Reason", "One word."),
        text("Object", "What it is about."),
        wide("Subobject", "Which part of it."),
        wide("Source", "Who says so."),
        text("Message", "For people."),
        wide("First Seen", "When it first happened."),
        Column {
            name: "Count",
            kind: "integer",
            wide: true,
            description: "How often it happened.",
        },
        wide("Name", "Name of the event."),
    ],
    cells: event,
};

fn node_status(node: &Object) -> String {
    let word = match condition(node, "Ready") {
        None => "Unknown",
        found if is_true(found) => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = node.get(&["spec", "unschedulable"]) == Some(&Value::Bool(true));
    if cordoned {
        format!("{word},SchedulingDisabled")
    } else {
        word.to_owned()
    }
}

fn roles(node: &Object) -> Value {
    let labels = node.labels();
    let role =
        |(key, value): (&&'_ str, &&'_ str)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role.to_owned()).filter(|role| !role.is_empty()),
            None => (*key == "kubernetes.io/role").then(|| (*value).to_owned()),
        };
    let mut found: Vec<String> = labels.iter().filter_map(role).collect();
    found.sort();
    found.dedup();
    or_none(&found.join(","))
}

fn address(node: &Object, kind: &str) -> Value {
    let found = array(node, &["status", "addresses"])
        .iter()
        .find(|address| address["type"] == kind);
    or_none(
        found
            .and_then(|address| address["address"].as_str())
            .unwrap_or(""),
    )
}

/// `a=b,c=d`, or `<none>`.
fn pairs(labels: Option<&Value>) -> Value {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let words: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    or_none(&words.join(","))
}

fn external(service: &Object) -> Value {
    let own = array(service, &["spec", "externalIPs"])
        .iter()
        .filter_map(Value::as_str);
    let ingress = array(service, &["status", "loadBalancer", "ingress"]).iter();
    let given =
        ingress.filter_map(|entry| entry["ip"].as_str().or_else(|| entry["hostname"].as_str()));
    match service.text(&["spec", "type"]) {
        "ExternalName" => or_none(service.text(&["spec", "externalName"])),
        "LoadBalancer" => match joined(given.chain(own)) {
            Value::String(none) if none == "<none>" => "<pending>".into(),
            found => found,
        },
        _ => joined(own),
    }
}

fn ports(service: &Object) -> Value {
    let port = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64().filter(|node| *node > 0) {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    };
    let words: Vec<String> = array(service, &["spec", "ports"])
        .iter()
        .map(port)
        .collect();
    or_none(&words.join(","))
}

/// The first three addresses, and how many more there are.
fn addresses(endpoints: &Object) -> Value {
    const SHOWN: usize = 3;
    let mut all = Vec::new();
    for subset in array(endpoints, &["subsets"]) {
        let ips = || {
            subset["addresses"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|a| a["ip"].as_str())
        };
        match subset["ports"].as_array().filter(|ports| !ports.is_empty()) {
            None => all.extend(ips().map(str::to_owned)),
            Some(ports) => {
                all.extend(
                    ports
                        .iter()
                        .flat_map(|port| ips().map(move |ip| socket(ip, &port["port"]))),
                );
            }
        }
    }
    let shown = all
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => or_none(&shown),
        more => format!("{shown} + {more} more...").into(),
    }
}

fn socket(ip: &str, port: &Value) -> String {
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

fn entries(object: &Object, field: &str) -> usize {
    object
        .get(&[field])
        .and_then(Value::as_object)
        .map_or(0, Map::len)
}

fn event(event: &Object, now: Timestamp) -> Vec<Value> {
    let time = |path: &[&str]| event.get(path).and_then(Value::as_str);
    let first = time(&["firstTimestamp"]).or_else(|| time(&["eventTime"]));
    let last = time(&["series", "lastObservedTime"])
        .or_else(|| time(&["lastTimestamp"]))
        .or(first);
    let number = |path: &[&str]| {
        event
            .get(path)
            .and_then(Value::as_i64)
            .filter(|count| *count > 0)
    };
    let count = number(&["series", "count"])
        .or_else(|| number(&["count"]))
        .unwrap_or(1);
    let kind = event.text(&["involvedObject", "kind"]).to_lowercase();
    let target = match event.text(&["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        age::since(last, now).into(),
        event.text(&["type"]).into(),
        event.text(&["reason"]).into(),
        target.into(),
        event.text(&["involvedObject", "fieldPath"]).into(),
        source(event).into(),
        event.text(&["message"]).trim().into(),
        age::since(first, now).into(),
        count.into(),
        event.name().into(),
    ]
}

fn source(event: &Object) -> String {
    let either = |first: &[&str], second: &[&str]| match event.text(first) {
        "" => event.text(second).to_owned(),
        text => text.to_owned(),
    };
    let component = either(&["source", "component"], &["reportingComponent"]);
    let place = either(&["source", "host"], &["reportingInstance"]);
    if place.is_empty() {
        component
    } else {
        format!("{component}, {place}")
    }
}
