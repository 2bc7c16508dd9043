//! A service's subsets: addresses, ready or not, grouped by the ports that they have. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_client::Change;
use serde_json::{Map, Value, json};

use crate::facts;

/// A subset's ports; pods whose named ports have other numbers form subsets of their own.
pub(super) type Ports = Vec<(String, u64, String)>;

#[derive(Default)]
struct Addresses {
    ready: BTreeMap<String, Value>,
    not_ready: BTreeMap<String, Value>,
}

/// The service chooses pods; without a selector its endpoints are written by somebody else.
pub(super) fn has_selector(service: &Object) -> bool {
    selector(service).is_some()
}

fn selector(service: &Object) -> Option<&Map<String, Value>> {
    let selector = service.get(&["spec", "selector"])?.as_object()?;
    Some(selector).filter(|selector| !selector.is_empty())
}

pub(super) fn selects(service: &Object, pod: &Object) -> bool {
    let has = |(key, value): (&String, &Value)| pod.label(key) == value.as_str();
    selector(service).is_some_and(|selector| selector.iter().all(has))
}

/// The change alters what the service's endpoints say: its own selection, or what they show of a pod.
pub(super) fn concerns(service: &Object, change: &Change) -> bool {
    let new = change.object();
    match change.old() {
        None => selects(service, new),
        Some(old) => {
            let (before, now) = (selects(service, old), selects(service, new));
            before != now || (now && shown(old) != shown(new))
        }
    }
}

/// Everything of a pod that endpoints show.
fn shown(pod: &Object) -> (&str, &str, bool, bool, &str, Option<&Value>) {
    (
        pod.text(&["status", "podIP"]),
        facts::node(pod),
        facts::is_true(pod, "Ready"),
        pod.deletion_timestamp().is_some(),
        facts::phase(pod),
        pod.get(&["spec", "containers"]),
    )
}

/// The subsets of a service, in an order that does not depend on that of the pods.
pub(super) fn subsets(service: &Object, pods: &[Arc<Object>]) -> Vec<Value> {
    let publish_all =
        service.get(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true));
    let mut groups: BTreeMap<Ports, Addresses> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| selects(service, pod)) {
        let ip = pod.text(&["status", "podIP"]);
        let leaving = pod.deletion_timestamp().is_some() && !publish_all;
        if ip.is_empty() || leaving || facts::is_finished(pod) {
            continue;
        }
        let group = groups.entry(ports(service, pod)).or_default();
        let ready = publish_all || facts::is_true(pod, "Ready");
        let side = if ready {
            &mut group.ready
        } else {
            &mut group.not_ready
        };
        side.insert(format!("{ip}/{}", pod.uid()), address(service, pod, ip));
    }
    let headless = service.text(&["spec", "clusterIP"]) == "None";
    let useful = |ports: &Ports| !ports.is_empty() || headless;
    let groups = groups.into_iter().filter(|(ports, _)| useful(ports));
    groups
        .map(|(ports, addresses)| subset(ports, addresses))
        .collect()
}

fn subset(ports: Ports, addresses: Addresses) -> Value {
    let mut subset = Map::new();
    for (key, side) in [
        ("addresses", addresses.ready),
        ("notReadyAddresses", addresses.not_ready),
    ] {
        if !side.is_empty() {
            subset.insert(key.to_owned(), side.into_values().collect());
        }
    }
    let port = |(name, port, protocol): (String, u64, String)| match name.as_str() {
        "" => json!({"port": port, "protocol": protocol}),
        name => json!({"name": name, "port": port, "protocol": protocol}),
    };
    if !ports.is_empty() {
        subset.insert("ports".to_owned(), ports.into_iter().map(port).collect());
    }
    subset.into()
}

fn address(service: &Object, pod: &Object, ip: &str) -> Value {
    let mut address = json!({
        "ip": ip, "nodeName": facts::node(pod),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    });
    if let Some(host) = host_name(service, pod) {
        address["hostname"] = host.into();
    }
    address
}

/// What the pod is called behind this service, where it says so: `hostname`, with the service as `subdomain`.
pub(super) fn host_name<'a>(service: &Object, pod: &'a Object) -> Option<&'a str> {
    let host = pod.text(&["spec", "hostname"]);
    let named = !host.is_empty() && pod.text(&["spec", "subdomain"]) == service.name();
    named.then_some(host)
}

/// The service's ports as this pod has them; a port whose name the pod does not know is left out.
pub(super) fn ports(service: &Object, pod: &Object) -> Ports {
    let ports = service.get(&["spec", "ports"]).and_then(Value::as_array);
    let mut found: Ports = ports
        .into_iter()
        .flatten()
        .filter_map(|port| resolve(port, pod))
        .collect();
    found.sort();
    found
}

