//! Where whole connections of workloads go: by the `tcp` and `tls` rules that speak of the host, else to the service that it names.

use std::sync::Arc;

use http::request::Parts;
use osier_routing::endpoint::Endpoint;
use osier_routing::matcher::Ask;
use osier_routing::route::Action;
use osier_routing::service::{Cluster, Service};
use osier_routing::workload::Workload;

use crate::listener::StreamRoute;
use crate::snapshot::{Origin, Snapshot, ask, in_scope};

/// A port of a pod, as it is called.
type PodPort = (Arc<Cluster>, Arc<Endpoint>);

impl Snapshot {
    /// Where datagrams go that a workload sends to the authority of `head`: to those behind the port of a service that is in its scope.
    pub fn datagrams(&self, source: &Workload, head: &Parts) -> Option<&Arc<Cluster>> {
        let ask = ask(&Origin::Workload(source), head)?;
        let service = self.service(&ask.host, Some(&source.namespace));
        let scope = self.scopes.of(source);
        let service = service.filter(|service| in_scope(scope, service, &ask))?;
        let mut ports = service.datagrams.iter();
        let port = ports.find(|port| port.port == ask.port)?;
        port.seen_by(&Origin::Workload(source).caller(""), None)
    }

    /// A port of a pod through the service that has it, whose policies then hold; without one, by itself.
    pub fn port_of(&self, pod: &Arc<Workload>, port: u16) -> PodPort {
        match self.service_of(pod, port, false) {
            Some((_, known)) => known,
            None => Cluster::of_pod(pod, port),
        }
    }

    /// The port that a workload calls by a pod's own address, if it may: as it may call the service that has the port; where none has
    /// it, a workload with a scope may not.
    pub fn by_address(&self, caller: &Workload, to: &Parts, datagrams: bool) -> Option<PodPort> {
        let ask = ask(&Origin::Workload(caller), to)?;
        let pod = self.workload_by_address(ask.host.parse().ok()?)?;
        let scope = self.scopes.of(caller);
        let Some(((service, port), known)) = self.service_of(pod, ask.port, datagrams) else {
            return scope.is_none().then(|| Cluster::of_pod(pod, ask.port));
        };
        let called = Ask {
            host: (&*service.names.host).into(),
            port,
            ..ask
        };
        let may = service.export.reaches(&caller.namespace) && in_scope(scope, service, &called);
        may.then_some(known)
    }

    /// The service that has a port of a pod, and its port.
    fn service_of(
        &self,
        pod: &Workload,
        port: u16,
        datagrams: bool,
    ) -> Option<((&Arc<Service>, u16), PodPort)> {
        self.services().find_map(|service| {
            let ports = match datagrams {
                true => &service.datagrams,
                false => &service.ports,
            };
            ports.iter().find_map(|one| {
                let mut all = one.cluster.endpoints.iter();
                let here = all.find(|it| it.workload.uid == pod.uid && it.port == port)?;
                let known = (Arc::clone(&one.cluster), Arc::clone(here));
                Some(((service, one.port), known))
            })
        })
    }

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
