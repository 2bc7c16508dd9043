//! What was read from each object, kept from one compile to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use osier_api::Object;

use crate::gateway_api::backend_tls::{self, BackendTls};
use crate::gateway_api::gateway::CONTROLLER;
use crate::gateway_api::references::References;
use crate::gateway_api::{self, routes};
use crate::gateways::GatewaySet;
use crate::ingress::{self, Ingress};
use crate::inputs::Inputs;
use crate::istio::delegate::{self, Delegates};
use crate::istio::destination_rule::{self, DestinationPolicy};
use crate::istio::gateway;
use crate::istio::service_entry::{self, Outside, ServiceEntry};
use crate::istio::virtual_service;
use crate::istio::workload_group::{self, WorkloadGroup};
use crate::istio::{peer_authentication, sidecar};
use crate::nodes::Nodes;
use crate::scope::Sidecar;
use crate::table::RouteSet;
use osier_routing::workload::Workload;
use osier_standing::Finding;
use osier_standing::Subject;
use osier_traffic::{Credential, Secrets, TlsSecret, secret};

/// What was read from each object, so that an unchanged object is not read again and its value stays shared.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) workloads: Kept<Workload>,
    pub(crate) nodes: Nodes,
    route_sets: Kept<RouteSet>,
    /// Of HTTPRoutes, GRPCRoutes, TLSRoutes and TCPRoutes.
    api_routes: [Kept<RouteSet>; 4],
    ingresses: Kept<Ingress>,
    backend_tls: Kept<BackendTls>,
    policies: Kept<DestinationPolicy>,
    gateways: Kept<GatewaySet>,
    api_gateways: Kept<GatewaySet>,
    entries: Kept<ServiceEntry>,
    outsides: Kept<Option<Outside>>,
    pub(crate) groups: Kept<WorkloadGroup>,
    sidecars: Kept<Sidecar>,
    /// What is not in force of PeerAuthentications.
    proofs: Kept<Vec<Finding>>,
    read_secrets: Kept<TlsSecret>,
    pub(crate) secrets: Secrets,
}

/// Values by `namespace/name` of the object that they were read from.
pub(crate) type Kept<T> = HashMap<Box<str>, Reading<T>>;

/// An object and what was read from it.
#[derive(Debug)]
pub(crate) struct Reading<T> {
    object: Arc<Object>,
    /// Other objects that it was read together with.
    with: Vec<Option<Arc<Object>>>,
    pub(crate) value: Arc<T>,
}

impl<T> Reading<T> {
    fn is_of(&self, object: &Arc<Object>, with: &[Option<Arc<Object>>]) -> bool {
        let same = |a: &Arc<Object>, b: &Arc<Object>| Arc::ptr_eq(a, b) || a == b;
        let same_other = |(a, b): (&Option<Arc<Object>>, &Option<Arc<Object>>)| match (a, b) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same(&self.object, object)
            && self.with.len() == with.len()
            && self.with.iter().zip(with).all(same_other)
    }
}

