//! Listeners: the ports that gateways open, how connections on them begin, and which routes are reached through each.
//!
//! A [`Listener`] stands for one socket. Its [`Server`]s are what gateways want on it: on a plain port they are one, whose routes
//! are told apart by host; on a TLS port the server name of the handshake chooses among them, so that a connection that proved
//! itself to one server cannot reach the routes of another.

use std::sync::Arc;

use osier_balancing::Credential;

use crate::table::{Binding, HostRoutes};
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::kind::Kind;
use osier_routing::route::Forward;
use osier_standing::ListenerKey;
use osier_traffic::Tls;

/// One socket that gateways take connections on.
#[derive(Debug)]
pub struct Listener {
    /// Which socket.
    pub key: ListenerKey,
    /// How connections begin.
    pub transport: Transport,
    /// Connections begin with a PROXY protocol header, which names the client.
    pub proxy_protocol: bool,
    /// What is served: one on a plain port, one for each set of server names on a TLS port.
    pub servers: Vec<Arc<Server>>,
    pub(crate) by_name: HostIndex<Arc<Server>>,
}

impl Listener {
    /// The server for a TLS handshake's server name, or for a plain connection (no name).
    pub fn server(&self, server_name: Option<&str>) -> Option<&Arc<Server>> {
        match self.transport {
            Transport::Plain => self.servers.first(),
            Transport::Tls => self.by_name.find(server_name.unwrap_or_default()),
        }
    }
}

/// How connections begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With the application protocol.
    Plain,
    /// With a TLS ClientHello.
    Tls,
}

/// What is spoken once a connection has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Application {
    /// HTTP of either version; each request is routed.
    Http,
    /// Anything; the connection as a whole is routed.
    Stream,
}

/// What gateways want on a listener.
#[derive(Debug)]
pub struct Server {
    /// Tells servers of a snapshot apart, and stays while they do: `listener/namespace/gateway/server`.
    pub name: Arc<str>,
    /// Which parts of which objects asked for it.
    pub wanted_by: Vec<ServerOrigin>,
    /// `NAMESPACE/NAME` of the Gateways among them, each once: whose policies concern what is served here.
    pub gateways: Vec<Arc<str>>,
    /// What is spoken.
    pub application: Application,
    /// How TLS is done; `None` on a plain port.
    pub tls: Option<Arc<Tls>>,
    /// The server names that choose it on a TLS port.
    pub(crate) server_names: Vec<HostPattern>,
    pub(crate) routes: HostIndex<Arc<HostRoutes>>,
    pub(crate) streams: HostIndex<Arc<StreamRoute>>,
    /// What gateways show to backends, those of them that show something.
    pub(crate) shown: Vec<Shown>,
}

/// What a gateway shows to backends that it calls over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The gateway's namespace and name.
    pub(crate) gateway: (String, String),
    pub(crate) credential: Arc<Credential>,
}

impl Server {
    /// What the gateway shows to backends by which a route, one of these, got here. One that got here by several is not told apart.
    pub(crate) fn shown(&self, routes: &HostRoutes, route: &str) -> Option<&Arc<Credential>> {
        // Nearly always nobody shows anything.
        self.shown.first()?;
        let mut parts = route.split('/');
        let (namespace, name) = (parts.next()?, parts.next()?);
        let of_object = routes.sets.iter().filter(|filed| {
            let about = &filed.set.about;
            about.namespace == namespace && about.name == name
        });
        let of = |binding: &Binding| {
            let by = |shown: &&Shown| {
                (&shown.gateway.0, &shown.gateway.1) == (&binding.namespace, &binding.name)
            };
            self.shown.iter().find(by)
        };
        let mut through = of_object.flat_map(|filed| &filed.through);
        Some(&through.find_map(of)?.credential)
    }

    /// The route of a connection by its server name; a connection without one is routed by the listener alone.
    pub fn stream(&self, server_name: Option<&str>) -> Option<&Arc<StreamRoute>> {
        self.streams.find(server_name.unwrap_or_default())
    }
}

/// The part of an object that asked for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOrigin {
    /// The object's kind.
    pub resource: Kind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The field, e.g. `spec.servers[0]`.
    pub field: Arc<str>,
}

/// Where whole connections go.
#[derive(Clone, Debug)]
pub struct StreamRoute {
    /// For logs: `namespace/object/rule`.
    pub name: Arc<str>,
    /// Weighted destinations.
    pub forward: Forward,
}
