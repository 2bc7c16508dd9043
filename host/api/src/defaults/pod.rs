//! Defaults of pods and of pod templates.

use serde_json::{Map, Value, json};

use super::{child, children, default, default_number, default_text, volume};

type Json = Map<String, Value>;

const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A pod: what its template form gets, and what upstream gives to pods alone.
pub(super) fn pod(object: &mut Json) {
    let Some(pod) = child(object, "spec") else {
        return;
    };
    default(pod, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        children(pod, list).for_each(requests_from_limits);
    }
    spec(pod);
}

/// A pod's spec, wherever it stands.
pub(super) fn spec(spec: &mut Json) {
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "securityContext", json!({}));
    default_text(spec, "schedulerName", "default-scheduler");
    service_account(spec);
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in CONTAINER_LISTS {
        children(spec, list).for_each(|item| container(item, host_network));
    }
    children(spec, "volumes").for_each(volume::volume);
}

/// Upstream writes the account's name under its old field too.
fn service_account(spec: &mut Json) {
    let named = |key: &str| {
        spec.get(key)
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
    };
    if let Some(name) = named("serviceAccountName")
        .or_else(|| named("serviceAccount"))
        .map(str::to_owned)
    {
        spec.insert("serviceAccountName".to_owned(), name.clone().into());
        spec.insert("serviceAccount".to_owned(), name.into());
    }
}

/// A limit is also the request, unless one is given.
fn requests_from_limits(container: &mut Json) {
    let Some(resources) = child(container, "resources") else {
        return;
    };
    let limits = resources
        .get("limits")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    default(resources, "requests", json!({}));
    if let Some(requests) = child(resources, "requests") {
        limits
            .into_iter()
            .for_each(|(name, amount)| default(requests, &name, amount));
    }
}

fn container(container: &mut Json, host_network: bool) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let policy = if floats(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    default(container, "resources", json!({}));
    for port in children(container, "ports") {
        self::port(port, host_network);
    }
    children(container, "env").for_each(variable);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(item) = child(container, name) {
            probe(item);
        }
    }
    if let Some(lifecycle) = child(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            http_get(child(lifecycle, hook));
        }
    }
}

/// On the host's network a container's port is the host's.
fn port(port: &mut Json, host_network: bool) {
    default_text(port, "protocol", "TCP");
    let number = port.get("containerPort").and_then(Value::as_i64);
    if let Some(number) = number.filter(|_| host_network) {
        default_number(port, "hostPort", number);
    }
}

fn variable(variable: &mut Json) {
    if let Some(field) = child(variable, "valueFrom").and_then(|from| child(from, "fieldRef")) {
        default_text(field, "apiVersion", "v1");
    }
}

fn probe(probe: &mut Json) {
    default_number(probe, "timeoutSeconds", 1);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "failureThreshold", 3);
    if let Some(grpc) = child(probe, "grpc") {
        default(grpc, "service", "");
    }
    http_get(Some(probe));
}

fn http_get(handler: Option<&mut Json>) {
    if let Some(action) = handler.and_then(|handler| child(handler, "httpGet")) {
        default_text(action, "path", "/");
        default_text(action, "scheme", "HTTP");
    }
}

/// Whether an image's tag is, or defaults to, `latest`.
fn floats(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}
