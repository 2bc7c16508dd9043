//! A service's EndpointSlices: what stands behind it, at most a hundred endpoints a slice, grouped by
//! the ports that they have. An endpoint stays in the slice where it is. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::ENDPOINT_SLICES;
use serde_json::{Value, json};

use super::subsets::{Ports, host_name, ports, selects};
use crate::{facts, hash, ownership};

/// Endpoints of a slice, as in Kubernetes.
const MOST: usize = 100;
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What makes a service's slices true.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<Object>,
    pub(super) replace: Vec<Object>,
    pub(super) delete: Vec<Arc<Object>>,
}

/// The slice is one of the service's, and ours to write.
pub(super) fn is_ours(slice: &Object, service: &str) -> bool {
    slice.label(SERVICE_NAME) == Some(service) && slice.label(MANAGED_BY) == Some(CONTROLLER)
}

/// Decides from the service, the pods of its namespace, and its slices.
pub(super) fn plan(service: &Object, pods: &[Arc<Object>], slices: &[Arc<Object>]) -> Plan {
    let mut plan = Plan::default();
    let mut wanted = wanted(service, pods);
    let mut taken: Vec<&str> = Vec::new();
    let mut kept: Vec<(Object, &Arc<Object>)> = Vec::new();
    for slice in slices {
        taken.push(slice.name());
        let written = slice.get(&["ports"]).cloned().unwrap_or_else(|| json!([]));
        let group = wanted
            .iter_mut()
            .find(|(ports, _)| ports_value(ports) == written);
        let Some((_, group)) = group else {
            plan.delete.push(Arc::clone(slice));
            continue;
        };
        let endpoints = slice.get(&["endpoints"]).and_then(Value::as_array);
        let stay: Vec<Value> = endpoints
            .into_iter()
            .flatten()
            .filter_map(|endpoint| group.remove(&identity(endpoint)))
            .collect();
        kept.push((labelled(service, slice, stay), slice));
    }
    for (ports, mut group) in wanted {
        let value = ports_value(&ports);
        for (slice, _) in &mut kept {
            if slice.get(&["ports"]).unwrap_or(&Value::Null) == &value {
                fill(slice, &mut group);
            }
        }
        let mut number = 0;
        while !group.is_empty() {
            let name = name(service.name(), &value, number);
            number += 1;
            if !taken.contains(&name.as_str()) {
                let mut slice = new(service, &name, &value);
                fill(&mut slice, &mut group);
                plan.create.push(slice);
            }
        }
    }
    for (new, old) in kept {
        let is_empty = new.get(&["endpoints"]) == Some(&json!([]));
        if is_empty {
            plan.delete.push(Arc::clone(old));
        } else if new != **old {
            plan.replace.push(new);
        }
    }
    plan
}

/// Endpoints by their identity, grouped by ports.
fn wanted(service: &Object, pods: &[Arc<Object>]) -> BTreeMap<Ports, BTreeMap<String, Value>> {
    let publish_all =
        service.get(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true));
    let headless = service.text(&["spec", "clusterIP"]) == "None";
    let mut groups: BTreeMap<Ports, BTreeMap<String, Value>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| selects(service, pod)) {
        if pod.text(&["status", "podIP"]).is_empty() || facts::is_finished(pod) {
            continue;
        }
        let ports = ports(service, pod);
        if ports.is_empty() && !headless {
            continue;
        }
        let mut endpoint = endpoint(pod, publish_all);
        if let Some(host) = host_name(service, pod) {
            endpoint["hostname"] = host.into();
        }
        let group = groups.entry(ports).or_default();
        group.insert(identity(&endpoint), endpoint);
    }
    groups
}

fn endpoint(pod: &Object, publish_all: bool) -> Value {
    let serving = facts::is_true(pod, "Ready");
    let terminating = pod.deletion_timestamp().is_some();
    json!({
        "addresses": [pod.text(&["status", "podIP"])],
        "conditions": {"ready": publish_all || (serving && !terminating),
            "serving": serving, "terminating": terminating},
        "nodeName": facts::node(pod),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    })
}

/// The same pod at the same address.
fn identity(endpoint: &Value) -> String {
    let uid = endpoint["targetRef"]["uid"].as_str().unwrap_or("");
    format!("{}/{uid}", endpoint["addresses"][0].as_str().unwrap_or(""))
}

fn ports_value(ports: &Ports) -> Value {
    let ports = ports
        .iter()
        .map(|(name, port, protocol)| json!({"name": name, "port": port, "protocol": protocol}));
    ports.collect()
}

/// Moves endpoints into the slice until it is full.
fn fill(slice: &mut Object, group: &mut BTreeMap<String, Value>) {
    let endpoints = slice.get(&["endpoints"]).and_then(Value::as_array);
    let mut endpoints = endpoints.cloned().unwrap_or_default();
    while endpoints.len() < MOST {
        let Some((_, endpoint)) = group.pop_first() else {
            break;
        };
        endpoints.push(endpoint);
    }
    slice.set(&["endpoints"], endpoints.into());
}

