//! Who stands behind a Service: the ready addresses of its Endpoints, each a pod or a host outside.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use osier_routing::endpoint::Place;
use osier_routing::serves::{Port, Serves};
use osier_routing::service::Protocol;
use osier_routing::workload::Workload;
use osier_standing::{FindingKind, Findings};

/// Where the endpoints of one Service are looked up.
pub(crate) struct Ready<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) endpoints: Option<&'a Object>,
    /// Pods by (namespace, name).
    pub(crate) pods: &'a HashMap<(&'a str, &'a str), &'a Arc<Workload>>,
    pub(crate) findings: &'a Findings,
    /// Only addresses of this host name.
    pub(crate) host: Option<&'a str>,
}

impl Ready<'_> {
    /// Reads a port of a Service; `None` if it is none that can be served.
    pub(crate) fn port(&self, value: &Value) -> Option<Port> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let number = u16::try_from(value.get("port")?.as_u64()?).ok()?;
        if let Some(other) = text("protocol").filter(|name| !["TCP", "UDP"].contains(name)) {
            let detail = format!(
                "not applied yet: port {number} speaks {other}, only TCP and UDP are served"
            );
            self.findings
                .add(FindingKind::NotApplied, "spec.ports", detail);
            return None;
        }
        let name = text("name").unwrap_or_default();
        let word =
            text("appProtocol").unwrap_or_else(|| name.split('-').next().unwrap_or_default());
        let (protocol, secure) = protocol(word);
        Some(Port {
            name: name.into(),
            number,
            protocol,
            secure,
        })
    }

    /// Who serves the port of that name.
    pub(crate) fn serving(&self, port_name: &str) -> impl Iterator<Item = Serves> {
        let subsets = self
            .endpoints
            .and_then(|object| object.get(&["subsets"])?.as_array());
        subsets.into_iter().flatten().flat_map(move |subset| {
            let port = endpoint_port(subset, port_name);
            let addresses = subset.get("addresses").and_then(Value::as_array);
            let addresses = addresses.filter(|_| port.is_some()).into_iter().flatten();
            let of_host =
                |address: &&Value| self.host.is_none_or(|host| address["hostname"] == host);
            let addresses = addresses.filter(of_host);
            addresses.filter_map(move |address| self.serves(address, port?))
        })
    }

    fn serves(&self, address: &Value, port: u16) -> Option<Serves> {
        let target = address.get("targetRef");
        let text = |key: &str| target.and_then(|target| target.get(key)?.as_str());
        let ip = address.get("ip").and_then(Value::as_str).unwrap_or("?");
        let Some(name) = text("name") else {
            return self.outside(ip, port);
        };
        let namespace = text("namespace").unwrap_or(self.namespace);
        let Some(workload) = self.pods.get(&(namespace, name)).copied() else {
            let detail = format!(
                "address {ip} belongs to pod {namespace}/{name}, which does not exist; it is not used"
            );
            self.add(FindingKind::Reference, detail);
            return None;
        };
        let workload = Arc::clone(workload);
        let place = Place::Pod;
        Some(Serves {
            workload,
            place,
            port,
            weight: 1,
            check: None,
        })
    }

    /// An address that belongs to no pod is reached over the network.
    fn outside(&self, ip: &str, port: u16) -> Option<Serves> {
        let Ok(address) = ip.parse() else {
            self.add(
                FindingKind::Invalid,
                format!("{ip:?} is not an address; it is not used"),
            );
            return None;
        };
        let workload = Workload::outside((self.namespace, ip), BTreeMap::new());
        let place = Place::Address(address);
        let workload = Arc::new(Workload {
            address,
            ..workload
        });
        Some(Serves {
            workload,
            place,
            port,
            weight: 1,
            check: None,
        })
    }

    fn add(&self, kind: FindingKind, detail: String) {
        self.findings.add(kind, "endpoints.subsets", detail);
    }
}

fn endpoint_port(subset: &Value, name: &str) -> Option<u16> {
    let ports = subset.get("ports")?.as_array()?;
    let name_of =
        |port: &&Value| port.get("name").and_then(Value::as_str).unwrap_or_default() == name;
    let port = ports.iter().find(name_of)?;
    u16::try_from(port.get("port")?.as_u64()?).ok()
}

/// What a port's protocol word says, and whether what is spoken is encrypted.
pub(crate) fn protocol(word: &str) -> (Protocol, bool) {
    match word {
        "grpc" | "grpc-web" => (Protocol::Grpc, false),
        "http2" | "kubernetes.io/h2c" => (Protocol::Http2, false),
        "https" => (Protocol::Http, true),
        "tcp" | "tls" | "mongo" | "mysql" | "redis" => (Protocol::Tcp, false),
        _ => (Protocol::Http, false),
    }
}
