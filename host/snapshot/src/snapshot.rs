//! The compiled mesh, and the questions that a request asks of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;

use osier_balancing::{Credential, Locality};

use crate::alias::Aliases;
use crate::externals::Externals;
use crate::listener::{Listener, Server};
use crate::memory::Memory;
use crate::scope::{Scope, Scopes};
use crate::table::{HostRoutes, HostSeen};
use osier_routing::endpoint::Endpoint;
use osier_routing::hosts::HostIndex;
use osier_routing::matcher::Ask;
use osier_routing::miss::{Miss, Missing};
use osier_routing::names;
use osier_routing::route::{Destination, Route, ServiceName};
use osier_routing::rules::Rule;
use osier_routing::service::{Caller, Cluster, ClusterIp, Service, ServicePort};
use osier_routing::workload::Workload;
use osier_standing::{ListenerKey, Standings};

/// Services of one namespace by name; a pod with a host name behind a headless one stands here as `host.name`.
pub(crate) type Names = HashMap<Arc<str>, Arc<Service>>;

/// An immutable view of the whole mesh. Cheap to share; parts that did not change are shared with the one before it.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(crate) domain: Arc<str>,
    pub(crate) namespaces: HashMap<Arc<str>, Arc<Names>>,
    pub(crate) by_address: HashMap<IpAddr, Arc<Service>>,
    pub(crate) externals: Externals,
    pub(crate) aliases: Aliases,
    pub(crate) workloads: HashMap<Arc<str>, Arc<Workload>>,
    pub(crate) pods_by_address: HashMap<IpAddr, Arc<Workload>>,
    /// Where the node stands, and hence its gateways.
    pub(crate) locality: Arc<Locality>,
    /// What pods call by their own wish.
    pub(crate) scopes: Scopes,
    /// Routes between pods.
    pub(crate) mesh: HostIndex<HostSeen>,
    /// By key, ascending.
    pub(crate) listeners: Vec<Arc<Listener>>,
    pub(crate) standings: Standings,
    pub(crate) memory: Memory,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// From outside, through a gateway listener.
    Gateway {
        /// The listener.
        listener: ListenerKey,
        /// The server name of the connection's TLS handshake.
        server_name: Option<&'a str>,
    },
    /// From a pod.
    Workload(&'a Workload),
}

impl<'a> Origin<'a> {
    /// Whose view of services and grants counts: the calling pod's, at a gateway that of the namespace of the object that the route
    /// of this name came from.
    pub fn caller<'r>(&self, route: &'r str) -> Caller<'r>
    where
        'a: 'r,
    {
        match self {
            Self::Workload(workload) => Caller {
                namespace: &workload.namespace,
                labels: Some(&workload.labels),
            },
            Self::Gateway { .. } => Caller::of(route.split('/').next().unwrap_or_default()),
        }
    }
}

/// The rule that a request matched.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// What to do.
    pub route: Arc<Route>,
    /// The port that the caller addressed.
    pub port: u16,
    /// How many bytes of the path the rule's prefix covers; `None` if it matched otherwise.
    pub matched_prefix: Option<usize>,
    /// What backends are shown that are called over TLS, if the gateway that it came through shows something.
    pub shown: Option<Arc<Credential>>,
}

impl Snapshot {
    /// The first rule for a request, or the service that it names.
    pub fn route(&self, from: &Origin<'_>, head: &Parts) -> Option<RouteMatch> {
        let ask = ask(from, head)?;
        match from {
            Origin::Gateway {
                listener,
                server_name,
            } => {
                let server = self.server(*listener, *server_name)?;
                let routes = server.routes.find(&ask.host)?;
                let mut found = matched(routes.rules.find(&ask), &ask)?;
                found.shown = server.shown(routes, &found.route.name).cloned();
                Some(found)
            }
            Origin::Workload(source) => self.mesh_route(source, &ask),
        }
    }

