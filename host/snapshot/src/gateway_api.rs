//! The Gateway API's kinds as a front end of the route model. Names of their fields stand here and nowhere else.

pub(crate) mod ancestors;
mod authority;
pub(crate) mod backend_tls;
mod filters;
mod frontend;
pub(crate) mod gateway;
mod grpc_route;
mod http_route;
mod matches;
mod parents;
pub(crate) mod references;
pub(crate) mod routes;
mod session;
mod stream_route;

use osier_api::resources::gateway_api as resources;

use osier_routing::kind::Kind;
use references::References;

pub(crate) const GATEWAY: Kind = Kind::new(resources::GROUP, "Gateway");
pub(crate) const HTTP_ROUTE: Kind = Kind::new(resources::GROUP, "HTTPRoute");
pub(crate) const GRPC_ROUTE: Kind = Kind::new(resources::GROUP, "GRPCRoute");
pub(crate) const TLS_ROUTE: Kind = Kind::new(resources::GROUP, "TLSRoute");
pub(crate) const BACKEND_TLS_POLICY: Kind = Kind::new(resources::GROUP, "BackendTLSPolicy");
pub(crate) const TCP_ROUTE: Kind = Kind::new(resources::GROUP, "TCPRoute");

/// What the parts of one object need to know about it.
#[derive(Clone, Copy)]
struct Context<'a> {
    resource: Kind,
    namespace: &'a str,
    name: &'a str,
    references: &'a References<'a>,
}
