//! What is accepted but has no effect here, said openly: the texts become `Warning` headers.

use super::at::At;
use super::storage;
use crate::{Object, Resource, local_volume};

const MOUNTABLE: &str =
    "use emptyDir, hostPath, persistentVolumeClaim, configMap, secret, downwardAPI or projected";

/// Fields of the object that a Wasm pod, or this version of Osier, cannot honour.
pub fn warnings(resource: &Resource, object: &Object) -> Vec<String> {
    let spec = At::of(object, "spec");
    match (resource.group, resource.plural) {
        ("", "pods") => pod(&spec),
        ("", "replicationcontrollers") | ("apps", _) => pod(&spec.at("template").at("spec")),
        ("batch", "jobs") => job(&spec),
        ("batch", "cronjobs") => job(&spec.at("jobTemplate").at("spec")),
        ("", "services") => service(&spec),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler(&spec),
        ("networking.k8s.io", "networkpolicies") => vec![
            "a NetworkPolicy is kept, but nothing acts on it in this version: pods reach each other through the mesh regardless"
                .to_owned(),
        ],
        ("", "persistentvolumes") => persistent_volume(&spec),
        ("networking.istio.io", "sidecars") => sidecar(&spec),
        ("security.istio.io", "peerauthentications") => peer_authentication(&spec),
        _ => unenforced(resource).map(str::to_owned).into_iter().collect(),
    }
}

/// Why nothing acts on the objects of a kind that is kept whole.
pub fn unenforced(resource: &Resource) -> Option<&'static str> {
    Some(match (resource.group, resource.plural) {
        ("networking.istio.io", "envoyfilters") => {
            "an EnvoyFilter is kept, but nothing acts on it: there is no Envoy between pods; a Policy or a WasmPlugin may do what it does"
        }
        ("telemetry.istio.io", "telemetries") => {
            "a Telemetry is kept, but nothing acts on it in this version; report policies say what is told of calls"
        }
        _ => return None,
    })
}

fn peer_authentication(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let ports = spec.at("portLevelMtls").entries().into_iter();
    let all = ports.map(|(_, port)| port).chain([spec.at("mtls")]);
    for mtls in all {
        let plain = |mode: &At<'_>| matches!(mode.text(), "PERMISSIVE" | "DISABLE");
        let why = "a pod takes no plain calls; who calls it is proved as with STRICT";
        said(&mut found, mtls.at("mode"), plain, why);
    }
    found
}

fn sidecar(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mode = spec.at("outboundTrafficPolicy").at("mode");
    let any = |mode: &At<'_>| mode.text() == "ALLOW_ANY";
    let why = "hosts outside stay refused unless a ServiceEntry grants them";
    said(&mut found, mode, any, why);
    for field in ["ingress", "inboundConnectionPool"] {
        let why = "pods are called in memory: they have no listeners of a proxy";
        said(&mut found, spec.at(field), At::is_set, why);
    }
    found
}

/// Metrics that nobody measures here: the autoscaler waits for them, and should not surprise.
fn autoscaler(spec: &At<'_>) -> Vec<String> {
    let metrics = spec.at("metrics").items().into_iter();
    let unmeasured = metrics.filter_map(|metric| {
        let (field, is_known) = match metric.at("type").text() {
            "External" => (metric.at("external"), false),
            "Pods" => (metric.at("pods"), true),
            "Object" => {
                let object = metric.at("object");
                let is_service = object.at("describedObject").at("kind").text() == "Service";
                (object, is_service)
            }
            _ => return None,
        };
        let name = field.at("metric").at("name").text();
        let served = is_known && name == crate::resources::REQUESTS_PER_SECOND;
        let words = || {
            format!(
                "{}: no metric {name:?} is served, and the autoscaler waits for it: use {} of type Pods, or of type Object for a Service",
                field.path, crate::resources::REQUESTS_PER_SECOND
            )
        };
        (!served).then(words)
    });
    unmeasured.collect()
}

fn job(spec: &At<'_>) -> Vec<String> {
    let mut found = pod(&spec.at("template").at("spec"));
    for field in [
        "podFailurePolicy",
        "successPolicy",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "managedBy",
    ] {
        let why = "a Job counts its failed pods against backoffLimit alone in this version";
        said(&mut found, spec.at(field), At::is_present, why);
    }
    found
}

fn pod(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        said(
            &mut found,
            spec.at(field),
            At::is_true,
            "a Wasm pod is isolated by its instance and shares no namespace with the host",
        );
    }
    security(&spec.at("securityContext"), &mut found);
    for field in ["runtimeClassName", "hostAliases", "dnsConfig"] {
        said(
            &mut found,
            spec.at(field),
            At::is_set,
            "Wasm pods have one runtime, and names are resolved by the mesh",
        );
    }
    unlike_processes(spec, &mut found);
    volumes(&spec.at("volumes"), &mut found);
    for list in ["initContainers", "containers"] {
        spec.at(list)
            .items()
            .iter()
            .for_each(|item| container(item, &mut found));
    }
    found
}

/// What is about programs of a system, and leaves a component as it is.
fn unlike_processes(spec: &At<'_>, found: &mut Vec<String>) {
    let system = spec.at("os").at("name");
    let other = |name: &At<'_>| name.is_set() && name.text() != "linux";
    said(found, system, other, "a component runs on any system");
    let own = |policy: &At<'_>| matches!(policy.text(), "None" | "Default");
    let why = "names are resolved by the mesh, which knows no other DNS";
    said(found, spec.at("dnsPolicy"), own, why);
    let why = "a component has no users";
    let given = |users: &At<'_>| users.value == &serde_json::Value::Bool(false);
    said(found, spec.at("hostUsers"), given, why);
    let why = "a component is told the pod's name";
    said(found, spec.at("setHostnameAsFQDN"), At::is_true, why);
    let why = "nothing is mounted unasked: mount a projected volume with a serviceAccountToken";
    let token = spec.at("automountServiceAccountToken");
    said(found, token, At::is_true, why);
    let why = "nodes have no devices to give away";
    said(found, spec.at("resourceClaims"), At::is_set, why);
}