    fn mesh_route(&self, source: &Workload, ask: &Ask<'_>) -> Option<RouteMatch> {
        let service = self.service(&ask.host, Some(&source.namespace));
        if let Some(routes) = self.mesh_routes(service, source, ask) {
            return matched(routes.rules.find(ask), ask);
        }
        let scope = self.scopes.of(source);
        let service = service.filter(|service| in_scope(scope, service, ask))?;
        let _exists = service.port(ask.port)?;
        Some(RouteMatch {
            route: Arc::clone(&service.default_route),
            port: ask.port,
            matched_prefix: None,
            shown: None,
        })
    }

    /// The routes that speak of the asked host to a pod, to which it means this service.
    pub(crate) fn mesh_routes(
        &self,
        service: Option<&Arc<Service>>,
        source: &Workload,
        ask: &Ask<'_>,
    ) -> Option<&Arc<HostRoutes>> {
        let (host, namespace) = (&*ask.host, &source.namespace);
        let name = match service {
            Some(service) if !service.outside => Cow::Borrowed(&*service.names.host),
            Some(_) => Cow::Borrowed(host),
            None => self.name_without_service(host, namespace),
        };
        let Some(scope) = self.scopes.of(source) else {
            return self.routes_for(&name, namespace, |_| true);
        };
        self.routes_for(&name, namespace, |routes| match routes.object() {
            Some(about) => scope.holds(ask.port, (&about.namespace, [&name, host])),
            // Routes of a Service are there with it.
            None => service.is_some_and(|service| in_scope(Some(scope), service, ask)),
        })
    }

    /// The narrowest routes for a host that speak to callers of a namespace and that hold.
    fn routes_for(
        &self,
        host: &str,
        namespace: &str,
        holds: impl Fn(&HostRoutes) -> bool,
    ) -> Option<&Arc<HostRoutes>> {
        let mut candidates = self.mesh.candidates(host);
        candidates.find_map(|seen| {
            let own = seen.own.get(namespace).into_iter().flatten();
            own.chain(&seen.everyone).find(|routes| holds(routes))
        })
    }

