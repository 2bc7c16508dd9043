//! The ports of a service: their endpoints from Endpoints and pods, their subsets from DestinationRules.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::finding::{FindingKind, Findings};
use crate::istio::destination_rule::{DestinationPolicy, Subset};
use crate::service::{Cluster, Endpoint, LoadBalancer, Protocol, Service, ServicePort, ServiceRef};
use crate::workload::Workload;

/// What a service is made of besides its own object.
pub(crate) struct Parts<'a> {
    pub(crate) endpoints: Option<&'a Object>,
    /// Pods by (namespace, name).
    pub(crate) pods: &'a HashMap<(&'a str, &'a str), &'a Arc<Workload>>,
    /// The DestinationRules that speak of it, oldest first.
    pub(crate) policies: &'a [Arc<DestinationPolicy>],
    pub(crate) previous: Option<&'a Arc<Service>>,
    pub(crate) domain: &'a str,
}

/// Builds the ports of one service.
pub(crate) struct Clusters<'a> {
    pub(crate) names: &'a Arc<ServiceRef>,
    pub(crate) parts: &'a Parts<'a>,
    pub(crate) findings: &'a Findings,
}

impl Clusters<'_> {
    pub(crate) fn port(&self, value: &Value) -> Option<ServicePort> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let port = u16::try_from(value.get("port")?.as_u64()?).ok()?;
        let name: Arc<str> = text("name").unwrap_or_default().into();
        if let Some(other) = text("protocol").filter(|protocol| *protocol != "TCP") {
            let detail = format!("not applied yet: port {port} speaks {other}, only TCP is served");
            self.findings
                .add(FindingKind::NotApplied, "spec.ports", detail);
            return None;
        }
        let previous = self.previous_port(port, &name);
        let endpoints = self.endpoints(&name, previous);
        let subsets = self.subsets(port, &endpoints, previous);
        let balancer = self
            .parts
            .policies
            .iter()
            .find_map(|policy| policy.balancer);
        let before = previous.map(|port| &port.cluster);
        let cluster = self.cluster((port, ""), endpoints, balancer.unwrap_or_default(), before);
        let protocol = protocol(text("appProtocol"), &name);
        Some(ServicePort {
            name,
            port,
            protocol,
            cluster,
            subsets,
        })
    }

    fn previous_port(&self, port: u16, name: &str) -> Option<&ServicePort> {
        let ports = &self.parts.previous?.ports;
        ports
            .iter()
            .find(|known| known.port == port && *known.name == *name)
    }

    fn subsets(
        &self,
        port: u16,
        endpoints: &[Arc<Endpoint>],
        previous: Option<&ServicePort>,
    ) -> HashMap<Arc<str>, Arc<Cluster>> {
        let mut clusters = HashMap::new();
        for policy in self.parts.policies {
            for subset in &policy.subsets {
                if clusters.contains_key(&subset.name) {
                    continue;
                }
                let chosen = endpoints
                    .iter()
                    .filter(|endpoint| selects(subset, endpoint))
                    .cloned();
                let before = previous.and_then(|port| port.subsets.get(&subset.name));
                let balancer = subset.balancer.or(policy.balancer).unwrap_or_default();
                let cluster =
                    self.cluster((port, &subset.name), chosen.collect(), balancer, before);
                clusters.insert(Arc::clone(&subset.name), cluster);
            }
        }
        clusters
    }

    fn cluster(
        &self,
        (port, subset): (u16, &str),
        endpoints: Vec<Arc<Endpoint>>,
        balancer: LoadBalancer,
        previous: Option<&Arc<Cluster>>,
    ) -> Arc<Cluster> {
        let name = match previous {
            Some(previous) => Arc::clone(&previous.name),
            None => format!("outbound|{port}|{subset}|{}", self.names.host).into(),
        };
        let cluster = Cluster::new(name, Arc::clone(self.names), endpoints, balancer);
        match previous {
            Some(previous) if previous.same(&cluster) => Arc::clone(previous),
            Some(previous) => {
                cluster.continue_from(previous);
                Arc::new(cluster)
            }
            None => Arc::new(cluster),
        }
    }

    fn endpoints(&self, port_name: &str, previous: Option<&ServicePort>) -> Vec<Arc<Endpoint>> {
        let before = previous.map_or(&[][..], |port| port.cluster.endpoints.as_slice());
        let before: HashMap<_, _> = before
            .iter()
            .map(|e| (place(&e.workload, e.port), e))
            .collect();
        let mut seen = HashSet::new();
        let ready = self.ready(port_name);
        let fresh = ready.filter(|(workload, port)| seen.insert(place(workload, *port)));
        // The endpoint that stood before carries the load counter.
        let kept =
            |(workload, port): (&Arc<Workload>, u16)| match before.get(&place(workload, port)) {
                Some(endpoint) => Arc::clone(endpoint),
                None => Arc::new(Endpoint::new(Arc::clone(workload), port)),
            };
        fresh.map(kept).collect()
    }

    /// Pods behind the ready addresses, each with its port of that name.
    fn ready(&self, port_name: &str) -> impl Iterator<Item = (&Arc<Workload>, u16)> {
        let subsets = self
            .parts
            .endpoints
            .and_then(|object| object.get(&["subsets"])?.as_array());
        subsets.into_iter().flatten().flat_map(move |subset| {
            let port = endpoint_port(subset, port_name);
            let addresses = subset.get("addresses").and_then(Value::as_array);
            let addresses = addresses.filter(|_| port.is_some()).into_iter().flatten();
            addresses.filter_map(move |address| Some((self.workload(address)?, port?)))
        })
    }

    fn workload(&self, address: &Value) -> Option<&Arc<Workload>> {
        let target = address.get("targetRef");
        let text = |key: &str| target.and_then(|target| target.get(key)?.as_str());
        let ip = address.get("ip").and_then(Value::as_str).unwrap_or("?");
        let Some(name) = text("name") else {
            let detail =
                format!("not applied yet: address {ip} names no pod (targetRef); it is not used");
            self.findings
                .add(FindingKind::NotApplied, "endpoints.subsets", detail);
            return None;
        };
        let namespace = text("namespace").unwrap_or(&self.names.namespace);
        let found = self.parts.pods.get(&(namespace, name)).copied();
        if found.is_none() {
            let detail = format!(
                "address {ip} belongs to pod {namespace}/{name}, which does not exist; it is not used"
            );
            self.findings
                .add(FindingKind::Reference, "endpoints.subsets", detail);
        }
        found
    }
}

/// What tells endpoints apart.
fn place(workload: &Arc<Workload>, port: u16) -> (*const Workload, u16) {
    (Arc::as_ptr(workload), port)
}

fn selects(subset: &Subset, endpoint: &Endpoint) -> bool {
    let labels = &endpoint.workload.labels;
    subset
        .labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

fn endpoint_port(subset: &Value, name: &str) -> Option<u16> {
    let ports = subset.get("ports")?.as_array()?;
    let name_of =
        |port: &&Value| port.get("name").and_then(Value::as_str).unwrap_or_default() == name;
    let port = ports.iter().find(name_of)?;
    u16::try_from(port.get("port")?.as_u64()?).ok()
}

fn protocol(app_protocol: Option<&str>, name: &str) -> Protocol {
    let word = app_protocol.unwrap_or_else(|| name.split('-').next().unwrap_or_default());
    match word {
        "grpc" => Protocol::Grpc,
        "tcp" | "tls" | "mongo" | "mysql" | "redis" => Protocol::Tcp,
        _ => Protocol::Http,
    }
}