/// What is counted of a node is its processors, its memory and its places for pods.
fn resources(resources: &At<'_>, found: &mut Vec<String>) {
    for bound in ["requests", "limits"] {
        for (name, amount) in resources.at(bound).entries() {
            let why = match name {
                "cpu" | "memory" => continue,
                "ephemeral-storage" => "bound an emptyDir by its sizeLimit",
                _ => {
                    "a component is given processor time and memory, and the pod is placed as if it did not ask"
                }
            };
            said(found, amount, At::is_present, why);
        }
    }
}

/// What nodes mount of volumes that people make: directories.
fn persistent_volume(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in spec.entries() {
        let local = source.at("driver").text() == local_volume::DRIVER;
        if storage::SOURCES.contains(&name) && !["hostPath", "local"].contains(&name) && !local {
            said_unmountable(&mut found, &source, "use hostPath or local");
        }
    }
    let recycled = |policy: &At<'_>| policy.text() == "Recycle";
    let why = "use Retain, or claims of a class that makes their volumes";
    said(
        &mut found,
        spec.at("persistentVolumeReclaimPolicy"),
        recycled,
        why,
    );
    said(
        &mut found,
        spec.at("mountOptions"),
        At::is_set,
        "a component is given a directory",
    );
    found
}

/// Volumes that no container here can mount: the pod waits, and shall not surprise.
fn volumes(volumes: &At<'_>, found: &mut Vec<String>) {
    for volume in volumes.items() {
        for (kind, source) in volume.entries() {
            match kind {
                "name"
                | "configMap"
                | "secret"
                | "downwardAPI"
                | "hostPath"
                | "persistentVolumeClaim" => {}
                "emptyDir" => {
                    let medium = "an emptyDir is on the node's disk";
                    said(found, source.at("medium"), At::is_set, medium);
                }
                "projected" => {
                    for one in source.at("sources").items() {
                        for kind in ["clusterTrustBundle", "podCertificate"] {
                            said_unmountable(found, &one.at(kind), "leave it out");
                        }
                    }
                }
                _ => said_unmountable(found, &source, MOUNTABLE),
            }
        }
    }
}

fn said_unmountable(found: &mut Vec<String>, field: &At<'_>, remedy: &str) {
    if field.is_present() {
        let path = &field.path;
        found.push(format!(
            "{path}: cannot be mounted in this version, and a container that mounts it waits with CreateContainerConfigError: {remedy}"
        ));
    }
}

fn container(container: &At<'_>, found: &mut Vec<String>) {
    security(&container.at("securityContext"), found);
    resources(&container.at("resources"), found);
    let own = |path: &At<'_>| path.is_set() && path.text() != "/dev/termination-log";
    let why = "nothing is read from a file when a container ends; why it ended is in its status";
    said(found, container.at("terminationMessagePath"), own, why);
    said(
        found,
        container.at("volumeDevices"),
        At::is_set,
        "a component is given directories, not block devices",
    );
    said(
        found,
        container.at("workingDir"),
        At::is_set,
        "WASI has no working directory; name files by their whole path",
    );
    for mount in container.at("volumeMounts").items() {
        let private = |field: &At<'_>| field.is_set() && field.text() != "None";
        let why = "a component sees what is in its directory and mounts nothing itself";
        said(found, mount.at("mountPropagation"), private, why);
    }
    for port in container.at("ports").items() {
        let positive = |port: &At<'_>| port.int().is_some_and(|number| number > 0);
        said(
            found,
            port.at("hostPort"),
            positive,
            "reach the pod through a Service or a Gateway",
        );
    }
    for hook in ["postStart", "preStop"] {
        let socket = container.at("lifecycle").at(hook).at("tcpSocket");
        let why = "no version of Kubernetes does anything for it: use exec, httpGet or sleep";
        said(found, socket, At::is_present, why);
    }
    let signal = container.at("lifecycle").at("stopSignal");
    let why = "a component knows no signals: use preStop";
    said(found, signal, At::is_set, why);
}

/// Says why a field has no effect, if it is used.
fn said<'a>(found: &mut Vec<String>, field: At<'a>, used: impl Fn(&At<'a>) -> bool, why: &str) {
    if used(&field) {
        found.push(no_effect(&field, why));
    }
}

/// Everything in a security context is about processes and files of a kernel, which a component has none of.
fn security(context: &At<'_>, found: &mut Vec<String>) {
    for (_, field) in context.entries() {
        let off = field.value == &serde_json::Value::Bool(false);
        if field.is_set() && !off {
            found.push(no_effect(
                &field,
                "a component has no user, no capabilities and no kernel below it",
            ));
        }
    }
}

fn service(spec: &At<'_>) -> Vec<String> {
    let kind = spec.at("type");
    match kind.text() {
        "NodePort" | "LoadBalancer" => vec![format!(
            "{}: {} opens no port on the node in this version; take outside traffic by a Gateway",
            kind.path,
            kind.text()
        )],
        _ => Vec::new(),
    }
}

fn no_effect(field: &At<'_>, why: &str) -> String {
    format!("{}: has no effect: {why}", field.path)
}