impl Memory {
    pub(crate) fn read(inputs: &Inputs<'_>, previous: &Self) -> Self {
        let domain = inputs.domain;
        let policies = read_all(inputs.destination_rules, &previous.policies, |o| {
            destination_rule::compile(o, domain)
        });
        let nodes = Nodes::read(inputs.nodes, inputs.workload_entries, &previous.nodes);
        let gateways = read_all(inputs.gateways, &previous.gateways, gateway::compile);
        let references = References::of(inputs);
        let api_gateways = read_api_gateways(inputs, &previous.api_gateways, &references);
        let api_routes = read_api_routes(inputs, previous, &references);
        let backend_tls = read_backend_tls(inputs, &previous.backend_tls, &references);
        let ingresses = read_ingresses(inputs, &previous.ingresses, &references);
        let all_gateways = gateways.values().chain(api_gateways.values());
        let all_gateways = all_gateways.map(|reading| &reading.value);
        let of_ingresses = ingresses.values().map(|reading| &reading.value.gateway);
        let wanted = named_secrets(inputs, all_gateways.chain(of_ingresses), &policies);
        let read_secrets = read_all(&wanted, &previous.read_secrets, secret::read);
        Self {
            workloads: read_pods(inputs, &previous.workloads, &nodes),
            nodes,
            route_sets: read_route_sets(inputs, &previous.route_sets),
            secrets: read_secrets
                .iter()
                .map(|(key, reading)| (key.clone(), Arc::clone(&reading.value)))
                .collect(),
            read_secrets,
            policies,
            entries: read_all(
                inputs.service_entries,
                &previous.entries,
                service_entry::compile,
            ),
            groups: read_all(
                inputs.workload_groups,
                &previous.groups,
                workload_group::compile,
            ),
            proofs: read_all(
                inputs.peer_authentications,
                &previous.proofs,
                peer_authentication::compile,
            ),
            sidecars: read_all(inputs.sidecars, &previous.sidecars, |o| {
                sidecar::compile(o, domain)
            }),
            outsides: read_all(inputs.workload_entries, &previous.outsides, |o| {
                service_entry::compile_workload(o, domain)
            }),
            gateways,
            api_gateways,
            api_routes,
            ingresses,
            backend_tls,
        }
    }

    /// Route sets, oldest first.
    pub(crate) fn route_sets(&self) -> Vec<Arc<RouteSet>> {
        let mut sets: Vec<_> = self.all_route_sets().cloned().collect();
        sets.sort_by(|a, b| a.about.cmp(&b.about));
        sets
    }

    fn all_route_sets(&self) -> impl Iterator<Item = &Arc<RouteSet>> {
        let kept = std::iter::once(&self.route_sets).chain(&self.api_routes);
        let kept = kept.flat_map(|kept| kept.values().map(|reading| &reading.value));
        let of_ingresses = self.ingresses.values();
        kept.chain(of_ingresses.flat_map(|reading| &reading.value.sets))
    }

    fn all_gateways(&self) -> impl Iterator<Item = &Arc<GatewaySet>> {
        let kept = self.gateways.values().chain(self.api_gateways.values());
        let kept = kept.map(|reading| &reading.value);
        let of_ingresses = self.ingresses.values();
        kept.chain(of_ingresses.map(|reading| &reading.value.gateway))
    }

    /// BackendTLSPolicies, oldest first.
    pub(crate) fn backend_tls(&self) -> Vec<Arc<BackendTls>> {
        let all = self.backend_tls.values();
        let mut policies: Vec<_> = all.map(|reading| Arc::clone(&reading.value)).collect();
        policies.sort_by(|a, b| a.about.cmp(&b.about));
        policies
    }

    /// The ingresses that are served.
    pub(crate) fn ingresses(&self) -> impl Iterator<Item = Subject> {
        let gateways = self.ingresses.values();
        let gateways = gateways.map(|reading| &reading.value.gateway);
        gateways.map(|gateway| gateway.about.subject(gateway.generation))
    }