    /// A route may give a short name a meaning that no service has.
    fn name_without_service<'a>(&self, host: &'a str, namespace: &str) -> Cow<'a, str> {
        if host.contains(['.', ':']) {
            return Cow::Borrowed(host);
        }
        Cow::Owned(names::full_name(host, namespace, &self.domain))
    }

    /// Why [`Snapshot::route`] answered nothing.
    pub fn miss(&self, from: &Origin<'_>, head: &Parts) -> Miss {
        let Some(ask) = ask(from, head) else {
            return Miss::NoHost;
        };
        let host = ask.host.clone().into_owned();
        match from {
            Origin::Gateway {
                listener,
                server_name,
            } => self.gateway_miss((*listener, *server_name), host),
            Origin::Workload(source) => self.mesh_miss(source, &ask),
        }
    }

    fn mesh_miss(&self, source: &Workload, ask: &Ask<'_>) -> Miss {
        let (namespace, host) = (&source.namespace, ask.host.clone().into_owned());
        let service = self.service(&host, Some(namespace));
        if self.mesh_routes(service, source, ask).is_some() {
            return Miss::NoRule(host);
        }
        let scope = self.scopes.of(source);
        match (service, self.meant(&host, Some(namespace))) {
            (Some(service), _) => match scope.filter(|_| !in_scope(scope, service, ask)) {
                Some(scope) => {
                    Miss::OutOfScope(Arc::clone(&service.names), Arc::clone(&scope.name))
                }
                None => Miss::NoPort(Arc::clone(&service.names), ask.port),
            },
            (None, Some(hidden)) => {
                Miss::NotExported(Arc::clone(&hidden.names), Arc::clone(namespace))
            }
            (None, None) => Miss::Outside(host),
        }
    }

    fn gateway_miss(
        &self,
        (listener, server_name): (ListenerKey, Option<&str>),
        host: String,
    ) -> Miss {
        let Some(listener) = self.listener(listener) else {
            return Miss::NoRoutes;
        };
        let server = listener.server(server_name);
        if server.is_some_and(|server| server.routes.find(&host).is_some()) {
            return Miss::NoRule(host);
        }
        let elsewhere = |other: &Arc<Server>| other.routes.find(&host).is_some();
        if listener.servers.iter().any(elsewhere) {
            Miss::OtherServer(host)
        } else if server.is_none_or(|server| server.routes.is_empty()) {
            Miss::NoRoutes
        } else {
            Miss::UnknownHost(host)
        }
    }

    /// The listener of this key.
    pub fn listener(&self, key: ListenerKey) -> Option<&Arc<Listener>> {
        let found = self
            .listeners
            .binary_search_by_key(&key, |listener| listener.key);
        self.listeners.get(found.ok()?)
    }

    /// Where the node stands, and hence its gateways.
    pub fn locality(&self) -> &Arc<Locality> {
        &self.locality
    }

    /// Where the pods of a node are reached from other nodes; `None` if it is not there, or not in the mesh.
    pub fn mesh_address(&self, node: &str) -> Option<SocketAddr> {
        self.memory.nodes.mesh(node)
    }

    /// Every listener that gateways ask for, by key.
    pub fn listeners(&self) -> &[Arc<Listener>] {
        &self.listeners
    }

    /// What became of gateways and routes at each other.
    pub fn standings(&self) -> &Standings {
        &self.standings
    }

    /// What serves a connection of a listener.
    pub fn server(&self, listener: ListenerKey, server_name: Option<&str>) -> Option<&Arc<Server>> {
        self.listener(listener)?.server(server_name)
    }

    /// The endpoints that a destination stands for to a caller (see [`Origin::caller`]), who used `port`.
    ///
    /// # Errors
    /// [`Missing`] names what does not exist, or is not exported to them.
    pub fn cluster(
        &self,
        destination: &Destination,
        port: u16,
        caller: &Caller<'_>,
    ) -> Result<&Arc<Cluster>, Missing> {
        let namespace = caller.namespace;
        let service = self.destination_service(&destination.service, Some(namespace))?;
        if !service.export.reaches(namespace) {
            return Err(Missing::NotExported {
                service: Arc::clone(&service.names),
                outside: service.outside,
                to: namespace.to_owned(),
            });
        }
        let port = service.port_for(destination.port, port).ok_or_else(|| {
            Missing::Port(Arc::clone(&service.names), destination.port.unwrap_or(port))
        })?;
        let cluster = port.seen_by(caller, destination.subset.as_deref());
        cluster.ok_or_else(|| {
            let subset = destination.subset.clone().unwrap_or_default();
            Missing::Subset(Arc::clone(&service.names), subset)
        })
    }

    /// What a cluster of an earlier snapshot is now, to a caller: its name says its port and subset.
    pub fn again(&self, cluster: &Cluster, caller: &Caller<'_>) -> Option<&Arc<Cluster>> {
        let mut parts = cluster.name.split('|').skip(1);
        let (port, subset) = (parts.next()?.parse().ok()?, parts.next()?);
        let subset = Some(subset).filter(|subset| !subset.is_empty());
        let service = self.named(&cluster.service.name, &cluster.service.namespace)?;
        service.port(port)?.seen_by(caller, subset)
    }

    pub(crate) fn destination_service(
        &self,
        service: &ServiceName,
        namespace: Option<&str>,
    ) -> Result<&Arc<Service>, Missing> {
        match service {
            ServiceName::Mesh {
                namespace: of,
                name,
            } => self
                .named(name, of)
                .or_else(|| self.externals.named(service, namespace))
                .ok_or_else(|| Missing::Service(format!("{name}.{of}"))),
            ServiceName::Other(host) => self
                .externals
                .named(service, namespace)
                .ok_or_else(|| Missing::Service(host.to_string())),
            ServiceName::Nothing(reason) => Err(Missing::Nothing(Arc::clone(reason))),
        }
    }

    /// The service that a host name or address means to a caller in a namespace, if it is exported there; without a namespace,
    /// whether or not.
    pub fn service(&self, host: &str, from_namespace: Option<&str>) -> Option<&Arc<Service>> {
        let sees = |service: &&Arc<Service>| {
            from_namespace.is_none_or(|namespace| service.export.reaches(namespace))
        };
        self.meant(host, from_namespace)
            .filter(sees)
            .or_else(|| self.externals.find(host, from_namespace))
    }

    /// The service of the cluster that a name or address stands for, whether or not it is exported.
    fn meant(&self, host: &str, from_namespace: Option<&str>) -> Option<&Arc<Service>> {
        let named = names::service_of(host, from_namespace, &self.domain);
        named
            .and_then(|(name, namespace)| self.named(name, namespace))
            .or_else(|| {
                let (name, namespace) = names::pod_of(host, from_namespace)?;
                self.named(name, namespace)
            })
            .or_else(|| self.by_address.get(&host.parse().ok()?))
    }

    pub(crate) fn named(&self, name: &str, namespace: &str) -> Option<&Arc<Service>> {
        self.namespaces.get(namespace)?.get(name)
    }

    pub(crate) fn has(&self, name: &str, namespace: &str) -> bool {
        self.named(name, namespace).is_some()
    }

    /// The virtual address of a service name, as DNS would answer a caller in a namespace.
    pub fn resolve(&self, name: &str, from_namespace: &str) -> Option<ClusterIp> {
        let (host, _) = names::split_authority(name);
        self.service(&host, Some(from_namespace))?.address
    }

    /// The pod with this uid.
    pub fn workload_by_uid(&self, uid: &str) -> Option<&Arc<Workload>> {
        self.workloads.get(uid)
    }

    /// Whether a workload of this node has this identity.
    pub fn bears(&self, node: &str, principal: &str) -> bool {
        let mut all = self.workloads.values();
        all.any(|workload| *workload.node == *node && *workload.principal == *principal)
    }

    /// The pod with this address.
    pub fn workload_by_address(&self, address: IpAddr) -> Option<&Arc<Workload>> {
        self.pods_by_address.get(&address)
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.namespaces.values().flat_map(|names| names.values())
    }

    /// Every cluster: the ports of services, and the subsets of them. Where other DestinationRules hold for some callers, there are
    /// several of one name.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        let services = self.services().chain(self.externals.services());
        let ports = services.flat_map(|service| &service.ports);
        ports.flat_map(ServicePort::clusters)
    }

    /// Every ready endpoint of a service port.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let services = self.services().chain(self.externals.services());
        let ports = services.flat_map(|service| &service.ports);
        ports.flat_map(|port| &port.cluster.endpoints)
    }
}

