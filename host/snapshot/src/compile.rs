//! Objects to snapshot, in stages: workloads, services, routes; then references are checked. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;

use crate::alias;
use crate::assemble;
use crate::externals::{Externals, Sources};
use crate::gateway_api::ancestors;
use crate::gateway_api::backend_tls::BackendTls;
use crate::inputs::Inputs;
use crate::kubernetes::{self, Parts};
use crate::listeners::{Wishes, listeners};
use crate::memory::{self, Memory, key};
use crate::policies::Policies;
use crate::references;
use crate::scope::Scopes;
use crate::snapshot::{Names, Snapshot};
use crate::table::RouteSet;
use osier_routing::names;
use osier_routing::service::Service;
use osier_standing::Finding;
use osier_standing::{ParentStanding, RouteStanding, Standings};

/// Compiles the mesh. `previous` is only a source of parts to share; the result does not depend on it.
pub fn compile(inputs: &Inputs<'_>, previous: Option<&Snapshot>) -> (Snapshot, Vec<Finding>) {
    let empty = Snapshot::default();
    let of_this_domain = |snapshot: &&Snapshot| *snapshot.domain == *inputs.domain;
    let previous = previous.filter(of_this_domain).unwrap_or(&empty);
    let mut findings = Vec::new();
    let memory = Memory::read(inputs, &previous.memory);
    let here = memory.nodes.locality(inputs.node);
    let mut snapshot = Snapshot {
        domain: inputs.domain.into(),
        aliases: alias::aliases(inputs.services),
        locality: here.cloned().unwrap_or_default(),
        ..Snapshot::default()
    };
    index_workloads(inputs.pods, &memory, &mut snapshot);
    let policies = Policies::new(memory.policies(), inputs.root_namespace);
    let made_of = (&memory, &policies);
    compile_services(inputs, made_of, previous, (&mut snapshot, &mut findings));
    let sources = Sources {
        workloads: memory.outsides(),
        groups: &memory.groups,
        policies: &policies,
        previous: &previous.externals,
        secrets: &memory.secrets,
        domain: inputs.domain,
    };
    snapshot.externals = Externals::compile(&memory.entries(), &sources, &mut findings);
    snapshot.scopes = scopes(&memory, &snapshot, inputs.root_namespace, &mut findings);
    let sets = memory.route_sets();
    let mut parents = vec![Vec::new(); sets.len()];
    let told = (&mut findings, &mut *parents);
    snapshot.mesh = assemble::mesh(&sets, (&snapshot, previous), told);
    let wishes = Wishes {
        gateways: &memory.gateways(),
        sets: &sets,
        foreign: &memory::foreign(inputs),
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

fn scopes(memory: &Memory, snapshot: &Snapshot, root: &str, found: &mut Vec<Finding>) -> Scopes {
    let pods = snapshot.workloads.values();
    Scopes::new(&memory.sidecars(), pods, root, found)
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
    let beside = memory.accompanied();
    let beside = beside.map(|workload| (Arc::clone(&workload.uid), Arc::clone(workload)));
    snapshot.workloads.extend(beside);
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
    (memory, policies): (&Memory, &Policies<'_>),
    previous: &Snapshot,
    (snapshot, findings): (&mut Snapshot, &mut Vec<Finding>),
) {
    let pods = memory.workloads_by_name(inputs.pods);
    let endpoints = by_name(inputs.endpoints);
    let tls = tls_by_namespace(memory);
    let mut namespaces: HashMap<Arc<str>, Names> = HashMap::new();
    for object in inputs.services {
        let (namespace, name) = (object.namespace(), object.name());
        let host = || names::full_name(name, namespace, inputs.domain);
        let parts = Parts {
            endpoints: endpoints.get(&(namespace, name)).copied(),
            pods: &pods,
            policies: &policies.of((namespace, name), namespace, host),
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
        let of_namespace = namespaces
            .entry(Arc::clone(&service.names.namespace))
            .or_default();
        let before = |name: &str| previous.named(name, namespace);
        of_namespace.extend(kubernetes::hosts(object, &parts, before));
        of_namespace.insert(Arc::clone(&service.names.name), service);
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

/// BackendTLSPolicies by namespace, oldest first.
fn tls_by_namespace(memory: &Memory) -> HashMap<String, Vec<Arc<BackendTls>>> {
    let mut by_namespace: HashMap<String, Vec<Arc<BackendTls>>> = HashMap::new();
    for policy in memory.backend_tls() {
        let of_namespace = by_namespace.entry(policy.about.namespace.clone());
        of_namespace.or_default().push(policy);
    }
    by_namespace
}