    /// Workloads by the (namespace, name) of their pods.
    pub(crate) fn workloads_by_name<'a>(
        &'a self,
        pods: &'a [Arc<Object>],
    ) -> HashMap<(&'a str, &'a str), &'a Arc<Workload>> {
        let kept = pods
            .iter()
            .filter_map(|pod| Some((pod, self.workloads.get(&*key(pod))?)));
        kept.map(|(pod, reading)| ((pod.namespace(), pod.name()), &reading.value))
            .collect()
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = &Arc<DestinationPolicy>> {
        self.policies.values().map(|reading| &reading.value)
    }

    /// What was wrong with objects by themselves.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        let routes = self.all_route_sets().flat_map(|set| &set.findings);
        let policies = self.policies().flat_map(|policy| &policy.findings);
        let gateways = self.all_gateways().flat_map(|gateway| &gateway.findings);
        let entries = self.entries.values();
        let entries = entries.flat_map(|reading| &reading.value.findings);
        let outsides = self
            .outsides
            .values()
            .filter_map(|reading| reading.value.as_ref().as_ref());
        let outsides = outsides.flat_map(|outside| &outside.findings);
        let tls = self.backend_tls.values();
        let tls = tls.flat_map(|reading| &reading.value.findings);
        let all = routes.chain(policies).chain(gateways).chain(tls);
        let groups = self.groups.values();
        let groups = groups.flat_map(|reading| &reading.value.findings);
        let sidecars = self.sidecars.values();
        let sidecars = sidecars.flat_map(|reading| &reading.value.findings);
        let known = all.chain(entries).chain(outsides).chain(groups);
        let proofs = self.proofs.values();
        let proofs = proofs.flat_map(|reading| &*reading.value);
        let known = known.chain(sidecars).chain(proofs);
        known.cloned().chain(self.strays())
    }

    /// WorkloadEntries of groups that do not exist.
    fn strays(&self) -> impl Iterator<Item = Finding> {
        let all = self.outsides.values();
        let all = all.filter_map(|reading| reading.value.as_ref().as_ref());
        all.filter_map(|outside| {
            let group = outside.group.as_deref()?;
            (!self.groups.contains_key(group)).then(|| outside.stray(group))
        })
    }

    /// ServiceEntries, oldest first.
    pub(crate) fn entries(&self) -> Vec<Arc<ServiceEntry>> {
        let all = self.entries.values();
        let mut entries: Vec<_> = all.map(|reading| Arc::clone(&reading.value)).collect();
        entries.sort_by(|a, b| a.about.cmp(&b.about));
        entries
    }

    /// Sidecars, oldest first.
    pub(crate) fn sidecars(&self) -> Vec<Arc<Sidecar>> {
        let all = self.sidecars.values();
        let mut sidecars: Vec<_> = all.map(|reading| Arc::clone(&reading.value)).collect();
        sidecars.sort_by(|a, b| a.about.cmp(&b.about));
        sidecars
    }

    /// WorkloadEntries by namespace, in the order of their names.
    pub(crate) fn outsides(&self) -> HashMap<&str, Vec<&Outside>> {
        let mut by_namespace: HashMap<&str, Vec<&Outside>> = HashMap::new();
        for outside in self
            .outsides
            .values()
            .filter_map(|reading| reading.value.as_ref().as_ref())
        {
            let all = by_namespace.entry(&outside.workload.namespace).or_default();
            all.push(outside);
        }
        for all in by_namespace.values_mut() {
            all.sort_by(|a, b| a.workload.name.cmp(&b.workload.name));
        }
        by_namespace
    }

    /// The workloads outside beside which a companion stands.
    pub(crate) fn accompanied(&self) -> impl Iterator<Item = &Arc<Workload>> {
        let all = self.outsides.values();
        let all = all.filter_map(|reading| reading.value.as_ref().as_ref());
        all.map(|outside| &outside.workload)
            .filter(|workload| !workload.uid.is_empty())
    }

    /// What gateways ask for, oldest first.
    pub(crate) fn gateways(&self) -> Vec<Arc<GatewaySet>> {
        let mut gateways: Vec<_> = self.all_gateways().cloned().collect();
        gateways.sort_by(|a, b| a.about.cmp(&b.about));
        gateways
    }
}

/// A pod is read together with its node, whose place it has.
fn read_pods(inputs: &Inputs<'_>, previous: &Kept<Workload>, nodes: &Nodes) -> Kept<Workload> {
    let read = |pod: &Object| {
        let mut workload = Workload::from_pod(pod, inputs.domain);
        if let Some(place) = nodes.locality(&workload.node) {
            workload.locality = workload.locality.or(place);
        }
        workload
    };
    let needed = |pod: &Object| {
        // Without nodes nothing is looked up for each pod.
        if nodes.is_empty() {
            return Vec::new();
        }
        let name = pod.get(&["spec", "nodeName"]);
        vec![name.and_then(|name| nodes.object(name.as_str()?))]
    };
    read_with(inputs.pods, previous, (read, needed))
}

