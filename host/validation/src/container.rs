//! Containers: names, images, ports, variables, resources, mounts.

use serde_json::Value;

use super::at::{At, unique};
use super::{names, probe, service};
use osier_api::{Fault, quantity};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Every container of a pod.
pub(super) fn check_all(spec: &At<'_>) -> Vec<Fault> {
    let (init, main) = (
        spec.at("initContainers").items(),
        spec.at("containers").items(),
    );
    let mut faults = Vec::new();
    if main.is_empty() {
        faults.push(spec.at("containers").required(""));
    }
    let all = || main.iter().chain(&init);
    faults.extend(unique(all().map(|container| container.at("name"))));
    faults.extend(unique(
        all()
            .flat_map(|container| container.at("ports").items())
            .map(|port| port.at("name")),
    ));
    let volumes: Vec<&Value> = spec
        .at("volumes")
        .items()
        .iter()
        .map(|volume| volume.at("name").value)
        .collect();
    for container in all() {
        faults.extend(self::container(container));
        faults.extend(mounts(&container.at("volumeMounts"), &volumes));
    }
    faults.extend(init.iter().flat_map(init_container));
    faults
}

/// Only an init container that keeps running can be probed.
fn init_container(container: &At<'_>) -> Vec<Fault> {
    let restart = container.at("restartPolicy");
    let mut faults: Vec<Fault> = restart.one_of(&["Always"]).into_iter().collect();
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.at(name).is_present() && restart.text() != "Always" {
            let words = "may not be set for init containers without restartPolicy=Always";
            faults.push(container.at(name).forbidden(words));
        }
    }
    faults
}

fn container(container: &At<'_>) -> Vec<Fault> {
    let mut faults = container.at("name").name(names::label);
    let image = container.at("image");
    if !image.is_set() {
        faults.push(image.required(""));
    } else if image.text().trim() != image.text() {
        faults.push(image.invalid("must not have leading or trailing whitespace"));
    }
    faults.extend(container.at("imagePullPolicy").one_of(&PULL_POLICIES));
    faults.extend(container.at("ports").items().iter().flat_map(port));
    faults.extend(container.at("env").items().iter().flat_map(variable));
    faults.extend(container.at("envFrom").items().iter().flat_map(variables));
    faults.extend(resources(&container.at("resources")));
    faults.extend(probe::check_all(container));
    faults
}

fn port(port: &At<'_>) -> Vec<Fault> {
    let mut faults = port.at("name").optional_name(names::port);
    let number = port.at("containerPort");
    match number.int() {
        None | Some(0) => faults.push(number.required("")),
        Some(_) => faults.extend(service::number(&number, true)),
    }
    let host = port.at("hostPort");
    faults.extend(service::number(&host, false).filter(|_| host.int() != Some(0)));
    faults.extend(port.at("protocol").one_of(&PROTOCOLS));
    faults
}

fn variable(variable: &At<'_>) -> Vec<Fault> {
    let mut faults = variable.at("name").name(names::variable);
    let from = variable.at("valueFrom");
    let sources: Vec<(&str, At<'_>)> = from.entries();
    if !from.is_present() {
        return faults;
    }
    match sources.len() {
        0 => faults.push(from.invalid("must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`")),
        1 if variable.at("value").is_set() => faults.push(from.invalid("may not be specified when `value` is not empty")),
        1 => {}
        _ => faults.push(from.invalid("may not have more than one field specified at a time")),
    }
    for (kind, source) in sources {
        match kind {
            "fieldRef" => faults.extend(field(&source.at("fieldPath"))),
            "configMapKeyRef" | "secretKeyRef" => faults.extend(key_of(&source)),
            "resourceFieldRef" if !source.at("resource").is_set() => {
                faults.push(source.at("resource").required(""))
            }
            _ => {}
        }
    }
    faults
}

fn variables(source: &At<'_>) -> Vec<Fault> {
    let refs = [source.at("configMapRef"), source.at("secretRef")];
    let set: Vec<&At<'_>> = refs.iter().filter(|one| one.is_present()).collect();
    let mut faults = source.at("prefix").optional_name(names::variable);
    match set.as_slice() {
        [one] => faults.extend(one.at("name").name(names::subdomain)),
        [] => faults.push(source.invalid("must specify one of: `configMapRef` or `secretRef`")),
        _ => faults.push(source.invalid("may not have more than one field specified at a time")),
    }
    faults
}

fn field(path: &At<'_>) -> Vec<Fault> {
    if !path.is_set() {
        return vec![path.required("")];
    }
    let text = path.text();
    let map = text
        .strip_suffix("']")
        .and_then(|text| text.split_once("['"));
    match map {
        Some(("metadata.labels" | "metadata.annotations", key)) => {
            path_words(path, names::qualified(key))
        }
        _ if FIELDS.contains(&text) => Vec::new(),
        _ => vec![path.invalid(format!(
            "error converting fieldPath: field label not supported: {text}"
        ))],
    }
}

fn path_words(path: &At<'_>, words: Vec<String>) -> Vec<Fault> {
    words.into_iter().map(|words| path.invalid(words)).collect()
}

fn key_of(source: &At<'_>) -> Vec<Fault> {
    let mut faults = source.at("name").name(names::subdomain);
    faults.extend(source.at("key").name(names::config_key));
    faults
}

fn resources(resources: &At<'_>) -> Vec<Fault> {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    let mut faults = Vec::new();
    for (name, amount) in limits.entries().into_iter().chain(requests.entries()) {
        faults.extend(resource_name(name, &amount));
        if quantity::negative(amount.text()) == Ok(true) {
            faults.push(amount.invalid("must be greater than or equal to 0"));
        }
    }
    for (name, request) in requests.entries() {
        let Some(limit) = limits.value.get(name).and_then(Value::as_str) else {
            continue;
        };
        if quantity::compare(request.text(), limit) == Ok(std::cmp::Ordering::Greater) {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            faults.push(Fault::invalid(&requests.path, request.text(), detail));
        }
    }
    faults
}

fn resource_name(name: &str, amount: &At<'_>) -> Option<Fault> {
    let standard =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    let extended = name.contains('/') && names::qualified(name).is_empty();
    let words = "must be a standard resource type or fully qualified";
    (!standard && !extended).then(|| Fault::invalid(&amount.path, name, words))
}

fn mounts(list: &At<'_>, volumes: &[&Value]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for mount in list.items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if !name.is_set() {
            faults.push(name.required(""));
        } else if !volumes.contains(&name.value) {
            faults.push(Fault::not_found(&name.path, name.value.clone()));
        }
        if !path.is_set() {
            faults.push(path.required(""));
        }
    }
    let paths = list.items();
    let repeated = unique(paths.iter().map(|mount| mount.at("mountPath")));
    faults.extend(repeated.into_iter().map(|fault| {
        Fault::invalid(
            fault.field,
            fault.value.unwrap_or_default(),
            "must be unique",
        )
    }));
    faults
}
