//! Where whole connections of workloads go: by the `tcp` and `tls` rules that speak of the host, else to the service that it names.

use std::sync::Arc;

use http::request::Parts;
use osier_routing::route::Action;
use osier_routing::workload::Workload;

use crate::listener::StreamRoute;
use crate::snapshot::{Origin, Snapshot, ask, in_scope};

impl Snapshot {
    /// The route of a connection that a workload opens to the authority of `head`; `server_name` is what its TLS handshake asks for,
    /// if it begins with one. [`Snapshot::miss`] says why there is none.
    pub fn stream(
        &self,
        source: &Workload,
        head: &Parts,
        server_name: Option<&str>,
    ) -> Option<StreamRoute> {
        let ask = ask(&Origin::Workload(source), head)?;
        let service = self.service(&ask.host, Some(&source.namespace));
        let routes = self.mesh_routes(service, source, &ask);
        if let Some(rule) = routes.and_then(|routes| routes.stream(&ask, server_name)) {
            return Some(StreamRoute {
                name: Arc::clone(&rule.name),
                forward: rule.forward.clone(),
            });
        }
        let scope = self.scopes.of(source);
        let service = service.filter(|service| in_scope(scope, service, &ask))?;
        let _exists = service.port(ask.port)?;
        match &service.default_route.action {
            Action::Forward(forward) => Some(StreamRoute {
                name: Arc::clone(&service.default_route.name),
                forward: forward.clone(),
            }),
            // A service's own route forwards to it.
            Action::Redirect(_) | Action::Direct(_) => None,
        }
    }
}