/// The Secrets that gateways and DestinationRules name.
fn named_secrets<'a>(
    inputs: &Inputs<'_>,
    gateways: impl Iterator<Item = &'a Arc<GatewaySet>>,
    policies: &Kept<DestinationPolicy>,
) -> Vec<Arc<Object>> {
    let policies = policies.values();
    let policies = policies.flat_map(|reading| reading.value.secrets());
    let of_gateway = |gateway: &'a Arc<GatewaySet>| {
        let servers = gateway.servers.iter();
        let tls = servers.filter_map(|server| server.tls.as_ref());
        let own = tls.flat_map(|tls| tls.credentials.iter().chain(&tls.authorities));
        own.chain(&gateway.shows)
    };
    let named: HashSet<String> = gateways
        .flat_map(of_gateway)
        .map(Credential::key)
        .chain(policies.map(ToOwned::to_owned))
        .collect();
    let wanted = |secret: &&Arc<Object>| named.contains(&key(secret));
    inputs.secrets.iter().filter(wanted).cloned().collect()
}

fn read_api_routes(
    inputs: &Inputs<'_>,
    previous: &Memory,
    references: &References<'_>,
) -> [Kept<RouteSet>; 4] {
    let api = inputs.gateway_api;
    let kinds = [
        (gateway_api::HTTP_ROUTE, api.http_routes),
        (gateway_api::GRPC_ROUTE, api.grpc_routes),
        (gateway_api::TLS_ROUTE, api.tls_routes),
        (gateway_api::TCP_ROUTE, api.tcp_routes),
    ];
    let mut before = previous.api_routes.iter();
    kinds.map(|(kind, objects)| {
        let nothing = Kept::new();
        let before = before.next().unwrap_or(&nothing);
        let read = |object: &Object| routes::compile(object, kind, references);
        read_with(
            objects,
            before,
            (read, |object: &Object| routes::needed(object, references)),
        )
    })
}

fn read_api_gateways(
    inputs: &Inputs<'_>,
    previous: &Kept<GatewaySet>,
    references: &References<'_>,
) -> Kept<GatewaySet> {
    let read = |object: &Object| gateway_api::gateway::compile(object, references);
    let needed = |object: &Object| gateway_api::gateway::needed(object, references);
    read_with(&served(inputs), previous, (read, needed))
}

fn read_backend_tls(
    inputs: &Inputs<'_>,
    previous: &Kept<BackendTls>,
    references: &References<'_>,
) -> Kept<BackendTls> {
    let policies = inputs.gateway_api.backend_tls_policies;
    let read = |object: &Object| backend_tls::compile(object, references);
    let needed = |object: &Object| backend_tls::needed(object, references);
    read_with(policies, previous, (read, needed))
}

fn read_ingresses(
    inputs: &Inputs<'_>,
    previous: &Kept<Ingress>,
    references: &References<'_>,
) -> Kept<Ingress> {
    let read = |object: &Object| {
        ingress::compile(object, |name| references.service(object.namespace(), name))
    };
    let needed = |object: &Object| {
        ingress::needed(object, |name| references.service(object.namespace(), name))
    };
    read_with(&ingress::served(inputs), previous, (read, needed))
}

/// The Gateway API's gateways whose class is served here.
fn served(inputs: &Inputs<'_>) -> Vec<Arc<Object>> {
    let classes = classes(inputs);
    let gateways = inputs.gateway_api.gateways.iter();
    gateways
        .filter(|gateway| classes.contains(class_of(gateway)))
        .cloned()
        .collect()
}

