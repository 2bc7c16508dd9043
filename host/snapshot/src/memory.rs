//! What was read from each object, kept from one compile to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use osier_api::Object;

use crate::finding::Finding;
use crate::gateway_api::gateway::CONTROLLER;
use crate::gateway_api::references::References;
use crate::gateway_api::{self, routes};
use crate::gateways::{Credential, GatewaySet};
use crate::inputs::Inputs;
use crate::istio::delegate::{self, Delegates};
use crate::istio::destination_rule::{self, DestinationPolicy};
use crate::istio::gateway;
use crate::istio::service_entry::{self, Outside, ServiceEntry};
use crate::istio::virtual_service;
use crate::nodes::Nodes;
use crate::secret::{self, Secrets, TlsSecret};
use crate::table::RouteSet;
use crate::workload::Workload;

/// What was read from each object, so that an unchanged object is not read again and its value stays shared.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) workloads: Kept<Workload>,
    pub(crate) nodes: Nodes,
    route_sets: Kept<RouteSet>,
    http_routes: Kept<RouteSet>,
    policies: Kept<DestinationPolicy>,
    gateways: Kept<GatewaySet>,
    api_gateways: Kept<GatewaySet>,
    entries: Kept<ServiceEntry>,
    outsides: Kept<Option<Outside>>,
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
        let nodes = Nodes::read(inputs.nodes, &previous.nodes);
        let gateways = read_all(inputs.gateways, &previous.gateways, gateway::compile);
        let references = References::of(inputs);
        let api_gateways = read_with(
            &served(inputs),
            &previous.api_gateways,
            (
                |object: &Object| gateway_api::gateway::compile(object, &references),
                |object: &Object| gateway_api::gateway::needed(object, &references),
            ),
        );
        let http_routes = read_with(
            inputs.gateway_api.http_routes,
            &previous.http_routes,
            (
                |object: &Object| routes::compile(object, &references),
                |object: &Object| routes::needed(object, &references),
            ),
        );
        let all_gateways = gateways.values().chain(api_gateways.values());
        let wanted = named_secrets(inputs, all_gateways, &policies);
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
            outsides: read_all(
                inputs.workload_entries,
                &previous.outsides,
                service_entry::compile_workload,
            ),
            gateways,
            api_gateways,
            http_routes,
        }
    }

    /// Route sets, oldest first.
    pub(crate) fn route_sets(&self) -> Vec<Arc<RouteSet>> {
        let kept = self.all_route_sets();
        let mut sets: Vec<_> = kept.map(|reading| Arc::clone(&reading.value)).collect();
        sets.sort_by(|a, b| a.about.cmp(&b.about));
        sets
    }

    fn all_route_sets(&self) -> impl Iterator<Item = &Reading<RouteSet>> {
        self.route_sets.values().chain(self.http_routes.values())
    }

    fn all_gateways(&self) -> impl Iterator<Item = &Reading<GatewaySet>> {
        self.gateways.values().chain(self.api_gateways.values())
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
        let routes = self
            .all_route_sets()
            .flat_map(|reading| &reading.value.findings);
        let policies = self.policies().flat_map(|policy| &policy.findings);
        let gateways = self
            .all_gateways()
            .flat_map(|reading| &reading.value.findings);
        let entries = self
            .entries
            .values()
            .flat_map(|reading| &reading.value.findings);
        let outsides = self
            .outsides
            .values()
            .filter_map(|reading| reading.value.as_ref().as_ref());
        let outsides = outsides.flat_map(|outside| &outside.findings);
        let all = routes.chain(policies).chain(gateways);
        all.chain(entries).chain(outsides).cloned()
    }

    /// ServiceEntries, oldest first.
    pub(crate) fn entries(&self) -> Vec<Arc<ServiceEntry>> {
        let all = self.entries.values();
        let mut entries: Vec<_> = all.map(|reading| Arc::clone(&reading.value)).collect();
        entries.sort_by(|a, b| a.about.cmp(&b.about));
        entries
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

    /// What gateways ask for, oldest first.
    pub(crate) fn gateways(&self) -> Vec<Arc<GatewaySet>> {
        let kept = self.all_gateways();
        let mut gateways: Vec<_> = kept.map(|reading| Arc::clone(&reading.value)).collect();
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
    gateways: impl Iterator<Item = &'a Reading<GatewaySet>>,
    policies: &Kept<DestinationPolicy>,
) -> Vec<Arc<Object>> {
    let policies = policies.values();
    let policies = policies.flat_map(|reading| reading.value.secrets());
    let servers = gateways.flat_map(|reading| &reading.value.servers);
    let named: HashSet<String> = servers
        .filter_map(|server| server.tls.as_ref())
        .flat_map(|tls| tls.credentials.iter().chain(&tls.authorities))
        .map(Credential::key)
        .chain(policies.map(ToOwned::to_owned))
        .collect();
    let wanted = |secret: &&Arc<Object>| named.contains(&key(secret));
    inputs.secrets.iter().filter(wanted).cloned().collect()
}

/// The Gateway API's gateways whose class is served here.
fn served(inputs: &Inputs<'_>) -> Vec<Arc<Object>> {
    let api = inputs.gateway_api;
    let ours = |class: &&Arc<Object>| class.text(&["spec", "controllerName"]) == CONTROLLER;
    let classes: HashSet<&str> = api
        .classes
        .iter()
        .filter(ours)
        .map(|class| class.name())
        .collect();
    let served =
        |gateway: &&Arc<Object>| classes.contains(gateway.text(&["spec", "gatewayClassName"]));
    api.gateways.iter().filter(served).cloned().collect()
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
impl Keep for ServiceEntry {}
impl Keep for Option<Outside> {}
impl Keep for TlsSecret {}
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
