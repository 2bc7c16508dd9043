//! Objects to snapshot, in stages: workloads, services, routes; then references are checked. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;

use crate::assemble;
use crate::finding::Finding;
use crate::inputs::Inputs;
use crate::istio::destination_rule::DestinationPolicy;
use crate::kubernetes;
use crate::memory::{Memory, key};
use crate::references;
use crate::route::ServiceName;
use crate::service::Service;
use crate::snapshot::{Names, Snapshot};

/// Compiles the mesh. `previous` is only a source of parts to share; the result does not depend on it.
pub fn compile(inputs: &Inputs<'_>, previous: Option<&Snapshot>) -> (Snapshot, Vec<Finding>) {
    let empty = Snapshot::default();
    let previous = previous
        .filter(|snapshot| *snapshot.domain == *inputs.domain)
        .unwrap_or(&empty);
    let mut findings = Vec::new();
    let memory = Memory::read(inputs, &previous.memory);
    let mut snapshot = Snapshot {
        domain: inputs.domain.into(),
        ..Snapshot::default()
    };
    index_workloads(inputs.pods, &memory, &mut snapshot);
    compile_services(inputs, &memory, previous, (&mut snapshot, &mut findings));
    let sets = memory.route_sets(inputs.virtual_services);
    let gateways = memory.gateways(inputs.gateways);
    snapshot.table = assemble::table(
        &sets,
        &gateways,
        (&snapshot, &previous.table),
        &mut findings,
    );
    let policies: Vec<_> = memory.policies.values().map(|kept| &kept.value).collect();
    references::check(&snapshot, &sets, &policies, &mut findings);
    findings.extend(sets.iter().flat_map(|set| set.findings.iter().cloned()));
    findings.extend(
        policies
            .iter()
            .flat_map(|policy| policy.findings.iter().cloned()),
    );
    findings.extend(
        gateways
            .values()
            .flat_map(|gateway| gateway.findings.iter().cloned()),
    );
    findings.sort_by(|a, b| {
        (a.resource, &a.namespace, &a.name, &a.field).cmp(&(
            b.resource,
            &b.namespace,
            &b.name,
            &b.field,
        ))
    });
    snapshot.memory = memory;
    (snapshot, findings)
}

fn index_workloads(pods: &[Arc<Object>], memory: &Memory, snapshot: &mut Snapshot) {
    for pod in pods {
        let Some(reading) = memory.workloads.get(&*key(pod)) else {
            continue;
        };
        let workload = &reading.value;
        snapshot
            .workloads
            .insert(Arc::clone(&workload.uid), Arc::clone(workload));
        let phase = pod
            .get(&["status", "phase"])
            .and_then(|phase| phase.as_str());
        if !workload.address.is_unspecified() && !matches!(phase, Some("Succeeded" | "Failed")) {
            snapshot
                .pods_by_address
                .insert(workload.address, Arc::clone(workload));
        }
    }
}

fn compile_services(
    inputs: &Inputs<'_>,
    memory: &Memory,
    previous: &Snapshot,
    (snapshot, findings): (&mut Snapshot, &mut Vec<Finding>),
) {
    let pods = inputs
        .pods
        .iter()
        .filter_map(|pod| Some((pod, memory.workloads.get(&*key(pod))?)));
    let pods: HashMap<_, _> = pods
        .map(|(pod, reading)| ((pod.namespace(), pod.name()), &reading.value))
        .collect();
    let endpoints: HashMap<_, _> = inputs
        .endpoints
        .iter()
        .map(|e| ((e.namespace(), e.name()), e))
        .collect();
    let policies = policies_by_service(memory);
    let mut namespaces: HashMap<Arc<str>, Names> = HashMap::new();
    for object in inputs.services {
        let name = (object.namespace(), object.name());
        let own = policies.get(&name).or_else(|| policies.get(&(name.0, "*")));
        let parts = kubernetes::Parts {
            endpoints: endpoints.get(&name).map(|object| &***object),
            pods: &pods,
            policies: own.map_or(&[], Vec::as_slice),
            previous: previous
                .namespaces
                .get(name.0)
                .and_then(|names| names.get(name.1)),
            domain: inputs.domain,
        };
        let Some(service) = kubernetes::service(object, &parts, findings) else {
            continue;
        };
        if let Some(address) = service.address {
            snapshot.by_address.insert(address, Arc::clone(&service));
        }
        let names = namespaces
            .entry(Arc::clone(&service.names.namespace))
            .or_default();
        names.insert(Arc::clone(&service.names.name), service);
    }
    snapshot.namespaces = namespaces
        .into_iter()
        .map(|(namespace, names)| share_names(namespace, names, previous))
        .collect();
}

/// A namespace in which nothing changed is the previous one.
fn share_names(namespace: Arc<str>, names: Names, previous: &Snapshot) -> (Arc<str>, Arc<Names>) {
    let same = |before: &&Arc<Names>| {
        let unchanged = |(name, service): (&Arc<str>, &Arc<Service>)| {
            before.get(name).is_some_and(|s| Arc::ptr_eq(s, service))
        };
        before.len() == names.len() && names.iter().all(unchanged)
    };
    let shared = previous.namespaces.get(&namespace).filter(same).cloned();
    (namespace, shared.unwrap_or_else(|| Arc::new(names)))
}

/// DestinationRules by the service that they speak of, oldest first.
fn policies_by_service(memory: &Memory) -> HashMap<(&str, &str), Vec<Arc<DestinationPolicy>>> {
    let mut by_service: HashMap<_, Vec<Arc<DestinationPolicy>>> = HashMap::new();
    for reading in memory.policies.values() {
        if let ServiceName::Mesh { namespace, name } = &reading.value.service {
            by_service
                .entry((&**namespace, &**name))
                .or_default()
                .push(Arc::clone(&reading.value));
        }
    }
    for policies in by_service.values_mut() {
        policies.sort_by(|a, b| {
            (&a.created, &a.namespace, &a.name).cmp(&(&b.created, &b.namespace, &b.name))
        });
    }
    by_service
}