/// Whether a pod with this scope calls the service that the request names.
pub(crate) fn in_scope(scope: Option<&Scope>, service: &Service, ask: &Ask<'_>) -> bool {
    let names = &service.names;
    let called = (&*names.namespace, [&*names.host, &*ask.host]);
    scope.is_none_or(|scope| scope.holds(ask.port, called))
}

fn matched(rule: Option<&Rule>, ask: &Ask<'_>) -> Option<RouteMatch> {
    let rule = rule?;
    let matched_prefix = rule
        .matcher
        .path
        .as_ref()
        .and_then(|path| path.prefix_length());
    Some(RouteMatch {
        route: Arc::clone(&rule.route),
        port: ask.port,
        matched_prefix,
        shown: None,
    })
}

/// Reads what rules ask about: the host without its port, in lower case, and the port that the caller addressed.
pub(crate) fn ask<'a>(from: &Origin<'a>, head: &'a Parts) -> Option<Ask<'a>> {
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(HOST)?.to_str().ok()?,
    };
    let (host, port) = names::split_authority(authority);
    let default = if head.uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let source = match from {
        Origin::Gateway { .. } => None,
        Origin::Workload(workload) => Some(*workload),
    };
    // The main listener stands for several ports; which one was meant, only the client can say.
    let port = match from {
        Origin::Gateway {
            listener: ListenerKey::Port(port),
            ..
        } => *port,
        _ => port.unwrap_or(default),
    };
    Some(Ask {
        head,
        host,
        port,
        source,
        compared: Cell::new(0),
    })
}
