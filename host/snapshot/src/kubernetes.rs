//! Services to the mesh's own services, sharing with the previous snapshot what is equal.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use osier_api::resources::HOLD;
use osier_api::{Object, duration};
use serde_json::Value;

use crate::clusters::Clusters;
use crate::gateway_api::backend_tls::BackendTls;
use crate::policies::Holding;
use crate::ready::Ready;
use osier_routing::export::Export;
use osier_routing::kind::Kind;
use osier_routing::names;
use osier_routing::route::{Destination, Route, ServiceName};
use osier_routing::service::{Service, ServicePort, ServiceRef};
use osier_routing::workload::Workload;
use osier_standing::{Finding, FindingKind, Findings};
use osier_traffic::Secrets;

/// What a service is made of besides its own object.
pub(crate) struct Parts<'a> {
    pub(crate) endpoints: Option<&'a Object>,
    /// Pods by (namespace, name).
    pub(crate) pods: &'a HashMap<(&'a str, &'a str), &'a Arc<Workload>>,
    /// The DestinationRules that hold for it, for each caller.
    pub(crate) policies: &'a Holding,
    pub(crate) previous: Option<&'a Arc<Service>>,
    pub(crate) domain: &'a str,
    pub(crate) secrets: &'a Secrets,
    /// BackendTLSPolicies of its namespace, oldest first.
    pub(crate) tls: &'a [Arc<BackendTls>],
}

/// Compiles one Service; `None` if it has nothing that the mesh can serve.
pub(crate) fn service(
    object: &Object,
    parts: &Parts<'_>,
    found: &mut Vec<Finding>,
) -> Option<Arc<Service>> {
    let spec = Spec(object.get(&["spec"]));
    let findings = Findings::about(Kind::SERVICE, object.namespace(), object.name());
    spec.report_unserved(&findings);
    let host = names::full_name(object.name(), object.namespace(), parts.domain);
    let names = names_of(object, host, parts.previous);
    let ready = Ready {
        namespace: object.namespace(),
        endpoints: parts.endpoints,
        pods: parts.pods,
        findings: &findings,
        host: None,
    };
    let which = |datagrams| ports(&spec, parts, (&names, parts.previous), &ready, datagrams);
    let (ports, datagrams) = (which(false), which(true));
    found.extend(findings.into_vec());
    if spec.text("type") == "ExternalName" {
        return None;
    }
    let address = spec.text("clusterIP").parse().ok();
    let default_route = default_route(object.namespace(), object.name(), parts.previous);
    Some(share(
        Service {
            outside: false,
            hold: object
                .annotation(HOLD)
                .and_then(|said| duration::parse(said).ok()),
            export: export(object),
            address,
            given: Box::default(),
            ports,
            datagrams,
            default_route,
            names,
        },
        parts.previous,
    ))
}

/// The pods with host names behind a headless service, each called `host.service` as in DNS. Rules that speak of the service hold
/// for them; `before` finds them in the previous snapshot.
pub(crate) fn hosts<'a>(
    object: &Object,
    parts: &Parts<'_>,
    before: impl Fn(&str) -> Option<&'a Arc<Service>>,
) -> Vec<(Arc<str>, Arc<Service>)> {
    let spec = Spec(object.get(&["spec"]));
    if spec.text("clusterIP") != "None" {
        return Vec::new();
    }
    let mut hosts = Vec::new();
    for (host, address) in host_names(parts.endpoints) {
        let key: Arc<str> = format!("{host}.{}", object.name()).into();
        let previous = before(&key);
        let full = names::full_name(&key, object.namespace(), parts.domain);
        let names = names_of(object, full, previous);
        // What is wrong with the endpoints was said of the service itself.
        let findings = Findings::about(Kind::SERVICE, object.namespace(), object.name());
        let ready = Ready {
            namespace: object.namespace(),
            endpoints: parts.endpoints,
            pods: parts.pods,
            findings: &findings,
            host: Some(host),
        };
        let service = Service {
            outside: false,
            hold: None,
            export: export(object),
            address: address.parse().ok(),
            given: Box::default(),
            ports: ports(&spec, parts, (&names, previous), &ready, false),
            datagrams: ports(&spec, parts, (&names, previous), &ready, true),
            default_route: default_route(object.namespace(), &key, previous),
            names,
        };
        hosts.push((key, share(service, previous)));
    }
    hosts
}

