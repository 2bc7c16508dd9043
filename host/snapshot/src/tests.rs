//! Objects in, answers out: the crate's behaviour as its users see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod companions;
mod exports;
mod externals;
mod findings;
mod gateway_api;
mod ingress;
mod listeners;
mod lookup;
mod policies;
mod routes;
mod scopes;
mod services;
mod sharing;
mod size;
mod workloads;

use std::sync::Arc;

use http::request::Parts;
use osier_api::Object;
use serde_json::{Value, json};

use crate::{
    Action, Finding, GatewayApi, Inputs, ListenerKey, Origin, Snapshot, Workload, compile,
};

/// A cluster under construction.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) services: Vec<Arc<Object>>,
    pub(crate) endpoints: Vec<Arc<Object>>,
    pub(crate) pods: Vec<Arc<Object>>,
    pub(crate) virtual_services: Vec<Arc<Object>>,
    pub(crate) destination_rules: Vec<Arc<Object>>,
    pub(crate) gateways: Vec<Arc<Object>>,
    pub(crate) service_entries: Vec<Arc<Object>>,
    pub(crate) workload_entries: Vec<Arc<Object>>,
    pub(crate) secrets: Vec<Arc<Object>>,
    pub(crate) nodes: Vec<Arc<Object>>,
    pub(crate) namespaces: Vec<Arc<Object>>,
    pub(crate) classes: Vec<Arc<Object>>,
    pub(crate) api_gateways: Vec<Arc<Object>>,
    pub(crate) http_routes: Vec<Arc<Object>>,
    pub(crate) grpc_routes: Vec<Arc<Object>>,
    pub(crate) tls_routes: Vec<Arc<Object>>,
    pub(crate) tcp_routes: Vec<Arc<Object>>,
    pub(crate) backend_tls_policies: Vec<Arc<Object>>,
    pub(crate) config_maps: Vec<Arc<Object>>,
    pub(crate) ingresses: Vec<Arc<Object>>,
    pub(crate) ingress_classes: Vec<Arc<Object>>,
    pub(crate) reference_grants: Vec<Arc<Object>>,
    pub(crate) workload_groups: Vec<Arc<Object>>,
    pub(crate) sidecars: Vec<Arc<Object>>,
    pub(crate) peer_authentications: Vec<Arc<Object>>,
}

pub(crate) fn object(value: Value) -> Arc<Object> {
    Arc::new(Object::from_value(value).unwrap())
}

fn metadata(name: &str, namespace: &str) -> Value {
    json!({"name": name, "namespace": namespace, "uid": format!("{namespace}-{name}")})
}

impl World {
    /// A service `name` on port 80 with one ready pod for each version.
    pub(crate) fn service(&mut self, name: &str, namespace: &str, versions: &[&str]) -> &mut Self {
        let number = self.services.len() + 1;
        let address = format!("10.96.{}.{}", number / 250, number % 250 + 1);
        let meta = metadata(name, namespace);
        let spec = json!({"clusterIP": address, "ports": [{"name": "http", "port": 80}]});
        self.services.push(object(
            json!({"kind": "Service", "metadata": meta, "spec": spec}),
        ));
        let addresses: Vec<Value> = versions
            .iter()
            .map(|version| self.pod(name, namespace, version))
            .collect();
        let subsets = json!([{"addresses": addresses, "ports": [{"name": "http", "port": 8080}]}]);
        self.endpoints.push(object(
            json!({"kind": "Endpoints", "metadata": meta, "subsets": subsets}),
        ));
        self
    }

    fn pod(&mut self, app: &str, namespace: &str, version: &str) -> Value {
        let number = self.pods.len() + 1;
        let address = format!("10.244.{}.{}", number / 250, number % 250 + 1);
        let name = format!("{app}-{version}-x");
        let mut meta = metadata(&name, namespace);
        meta["labels"] = json!({"app": app, "version": version});
        meta["ownerReferences"] = json!([{"kind": "ReplicationController", "name": format!("{app}-{version}"), "controller": true}]);
        let pod = json!({
            "kind": "Pod", "metadata": meta,
            "spec": {"nodeName": "here", "serviceAccountName": app},
            "status": {"podIP": address, "phase": "Running"},
        });
        self.pods.push(object(pod));
        json!({"ip": address, "targetRef": {"kind": "Pod", "namespace": namespace, "name": name}})
    }

