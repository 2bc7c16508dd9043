//! Why a request goes nowhere, for a person.

use std::fmt;
use std::sync::Arc;

use crate::service::ServiceRef;

/// Why there is no rule for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The gateway has no route object at all.
    NoRoutes,
    /// The gateway has routes, none for this host.
    UnknownHost(String),
    /// Another server of the listener has routes for this host: the connection was made for another server name.
    OtherServer(String),
    /// There are rules for this host, and none matches the request.
    NoRule(String),
    /// The service exists and has no such port.
    NoPort(Arc<ServiceRef>, u16),
    /// The service exists, and is not exported to the caller's namespace.
    NotExported(Arc<ServiceRef>, Arc<str>),
    /// The service exists, and the caller's Sidecar, `namespace/name`, does not name it.
    OutOfScope(Arc<ServiceRef>, Arc<str>),
    /// Not a name or address of the mesh.
    Outside(String),
    /// The request names no host.
    NoHost,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoutes => f.write_str(
                "no route serves this gateway yet: apply an HTTPRoute with `parentRefs`, a VirtualService with `gateways`, or an Ingress, to \
                 send traffic to a service",
            ),
            Self::UnknownHost(host) => write!(f, "no route serves host {host:?}: name it in `hostnames` of an HTTPRoute, `hosts` of a VirtualService (or use \"*\"), or in a rule of an \
                 Ingress"),
            Self::OtherServer(host) => write!(
                f,
                "host {host:?} is not served on a connection that was made for another server name"
            ),
            Self::NoRule(host) => write!(f, "no rule of the routes for host {host:?} matches this request"),
            Self::NoPort(service, port) => write!(f, "service {}.{} has no port {port}", service.name, service.namespace),
            Self::NotExported(service, namespace) => f.write_str(&not_exported(service, namespace)),
            Self::OutOfScope(service, sidecar) => write!(
                f,
                "host {:?} of namespace {} is not in the scope of the caller: Sidecar {sidecar} does not name it in egress.hosts for \
                 this port",
                service.host, service.namespace
            ),
            Self::Outside(host) => write!(
                f,
                "{host:?} is not a service of the mesh, and calls to the outside are refused (BlackHoleCluster): call a service by \
                 its name (`name` or `name.namespace`), or grant the host by a ServiceEntry that is exported to the caller's namespace",
            ),
            Self::NoHost => f.write_str("the request names no host"),
        }
    }
}

fn not_exported(service: &ServiceRef, namespace: &str) -> String {
    let ServiceRef {
        name,
        namespace: own,
        ..
    } = service;
    format!(
        "service {name}.{own} is not exported to namespace {namespace} (annotation networking.istio.io/exportTo of the Service)"
    )
}

/// Why a destination has no cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No such service.
    Service(String),
    /// The service has no such port.
    Port(Arc<ServiceRef>, u16),
    /// The service has no such subset.
    Subset(Arc<ServiceRef>, Arc<str>),
    /// The route names nothing that may be called, for this reason.
    Nothing(Arc<str>),
    /// It is not exported to the namespace that calls.
    NotExported {
        /// What.
        service: Arc<ServiceRef>,
        /// Whether a ServiceEntry grants it.
        outside: bool,
        /// To which namespace.
        to: String,
    },
}

impl Missing {
    /// The service, if that much exists.
    pub fn service(&self) -> Option<&Arc<ServiceRef>> {
        match self {
            Self::Port(service, _)
            | Self::Subset(service, _)
            | Self::NotExported { service, .. } => Some(service),
            Self::Service(_) | Self::Nothing(_) => None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name} does not exist"),
            Self::Port(service, port) => write!(
                f,
                "service {}.{} has no port {port}",
                service.name, service.namespace
            ),
            Self::Nothing(reason) => f.write_str(reason),
            Self::Subset(service, subset) => write!(
                f,
                "service {}.{} has no subset {subset:?}: a DestinationRule must define it, in the caller's namespace, the service's or the \
                 root namespace, and be exported to the caller",
                service.name, service.namespace
            ),
            Self::NotExported {
                service,
                outside: true,
                to,
            } => write!(
                f,
                "host {:?} is granted by a ServiceEntry that is not exported to namespace {to} (exportTo)",
                service.host
            ),
            Self::NotExported { service, to, .. } => f.write_str(&not_exported(service, to)),
        }
    }
}