/// Which namespaces may call a Service, as Istio has it said
/// (<https://istio.io/latest/docs/reference/config/annotations/#NetworkingExportTo>).
pub(crate) fn export(object: &Object) -> Export {
    let said = object.get(&["metadata", "annotations", "networking.istio.io/exportTo"]);
    let said = said.and_then(Value::as_str).unwrap_or_default();
    let words = said.split(',').map(str::trim);
    Export::read(words.filter(|word| !word.is_empty()), object.namespace())
}

/// Host names of ready addresses, each with its first address.
fn host_names(endpoints: Option<&Object>) -> BTreeMap<&str, &str> {
    let subsets = endpoints.and_then(|object| object.get(&["subsets"])?.as_array());
    let subsets = subsets.into_iter().flatten();
    let addresses = subsets.filter_map(|subset| subset["addresses"].as_array());
    let named = addresses
        .flatten()
        .filter_map(|address| Some((address["hostname"].as_str()?, address["ip"].as_str()?)));
    let mut hosts = BTreeMap::new();
    for (host, address) in named {
        hosts.entry(host).or_insert(address);
    }
    hosts
}

fn ports(
    spec: &Spec<'_>,
    parts: &Parts<'_>,
    (names, previous): (&Arc<ServiceRef>, Option<&Arc<Service>>),
    ready: &Ready<'_>,
    datagrams: bool,
) -> Vec<ServicePort> {
    let clusters = Clusters {
        names,
        policies: parts.policies,
        previous,
        server_names: &[],
        secrets: parts.secrets,
        by_address: spec.text("sessionAffinity") == "ClientIP",
        tls: parts.tls,
    };
    let wanted = |value: &&Value| (value["protocol"] == "UDP") == datagrams;
    let ports = spec.list("ports").filter(wanted);
    let ports = ports.filter_map(|value| ready.port(value));
    ports
        .map(|port| clusters.port(port.clone(), ready.serving(&port.name)))
        .collect()
}

/// A service's spec, read without insisting on anything.
struct Spec<'a>(Option<&'a Value>);

impl<'a> Spec<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.0
            .and_then(|spec| spec.get(key)?.as_str())
            .unwrap_or_default()
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.0
            .and_then(|spec| spec.get(key)?.as_array())
            .into_iter()
            .flatten()
    }

    fn report_unserved(&self, findings: &Findings) {
        let refuse = |field: &str, detail: &str| {
            findings.add(
                FindingKind::NotApplied,
                field,
                format!("not applied yet: {detail}"),
            );
        };
        match self.text("type") {
            "ExternalName" => refuse(
                "spec.type",
                "ExternalName is an alias in DNS only; calls to this name are refused",
            ),
            "NodePort" | "LoadBalancer" => refuse(
                "spec.type",
                "it is served inside the mesh only; use a VirtualService with `gateways`",
            ),
            _ => {}
        }
        if self.list("externalIPs").next().is_some() {
            refuse(
                "spec.externalIPs",
                "only the cluster's own address is served",
            );
        }
    }
}

fn names_of(object: &Object, host: String, previous: Option<&Arc<Service>>) -> Arc<ServiceRef> {
    if let Some(previous) = previous.filter(|previous| *previous.names.host == *host) {
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

fn default_route(namespace: &str, name: &str, previous: Option<&Arc<Service>>) -> Arc<Route> {
    let (namespace, name) = (namespace.into(), name.into());
    route_to(ServiceName::Mesh { namespace, name }, previous)
}

/// Where a request goes when no route object speaks of the service: to itself.
pub(crate) fn route_to(service: ServiceName, previous: Option<&Arc<Service>>) -> Arc<Route> {
    if let Some(previous) = previous {
        return Arc::clone(&previous.default_route);
    }
    let destination = Destination {
        service,
        subset: None,
        port: None,
    };
    Arc::new(Route::to("default".into(), destination))
}

/// The previous value if nothing in it changed.
pub(crate) fn share(service: Service, previous: Option<&Arc<Service>>) -> Arc<Service> {
    let same = |previous: &&Arc<Service>| {
        let before = previous.ports.iter().chain(&previous.datagrams);
        let mut ports = before.zip(service.ports.iter().chain(&service.datagrams));
        (previous.address, previous.hold) == (service.address, service.hold)
            && previous.export == service.export
            && previous.given == service.given
            && previous.ports.len() == service.ports.len()
            && previous.datagrams.len() == service.datagrams.len()
            && ports.all(|(a, b)| a.same(b))
    };
    let kept = previous.filter(same).cloned();
    kept.unwrap_or_else(|| Arc::new(service))
}
