//! Services and Endpoints to the mesh's own services, sharing with the previous snapshot what is equal.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::finding::{Finding, FindingKind, Findings};
use crate::headers::HeaderEdits;
use crate::istio::destination_rule::DestinationPolicy;
use crate::names;
use crate::route::{
    Action, Destination, Fault, Forward, Retries, Rewrite, Route, ServiceName, Weighted,
};
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

/// Compiles one Service; `None` if it has nothing that the mesh can serve.
pub(crate) fn service(
    object: &Object,
    parts: &Parts<'_>,
    found: &mut Vec<Finding>,
) -> Option<Arc<Service>> {
    let findings = Findings::about("Service", object.namespace(), object.name());
    let spec = object.get(&["spec"]);
    let field = |name: &str| spec.and_then(|spec| spec.get(name));
    report_unserved(&field, &findings);
    let external = field("type").and_then(Value::as_str) == Some("ExternalName");
    let address = field("clusterIP")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<IpAddr>().ok());
    let names = names_of(object, parts);
    let builder = Builder {
        names: &names,
        parts,
        findings: &findings,
    };
    let listed = field("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let ports: Vec<ServicePort> = listed.filter_map(|port| builder.port(port)).collect();
    found.extend(findings.into_vec());
    if external {
        return None;
    }
    Some(share(
        Service {
            address,
            ports,
            default_route: default_route(&names, parts.previous),
            names,
        },
        parts.previous,
    ))
}

fn report_unserved<'a>(field: &impl Fn(&str) -> Option<&'a Value>, findings: &Findings) {
    let refuse = |name: &str, detail: &str| {
        findings.add(FindingKind::NotApplied, format!("spec.{name}"), detail)
    };
    match field("type").and_then(Value::as_str) {
        Some("ExternalName") => refuse(
            "type",
            "not applied yet: ExternalName; calls to this name are refused",
        ),
        Some(kind @ ("NodePort" | "LoadBalancer")) => {
            refuse(
                "type",
                &format!(
                    "not applied yet: {kind} is served inside the mesh only; use a VirtualService with `gateways`"
                ),
            );
        }
        _ => {}
    }
    if field("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
        refuse(
            "sessionAffinity",
            "not applied yet: requests are balanced one by one",
        );
    }
    if field("externalIPs")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        refuse("externalIPs", "not applied yet");
    }
}

fn names_of(object: &Object, parts: &Parts<'_>) -> Arc<ServiceRef> {
    let host = names::full_name(object.name(), object.namespace(), parts.domain);
    if let Some(previous) = parts
        .previous
        .filter(|previous| *previous.names.host == *host)
    {
        return Arc::clone(&previous.names);
    }
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    Arc::new(ServiceRef {
        namespace: object.namespace().into(),
        name: object.name().into(),
        host: host.into(),
        fingerprint: hasher.finish(),
    })
}

fn default_route(names: &Arc<ServiceRef>, previous: Option<&Arc<Service>>) -> Arc<Route> {
    if let Some(previous) = previous {
        return Arc::clone(&previous.default_route);
    }
    let service = ServiceName::Mesh {
        namespace: Arc::clone(&names.namespace),
        name: Arc::clone(&names.name),
    };
    let destination = Destination {
        service,
        subset: None,
        port: None,
    };
    let only = Weighted {
        destination,
        weight: 1,
        headers: HeaderEdits::default(),
    };
    Arc::new(Route {
        name: "default".into(),
        action: Action::Forward(Forward {
            destinations: vec![only],
            total: 1,
        }),
        headers: HeaderEdits::default(),
        rewrite: Rewrite::default(),
        timeout: None,
        retries: Retries::default(),
        fault: Fault::default(),
        mirrors: Vec::new(),
    })
}

/// The previous value if nothing in it changed.
fn share(service: Service, previous: Option<&Arc<Service>>) -> Arc<Service> {
    let same = |previous: &&Arc<Service>| {
        previous.address == service.address
            && previous.ports.len() == service.ports.len()
            && previous
                .ports
                .iter()
                .zip(&service.ports)
                .all(|(a, b)| same_port(a, b))
    };
    previous
        .filter(same)
        .cloned()
        .unwrap_or_else(|| Arc::new(service))
}

fn same_port(a: &ServicePort, b: &ServicePort) -> bool {
    a.name == b.name
        && a.port == b.port
        && a.protocol == b.protocol
        && Arc::ptr_eq(&a.cluster, &b.cluster)
        && a.subsets.len() == b.subsets.len()
        && a.subsets.iter().all(|(name, cluster)| {
            b.subsets
                .get(name)
                .is_some_and(|other| Arc::ptr_eq(cluster, other))
        })
}

struct Builder<'a> {
    names: &'a Arc<ServiceRef>,
    parts: &'a Parts<'a>,
    findings: &'a Findings,
}

