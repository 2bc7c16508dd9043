//! Objects to snapshot, in stages: workloads, services, routes; then references are checked. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;

use crate::assemble;
use crate::externals::{Externals, Sources};
use crate::finding::Finding;
use crate::gateway_api::ancestors;
use crate::gateway_api::backend_tls::BackendTls;
use crate::inputs::Inputs;
use crate::istio::destination_rule::DestinationPolicy;
use crate::kubernetes::{self, Parts};
use crate::listeners::{Wishes, listeners};
use crate::memory::{Memory, key};
use crate::references;
use crate::route::ServiceName;
use crate::service::Service;
use crate::snapshot::{Names, Snapshot};
use crate::standing::{ParentStanding, RouteStanding, Standings};
use crate::table::RouteSet;

/// Compiles the mesh. `previous` is only a source of parts to share; the result does not depend on it.
pub fn compile(inputs: &Inputs<'_>, previous: Option<&Snapshot>) -> (Snapshot, Vec<Finding>) {
    let empty = Snapshot::default();
    let of_this_domain = |snapshot: &&Snapshot| *snapshot.domain == *inputs.domain;
    let previous = previous.filter(of_this_domain).unwrap_or(&empty);
    let mut findings = Vec::new();
    let memory = Memory::read(inputs, &previous.memory);
    let mut snapshot = Snapshot {
        domain: inputs.domain.into(),
        locality: memory
            .nodes
            .locality(inputs.node)
            .cloned()
            .unwrap_or_default(),
        ..Snapshot::default()
    };
    index_workloads(inputs.pods, &memory, &mut snapshot);
    compile_services(inputs, &memory, previous, (&mut snapshot, &mut findings));
    let sources = Sources {
        workloads: memory.outsides(),
        groups: &memory.groups,
        policies: policies_by_name(&memory),
        previous: &previous.externals,
        secrets: &memory.secrets,
        domain: inputs.domain,
    };
    snapshot.externals = Externals::compile(&memory.entries(), &sources, &mut findings);
    let sets = memory.route_sets();
    let mut parents = vec![Vec::new(); sets.len()];
    let told = (&mut findings, &mut *parents);
    snapshot.mesh = assemble::mesh(&sets, (&snapshot, previous), told);
    let wishes = Wishes {
        gateways: &memory.gateways(),
        sets: &sets,
        secrets: &memory.secrets,
        main_port: inputs.gateway_port,
    };
    let told = (&mut findings, &mut *parents);
    let (listeners, gateways) = listeners(&wishes, &previous.listeners, told);
    snapshot.listeners = listeners;
    let policies = ancestors::standings(&memory.backend_tls(), (&sets, &parents), &snapshot);
    snapshot.standings = Standings {
        policies,
        gateways,
        routes: routes(&sets, parents),
        ingresses: memory.ingresses().collect(),
    };
    references::check(
        &snapshot,
        &sets,
        (memory.policies(), &memory.secrets),
        &mut findings,
    );
    findings.extend(memory.findings());
    findings.sort_by(Finding::by_object);
    snapshot.memory = memory;
    (snapshot, findings)
}

fn routes(sets: &[Arc<RouteSet>], parents: Vec<Vec<ParentStanding>>) -> Vec<RouteStanding> {
    let told = sets.iter().zip(parents);
    let told = told.filter(|(_, parents)| !parents.is_empty());
    let routes = told.map(|(set, parents)| RouteStanding {
        subject: set.about.subject(set.generation),
        parents,
    });
    routes.collect()
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
    let pods = memory.workloads_by_name(inputs.pods);
    let endpoints = by_name(inputs.endpoints);
    let policies = policies_by_service(memory);
    let tls = tls_by_namespace(memory);
    let mut namespaces: HashMap<Arc<str>, Names> = HashMap::new();
    for object in inputs.services {
        let (namespace, name) = (object.namespace(), object.name());
        let own = policies
            .get(&(namespace, name))
            .or_else(|| policies.get(&(namespace, "*")));
        let parts = Parts {
            endpoints: endpoints.get(&(namespace, name)).copied(),
            pods: &pods,
            policies: own.map_or(&[], Vec::as_slice),
            previous: previous.named(name, namespace),
            domain: inputs.domain,
            secrets: &memory.secrets,
            tls: tls.get(namespace).map_or(&[], Vec::as_slice),
        };
        let Some(service) = kubernetes::service(object, &parts, findings) else {
            continue;
        };
        let by_address = service
            .address
            .map(|address| (address, Arc::clone(&service)));
        snapshot.by_address.extend(by_address);
        let names = namespaces
            .entry(Arc::clone(&service.names.namespace))
            .or_default();
        let before = |name: &str| previous.named(name, namespace);
        names.extend(kubernetes::hosts(object, &parts, before));
        names.insert(Arc::clone(&service.names.name), service);
    }
    let shared = namespaces
        .into_iter()
        .map(|(name, names)| share_names(name, names, previous));
    snapshot.namespaces = shared.collect();
}

fn by_name(objects: &[Arc<Object>]) -> HashMap<(&str, &str), &Object> {
    let named = objects
        .iter()
        .map(|object| ((object.namespace(), object.name()), &**object));
    named.collect()
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

/// DestinationRules by the name that they speak of, oldest first.
fn policies_by_name(memory: &Memory) -> HashMap<&ServiceName, Vec<Arc<DestinationPolicy>>> {
    let mut by_name: HashMap<_, Vec<Arc<DestinationPolicy>>> = HashMap::new();
    for policy in memory.policies() {
        let of_name = by_name.entry(&policy.service).or_default();
        of_name.push(Arc::clone(policy));
    }
    by_name
        .values_mut()
        .for_each(|policies| oldest_first(policies));
    by_name
}

fn oldest_first(policies: &mut [Arc<DestinationPolicy>]) {
    policies.sort_by(|a, b| {
        (&a.created, &a.namespace, &a.name).cmp(&(&b.created, &b.namespace, &b.name))
    });
}

/// BackendTLSPolicies by namespace, oldest first.
fn tls_by_namespace(memory: &Memory) -> HashMap<String, Vec<Arc<BackendTls>>> {
    let mut by_namespace: HashMap<String, Vec<Arc<BackendTls>>> = HashMap::new();
    for policy in memory.backend_tls() {
        let of_namespace = by_namespace.entry(policy.about.namespace.clone());
        of_namespace.or_default().push(policy);
    }
    by_namespace
}

/// DestinationRules by the service that they speak of, oldest first.
fn policies_by_service(memory: &Memory) -> HashMap<(&str, &str), Vec<Arc<DestinationPolicy>>> {
    let mut by_service: HashMap<_, Vec<Arc<DestinationPolicy>>> = HashMap::new();
    for policy in memory.policies() {
        if let ServiceName::Mesh { namespace, name } = &policy.service {
            let of_service = by_service.entry((&**namespace, &**name)).or_default();
            of_service.push(Arc::clone(policy));
        }
    }
    by_service
        .values_mut()
        .for_each(|policies| oldest_first(policies));
    by_service
}
