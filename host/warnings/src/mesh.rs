//! What of the mesh, of Services and of autoscalers has no effect here.

use osier_validation::At;

use crate::said::said;

pub(crate) fn peer_authentication(spec: &At<'_>) -> Vec<String> {
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

pub(crate) fn sidecar(spec: &At<'_>) -> Vec<String> {
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
pub(crate) fn autoscaler(spec: &At<'_>) -> Vec<String> {
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
        let served = is_known && name == osier_api::resources::REQUESTS_PER_SECOND;
        let words = || {
            format!(
                "{}: no metric {name:?} is served, and the autoscaler waits for it: use {} of type Pods, or of type Object for a Service",
                field.path, osier_api::resources::REQUESTS_PER_SECOND
            )
        };
        (!served).then(words)
    });
    unmeasured.collect()
}

pub(crate) fn service(spec: &At<'_>) -> Vec<String> {
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