impl Builder<'_> {
    fn port(&self, value: &Value) -> Option<ServicePort> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let port = u16::try_from(value.get("port")?.as_u64()?).ok()?;
        let name: Arc<str> = text("name").unwrap_or_default().into();
        if let Some(other) = text("protocol").filter(|protocol| *protocol != "TCP") {
            let detail = format!("not applied yet: port {port} speaks {other}, only TCP is served");
            self.findings
                .add(FindingKind::NotApplied, "spec.ports", detail);
            return None;
        }
        let previous = self.parts.previous.and_then(|service| {
            service
                .ports
                .iter()
                .find(|p| p.port == port && p.name == name)
        });
        let endpoints = self.endpoints(&name, previous);
        let subsets = self.subsets(port, &endpoints, previous);
        let balancer = self
            .parts
            .policies
            .iter()
            .find_map(|policy| policy.balancer)
            .unwrap_or_default();
        let cluster = self.cluster(
            (port, ""),
            endpoints,
            balancer,
            previous.map(|p| &p.cluster),
        );
        Some(ServicePort {
            protocol: protocol(text("appProtocol"), &name),
            name,
            port,
            cluster,
            subsets,
        })
    }

    fn subsets(
        &self,
        port: u16,
        endpoints: &[Arc<Endpoint>],
        previous: Option<&ServicePort>,
    ) -> HashMap<Arc<str>, Arc<Cluster>> {
        let mut clusters = HashMap::new();
        let all = self
            .parts
            .policies
            .iter()
            .flat_map(|policy| policy.subsets.iter().map(move |subset| (policy, subset)));
        for (policy, subset) in all {
            if clusters.contains_key(&subset.name) {
                continue;
            }
            let has = |endpoint: &&Arc<Endpoint>| {
                subset
                    .labels
                    .iter()
                    .all(|(key, value)| endpoint.workload.labels.get(key) == Some(value))
            };
            let chosen = endpoints.iter().filter(has).cloned().collect();
            let before = previous.and_then(|port| port.subsets.get(&subset.name));
            let balancer = subset.balancer.or(policy.balancer).unwrap_or_default();
            clusters.insert(
                Arc::clone(&subset.name),
                self.cluster((port, &subset.name), chosen, balancer, before),
            );
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
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        let subsets = self
            .parts
            .endpoints
            .and_then(|object| object.get(&["subsets"]))
            .and_then(Value::as_array);
        for subset in subsets.into_iter().flatten() {
            let Some(port) = endpoint_port(subset, port_name) else {
                continue;
            };
            for address in subset
                .get("addresses")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let Some(workload) = self.workload(address) else {
                    continue;
                };
                if endpoints
                    .iter()
                    .any(|e| e.port == port && Arc::ptr_eq(&e.workload, workload))
                {
                    continue;
                }
                endpoints.push(kept_endpoint(previous, workload, port));
            }
        }
        endpoints
    }

    fn workload(&self, address: &Value) -> Option<&Arc<Workload>> {
        let target = address.get("targetRef");
        let text = |key: &str| {
            target
                .and_then(|target| target.get(key))
                .and_then(Value::as_str)
        };
        let namespace = text("namespace").unwrap_or(&self.names.namespace);
        let found = text("name").and_then(|name| self.parts.pods.get(&(namespace, name)).copied());
        if found.is_none() {
            let ip = address.get("ip").and_then(Value::as_str).unwrap_or("?");
            let detail = match text("name") {
                Some(name) => format!(
                    "address {ip} belongs to pod {namespace}/{name}, which does not exist; it is not used"
                ),
                None => format!(
                    "not applied yet: address {ip} names no pod (targetRef); it is not used"
                ),
            };
            let kind = if target.is_some() {
                FindingKind::Reference
            } else {
                FindingKind::NotApplied
            };
            self.findings.add(kind, "endpoints.subsets", detail);
        }
        found
    }
}

/// The endpoint that stood before, because it carries the load counter.
fn kept_endpoint(
    previous: Option<&ServicePort>,
    workload: &Arc<Workload>,
    port: u16,
) -> Arc<Endpoint> {
    let before = previous.map_or(&[][..], |p| p.cluster.endpoints.as_slice());
    let same = before
        .iter()
        .find(|e| e.port == port && Arc::ptr_eq(&e.workload, workload));
    same.cloned()
        .unwrap_or_else(|| Arc::new(Endpoint::new(Arc::clone(workload), port)))
}

fn endpoint_port(subset: &Value, name: &str) -> Option<u16> {
    let ports = subset.get("ports")?.as_array()?;
    let port = ports
        .iter()
        .find(|port| port.get("name").and_then(Value::as_str).unwrap_or_default() == name)?;
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