/// A name that the same ports and number give again, so that a late look creates no second slice.
fn name(service: &str, ports: &Value, number: usize) -> String {
    let hash = hash::of(&format!("{ports}{number}"));
    format!("{service}-{}", hash.get(..5).unwrap_or(&hash))
}

fn new(service: &Object, name: &str, ports: &Value) -> Object {
    let mut slice = Object::new(&ENDPOINT_SLICES, service.namespace(), name);
    let mut owner = ownership::reference(service);
    owner["apiVersion"] = "v1".into();
    owner["kind"] = "Service".into();
    slice.set(&["metadata", "ownerReferences"], json!([owner]));
    slice.set(&["addressType"], "IPv4".into());
    slice.set(&["ports"], ports.clone());
    labelled(service, &slice, Vec::new())
}

/// The slice with these endpoints and the labels that the service gives it.
fn labelled(service: &Object, slice: &Object, endpoints: Vec<Value>) -> Object {
    let mut slice = slice.clone();
    let labels = service.get(&["metadata", "labels"]).cloned();
    let mut labels = labels.unwrap_or_else(|| json!({}));
    labels[SERVICE_NAME] = service.name().into();
    labels[MANAGED_BY] = CONTROLLER.into();
    if service.text(&["spec", "clusterIP"]) == "None" {
        labels[HEADLESS] = "".into();
    }
    slice.set(&["metadata", "labels"], labels);
    slice.set(&["endpoints"], endpoints.into());
    slice
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn service() -> Object {
        Object::from_value(json!({"metadata": {"name": "web", "namespace": "shop", "uid": "s", "labels": {"tier": "a"}},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": 8080}]}}))
        .unwrap()
    }

    fn pod(number: usize, ready: bool) -> Arc<Object> {
        let status = if ready { "True" } else { "False" };
        let name = format!("p{number:03}");
        Arc::new(Object::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"}},
            "spec": {"nodeName": "n"},
            "status": {"podIP": format!("10.0.0.{number}"), "phase": "Running", "conditions": [{"type": "Ready", "status": status}]}}))
        .unwrap())
    }

    fn stored(plan: Plan) -> Vec<Arc<Object>> {
        plan.create.into_iter().map(Arc::new).collect()
    }

    fn count(slice: &Object) -> usize {
        slice.get(&["endpoints"]).unwrap().as_array().unwrap().len()
    }

    #[test]
    fn a_slice_says_what_its_endpoints_can() {
        let mut leaving = (*pod(2, true)).clone();
        leaving.set(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        );
        let pods = [pod(1, true), Arc::new(leaving), pod(3, false)];
        let plan = plan(&service(), &pods, &[]);
        let slice = &plan.create[0];
        assert_eq!(slice.label(SERVICE_NAME), Some("web"));
        assert_eq!(slice.label("tier"), Some("a"));
        assert_eq!(
            slice.get(&["ports"]),
            Some(&json!([{"name": "", "port": 8080, "protocol": "TCP"}]))
        );
        let said: Vec<&Value> = slice
            .get(&["endpoints"])
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| &endpoint["conditions"])
            .collect();
        let conditions = |ready: bool, serving: bool, terminating: bool| json!({"ready": ready, "serving": serving, "terminating": terminating});
        assert_eq!(
            said,
            [
                &conditions(true, true, false),
                &conditions(false, true, true),
                &conditions(false, false, false)
            ]
        );
    }

    #[test]
    fn endpoints_stay_where_they_are_and_gaps_are_filled() {
        let pods: Vec<_> = (0..250).map(|number| pod(number, true)).collect();
        let slices = stored(plan(&service(), &pods, &[]));
        assert_eq!(
            slices.iter().map(|slice| count(slice)).collect::<Vec<_>>(),
            [100, 100, 50]
        );
        let unchanged = plan(&service(), &pods, &slices);
        assert!(
            unchanged.create.is_empty()
                && unchanged.replace.is_empty()
                && unchanged.delete.is_empty()
        );
        let mut moved: Vec<_> = pods[1..].to_vec();
        moved.push(pod(251, true));
        let changed = plan(&service(), &moved, &slices);
        assert_eq!(
            (
                changed.create.len(),
                changed.replace.len(),
                changed.delete.len()
            ),
            (0, 1, 0)
        );
        let none = plan(&service(), &[], &slices);
        assert_eq!(
            (none.create.len(), none.replace.len(), none.delete.len()),
            (0, 0, 3)
        );
    }

    #[test]
    fn other_ports_are_other_slices() {
        let slices = stored(plan(&service(), &[pod(1, true)], &[]));
        let mut other = service();
        other.set(
            &["spec", "ports"],
            json!([{"port": 80, "targetPort": 9090}]),
        );
        let plan = plan(&other, &[pod(1, true)], &slices);
        assert_eq!((plan.create.len(), plan.delete.len()), (1, 1));
        assert_ne!(plan.create[0].name(), slices[0].name());
    }
}