fn resolve(port: &Value, pod: &Object) -> Option<(String, u64, String)> {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    let number = match &port["targetPort"] {
        Value::String(name) => name.parse().ok().or_else(|| named(pod, name, protocol))?,
        Value::Number(number) => number.as_u64()?,
        _ => port["port"].as_u64()?,
    };
    let name = port["name"].as_str().unwrap_or_default();
    Some((name.to_owned(), number, protocol.to_owned()))
}

fn named(pod: &Object, name: &str, protocol: &str) -> Option<u64> {
    let containers = pod.get(&["spec", "containers"])?.as_array()?;
    let mut ports = containers
        .iter()
        .filter_map(|container| container["ports"].as_array())
        .flatten();
    let port = ports.find(|port| {
        port["name"] == name && port["protocol"].as_str().unwrap_or("TCP") == protocol
    })?;
    port["containerPort"].as_u64()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn service(ports: &Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ports": ports}}))
        .unwrap()
    }

    fn pod(name: &str, ip: &str, port: u64) -> Object {
        Object::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap()
    }

    fn named_port() -> Object {
        service(&json!([{"name": "main", "port": 80, "targetPort": "http", "protocol": "TCP"}]))
    }

    #[test]
    fn ready_and_unready_pods_are_told_apart() {
        let mut unready = pod("b", "10.0.0.2", 8080);
        unready.set(&["status", "conditions"], json!([]));
        let found = subsets(
            &named_port(),
            &[Arc::new(unready), Arc::new(pod("a", "10.0.0.1", 8080))],
        );
        let target =
            |name: &str| json!({"kind": "Pod", "namespace": "shop", "name": name, "uid": name});
        let wanted = json!({
            "addresses": [{"ip": "10.0.0.1", "nodeName": "n", "targetRef": target("a")}],
            "notReadyAddresses": [{"ip": "10.0.0.2", "nodeName": "n", "targetRef": target("b")}],
            "ports": [{"name": "main", "port": 8080, "protocol": "TCP"}]});
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn pods_with_other_numbers_behind_a_name_are_a_subset_of_their_own() {
        let pods = [
            Arc::new(pod("a", "10.0.0.1", 8080)),
            Arc::new(pod("b", "10.0.0.2", 9090)),
        ];
        let found = subsets(&named_port(), &pods);
        let numbers: Vec<_> = found
            .iter()
            .map(|subset| subset["ports"][0]["port"].as_u64())
            .collect();
        assert_eq!(numbers, [Some(8080), Some(9090)]);
    }

    #[test]
    fn leaving_finished_and_addressless_pods_are_left_out() {
        let mut leaving = pod("a", "10.0.0.1", 8080);
        leaving.set(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        );
        let mut finished = pod("b", "10.0.0.2", 8080);
        finished.set(&["status", "phase"], "Failed".into());
        let pods = [leaving, finished, pod("c", "", 8080)].map(Arc::new);
        assert!(subsets(&named_port(), &pods).is_empty());
        let mut publishing = named_port();
        publishing.set(&["spec", "publishNotReadyAddresses"], true.into());
        let found = subsets(&publishing, &pods);
        assert_eq!(
            found[0]["addresses"].as_array().map(Vec::len),
            Some(1),
            "the leaving one is published"
        );
    }

    #[test]
    fn a_pod_is_called_by_its_host_name_behind_its_own_service() {
        let mut named = pod("a", "10.0.0.1", 8080);
        named.set(&["spec", "hostname"], "web-0".into());
        named.set(&["spec", "subdomain"], "web".into());
        let host = |pod: &Object| {
            let found = subsets(&named_port(), &[Arc::new(pod.clone())]);
            found[0]["addresses"][0]["hostname"]
                .as_str()
                .map(ToOwned::to_owned)
        };
        assert_eq!(host(&named).as_deref(), Some("web-0"));
        named.set(&["spec", "subdomain"], "other".into());
        assert_eq!(host(&named), None);
    }

    #[test]
    fn a_status_that_endpoints_do_not_show_concerns_nobody() {
        let old = Arc::new(pod("a", "10.0.0.1", 8080));
        let mut new = (*old).clone();
        new.set(&["status", "hostIP"], "1.2.3.4".into());
        let change = Change::Modified {
            old: Arc::clone(&old),
            new: Arc::new(new),
        };
        assert!(!concerns(&named_port(), &change));
        assert!(concerns(&named_port(), &Change::Deleted(old)));
    }
}