    pub(crate) fn virtual_service(&mut self, name: &str, spec: Value) -> &mut Self {
        let mut meta = metadata(name, "default");
        meta["creationTimestamp"] = json!(format!(
            "2026-01-01T00:00:{:02}Z",
            self.virtual_services.len() % 60
        ));
        self.virtual_services.push(object(
            json!({"kind": "VirtualService", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn destination_rule(&mut self, name: &str, spec: Value) -> &mut Self {
        let meta = metadata(name, "default");
        self.destination_rules.push(object(
            json!({"kind": "DestinationRule", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn gateway(&mut self, name: &str, spec: Value) -> &mut Self {
        let meta = metadata(name, "default");
        self.gateways.push(object(
            json!({"kind": "Gateway", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn service_entry(&mut self, name: &str, namespace: &str, spec: Value) -> &mut Self {
        let meta = metadata(name, namespace);
        self.service_entries.push(object(
            json!({"kind": "ServiceEntry", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn workload_entry(&mut self, name: &str, namespace: &str, spec: Value) -> &mut Self {
        let meta = metadata(name, namespace);
        self.workload_entries.push(object(
            json!({"kind": "WorkloadEntry", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn node(&mut self, name: &str, labels: Value) -> &mut Self {
        let meta = json!({"name": name, "labels": labels});
        self.nodes
            .push(object(json!({"kind": "Node", "metadata": meta})));
        self
    }

    pub(crate) fn workload_group(&mut self, name: &str, spec: Value) -> &mut Self {
        let meta = metadata(name, "default");
        self.workload_groups.push(object(
            json!({"kind": "WorkloadGroup", "metadata": meta, "spec": spec}),
        ));
        self
    }

    pub(crate) fn compile(&self, previous: Option<&Snapshot>) -> (Snapshot, Vec<Finding>) {
        let inputs = Inputs {
            services: &self.services,
            endpoints: &self.endpoints,
            pods: &self.pods,
            virtual_services: &self.virtual_services,
            destination_rules: &self.destination_rules,
            gateways: &self.gateways,
            service_entries: &self.service_entries,
            workload_entries: &self.workload_entries,
            workload_groups: &self.workload_groups,
            sidecars: &self.sidecars,
            peer_authentications: &self.peer_authentications,
            secrets: &self.secrets,
            nodes: &self.nodes,
            root_namespace: "root",
            node: "here",
            namespaces: &self.namespaces,
            ingresses: &self.ingresses,
            ingress_classes: &self.ingress_classes,
            gateway_api: GatewayApi {
                classes: &self.classes,
                gateways: &self.api_gateways,
                http_routes: &self.http_routes,
                grpc_routes: &self.grpc_routes,
                tls_routes: &self.tls_routes,
                tcp_routes: &self.tcp_routes,
                backend_tls_policies: &self.backend_tls_policies,
                config_maps: &self.config_maps,
                reference_grants: &self.reference_grants,
            },
            gateway_port: 0,
            domain: "cluster.local",
        };
        compile(&inputs, previous)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.compile(None).0
    }
}

/// `GET http://host/path` with headers.
pub(crate) fn get(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers
        .iter()
        .fold(http::Request::get(uri), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(()).unwrap().into_parts().0
}

pub(crate) const OUTSIDE: Origin<'static> = Origin::Gateway {
    listener: ListenerKey::Main,
    server_name: None,
};

/// A pod that calls.
pub(crate) fn caller(namespace: &str) -> Workload {
    let value = json!({"metadata": {"name": "caller", "namespace": namespace, "labels": {"app": "caller"}}});
    Workload::from_pod(&Object::from_value(value).unwrap(), "cluster.local")
}

/// `service/subset` names of where a request may go, with weights; or the kind of action.
pub(crate) fn ways(snapshot: &Snapshot, from: &Origin<'_>, head: &Parts) -> Vec<(String, u32)> {
    let Some(found) = snapshot.route(from, head) else {
        return Vec::new();
    };
    let caller = from.caller(&found.route.name);
    match &found.route.action {
        Action::Forward(forward) => forward
            .destinations
            .iter()
            .map(
                |weighted| match snapshot.cluster(&weighted.destination, found.port, &caller) {
                    Ok(cluster) => (cluster.name.to_string(), weighted.weight),
                    Err(missing) => (missing.to_string(), weighted.weight),
                },
            )
            .collect(),
        Action::Redirect(redirect) => vec![(format!("redirect {}", redirect.status.as_u16()), 0)],
        Action::Direct(direct) => vec![(format!("direct {}", direct.status.as_u16()), 0)],
    }
}

/// The one way of a request.
pub(crate) fn way(snapshot: &Snapshot, from: &Origin<'_>, head: &Parts) -> Option<String> {
    ways(snapshot, from, head)
        .into_iter()
        .next()
        .map(|(name, _)| name)
}