/// Gateways of other classes, by namespace and name: what becomes of their routes others say.
pub(crate) fn foreign<'a>(inputs: &Inputs<'a>) -> HashSet<(&'a str, &'a str)> {
    let classes = classes(inputs);
    let gateways = inputs.gateway_api.gateways.iter();
    gateways
        .filter(|gateway| !classes.contains(class_of(gateway)))
        .map(|gateway| (gateway.namespace(), gateway.name()))
        .collect()
}

fn class_of(gateway: &Object) -> &str {
    gateway.text(&["spec", "gatewayClassName"])
}

/// The classes of this controller.
fn classes<'a>(inputs: &Inputs<'a>) -> HashSet<&'a str> {
    let ours = |class: &&Arc<Object>| class.text(&["spec", "controllerName"]) == CONTROLLER;
    let classes = inputs.gateway_api.classes.iter().filter(ours);
    classes.map(|class| class.name()).collect()
}

/// A VirtualService is read together with those that it delegates to.
fn read_route_sets(inputs: &Inputs<'_>, previous: &Kept<RouteSet>) -> Kept<RouteSet> {
    let objects = inputs.virtual_services;
    let delegates = objects
        .iter()
        .filter(|object| delegate::is_delegate(object));
    let delegates: Delegates = delegates
        .map(|object| (key(object), Arc::clone(object)))
        .collect();
    let read = |object: &Object| virtual_service::compile(object, inputs.domain, &delegates);
    let needed = |object: &Object| delegate::needed(object, &delegates);
    read_with(objects, previous, (read, needed))
}

fn read_all<T: Keep>(
    objects: &[Arc<Object>],
    previous: &Kept<T>,
    read: impl Fn(&Object) -> T,
) -> Kept<T> {
    read_with(objects, previous, (read, |_: &Object| Vec::new()))
}

/// Reads objects that have not been read together with the same others.
fn read_with<T: Keep>(
    objects: &[Arc<Object>],
    previous: &Kept<T>,
    (read, needed): (
        impl Fn(&Object) -> T,
        impl Fn(&Object) -> Vec<Option<Arc<Object>>>,
    ),
) -> Kept<T> {
    let read_one = |object: &Arc<Object>| {
        let (key, with) = (key(object), needed(object));
        let before = previous.get(&*key);
        let value = match before {
            Some(reading) if reading.is_of(object, &with) => Arc::clone(&reading.value),
            _ => T::keep(read(object), before.map(|reading| &reading.value)),
        };
        (
            key.into(),
            Reading {
                object: Arc::clone(object),
                with,
                value,
            },
        )
    };
    objects.iter().map(read_one).collect()
}

/// How a value that was read anew is shared with the one before it.
trait Keep: Sized {
    /// The previous value if the new one is equal, else the new one.
    fn keep(new: Self, _previous: Option<&Arc<Self>>) -> Arc<Self> {
        Arc::new(new)
    }
}

impl Keep for RouteSet {}
impl Keep for DestinationPolicy {}
impl Keep for GatewaySet {}
impl Keep for Ingress {}
impl Keep for BackendTls {}
impl Keep for ServiceEntry {}
impl Keep for Sidecar {}
impl Keep for Vec<Finding> {}
impl Keep for Option<Outside> {}
impl Keep for TlsSecret {}
impl Keep for WorkloadGroup {}
/// A pod's status changes often while nothing in it that the mesh sees does.
impl Keep for Workload {
    fn keep(new: Self, previous: Option<&Arc<Self>>) -> Arc<Self> {
        previous
            .filter(|previous| ***previous == new)
            .cloned()
            .unwrap_or_else(|| Arc::new(new))
    }
}

/// `namespace/name`.
pub(crate) fn key(object: &Object) -> String {
    let (namespace, name) = (object.namespace(), object.name());
    let mut key = String::with_capacity(namespace.len() + name.len() + 1);
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key
}
