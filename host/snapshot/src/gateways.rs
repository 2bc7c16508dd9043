//! What gateway objects ask for, whatever their kind: front ends produce it, `listeners` turns it into listeners.

use osier_standing::{AddressWish, Finding, Refused};
use osier_traffic::{Credential, TlsSpec};

use crate::table::About;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;

/// What one gateway object asks for.
#[derive(Debug)]
pub(crate) struct GatewaySet {
    pub(crate) about: About,
    /// Its servers, in order.
    pub(crate) servers: Vec<ServerSpec>,
    /// The addresses that it asks for.
    pub(crate) addresses: Vec<AddressWish>,
    /// The Secret with what backends are shown.
    pub(crate) shows: Option<Credential>,
    /// Clients' certificates are not asked for where they were to be checked.
    pub(crate) insecure: bool,
    /// The object's generation, which its status speaks of.
    pub(crate) generation: i64,
    /// What was wrong with the object alone.
    pub(crate) findings: Vec<Finding>,
}

/// One server (Istio) or listener (Gateway API) of a gateway object.
#[derive(Clone, Debug)]
pub(crate) struct ServerSpec {
    /// Its own name, which a route may bind to; may be empty.
    pub(crate) name: String,
    /// Where it stands, e.g. `spec.servers[0]`.
    pub(crate) field: String,
    /// The port number as written; `None` is the main listener.
    pub(crate) port: Option<u16>,
    pub(crate) protocol: ServerProtocol,
    /// Plain ports that mean the main listener wherever that is.
    pub(crate) main_ports: &'static [u16],
    /// Kinds of routes that may bind; `None` is every kind that can name it.
    pub(crate) kinds: Option<Vec<Kind>>,
    /// Why it is not opened; routes may bind all the same.
    pub(crate) refused: Option<Refused>,
    /// Which hosts may be routed, and from which namespaces.
    pub(crate) hosts: Vec<ServedHost>,
    pub(crate) tls: Option<TlsSpec>,
    /// Where the object says of several servers how their clients prove themselves.
    pub(crate) clients: Option<String>,
    /// Requests are sent to `https` instead of being routed.
    pub(crate) https_redirect: bool,
    pub(crate) proxy_protocol: bool,
}

/// How a server's connections begin and what is spoken on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerProtocol {
    /// Plain HTTP.
    Http,
    /// HTTP inside TLS, which ends here.
    Https,
    /// Anything inside TLS, which ends here or passes through.
    Tls,
    /// Anything.
    Tcp,
}

/// A host that a server takes, with the namespaces whose routes may bind to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedHost {
    pub(crate) namespaces: Namespaces,
    pub(crate) pattern: HostPattern,
}

/// Some namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// Every one.
    All,
    /// These.
    Only(Vec<String>),
}

impl Namespaces {
    pub(crate) fn hold(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}
