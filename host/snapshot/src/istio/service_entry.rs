//! ServiceEntry and WorkloadEntry: hosts outside, their ports, and who serves them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use osier_api::{Object, companion};
use osier_balancing::Locality;

use super::{GROUP, workload_group};
use crate::ready;
use crate::table::About;
use osier_routing::endpoint::Place;
use osier_routing::export::Export;
use osier_routing::kind::Kind;
use osier_routing::serves::{Port, Serves};
use osier_routing::workload::Workload;
use osier_standing::{Finding, FindingKind, Findings};
use osier_traffic::Fields;

const ENTRY: Kind = Kind::new(GROUP, "ServiceEntry");
const WORKLOAD: Kind = Kind::new(GROUP, "WorkloadEntry");

/// What one ServiceEntry says.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) about: About,
    pub(crate) hosts: Vec<Arc<str>>,
    pub(crate) ranges: Vec<IpNet>,
    pub(crate) ports: Vec<EntryPort>,
    pub(crate) resolution: Resolution,
    pub(crate) endpoints: Vec<Outside>,
    /// Labels of the WorkloadEntries that serve.
    pub(crate) selector: Option<Vec<(String, String)>>,
    pub(crate) export: Export,
    /// Names of which the server's certificate must have one.
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) findings: Vec<Finding>,
}

/// How the addresses of a ServiceEntry are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The request says where it goes.
    Asked,
    /// The endpoints say it.
    Static,
    /// DNS says it, for the endpoints or for the host.
    Dns,
}

/// A port of a ServiceEntry.
#[derive(Debug)]
pub(crate) struct EntryPort {
    pub(crate) port: Port,
    pub(crate) target: Option<u16>,
}

/// A workload that is no pod.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Where; `None` is where the service's host is.
    pub(crate) place: Option<Place>,
    ports: HashMap<String, u16>,
    weight: u32,
    /// The group that it belongs to, `namespace/name`.
    pub(crate) group: Option<String>,
    pub(crate) workload: Arc<Workload>,
    pub(crate) findings: Vec<Finding>,
}

impl Outside {
    /// Said when its group does not exist.
    pub(crate) fn stray(&self, group: &str) -> Finding {
        Finding {
            resource: WORKLOAD,
            namespace: self.workload.namespace.to_string(),
            name: self.workload.name.to_string(),
            field: "metadata.annotations".into(),
            kind: FindingKind::Reference,
            detail: format!("WorkloadGroup {group} does not exist; the endpoint is not checked"),
        }
    }

    /// How it serves a port.
    pub(crate) fn serves(&self, port: &EntryPort, host: &str) -> Serves {
        let own = self.ports.get(&*port.port.name).copied();
        Serves {
            workload: Arc::clone(&self.workload),
            place: self
                .place
                .clone()
                .unwrap_or_else(|| Place::Name(host.into())),
            port: own.or(port.target).unwrap_or(port.port.number),
            weight: self.weight,
            check: None,
        }
    }
}

/// Reads one ServiceEntry.
pub(crate) fn compile(object: &Object) -> ServiceEntry {
    let about = About::of(object, ENTRY);
    let findings = about.findings();
    let mut entry = ServiceEntry {
        about,
        hosts: Vec::new(),
        ranges: Vec::new(),
        ports: Vec::new(),
        resolution: Resolution::Asked,
        endpoints: Vec::new(),
        selector: None,
        export: Export::Everywhere,
        names: Vec::new(),
        findings: Vec::new(),
    };
    if let Some(mut spec) = Fields::spec(object, &findings) {
        read_spec(&mut spec, &mut entry);
    }
    entry.findings = findings.into_vec();
    entry
}

fn read_spec(spec: &mut Fields<'_>, entry: &mut ServiceEntry) {
    // Both locations are called alike: whether a workload has an identity of the mesh, its companion says.
    let _location = spec.text("location");
    let hosts = spec.texts("hosts").into_iter();
    entry.hosts = hosts
        .map(|(_, host)| host.to_ascii_lowercase().into())
        .collect();
    entry.ranges = ranges(spec);
    entry.ports = spec.objects("ports").iter_mut().filter_map(port).collect();
    entry.resolution = resolution(spec);
    entry.endpoints = endpoints(spec, &entry.about.namespace);
    entry.selector = spec.object("workloadSelector").map(|mut selector| {
        let labels = selector.entries("labels").into_iter();
        let texts =
            labels.filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.to_owned())));
        texts.collect()
    });
    entry.export = super::export(spec, &entry.about.namespace);
    let names = spec.texts("subjectAltNames").into_iter();
    entry.names = names.map(|(_, name)| name.into()).collect();
}

fn ranges(spec: &mut Fields<'_>) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (field, text) in spec.texts("addresses") {
        let address = || Some(IpNet::from(text.parse::<IpAddr>().ok()?));
        match text.parse().ok().or_else(address) {
            Some(range) => ranges.push(range),
            None => {
                spec.findings()
                    .add(FindingKind::Invalid, field, "is no address; it is ignored")
            }
        }
    }
    ranges
}

fn port(fields: &mut Fields<'_>) -> Option<EntryPort> {
    let (number, target) = (fields.number("number"), fields.number("targetPort"));
    let name = fields.text("name").unwrap_or_default();
    let word = fields
        .text("protocol")
        .unwrap_or("HTTP")
        .to_ascii_lowercase();
    let Some(number) = number else {
        fields.invalid("number", "is missing; the port is ignored");
        return None;
    };
    let (protocol, secure) = ready::protocol(&word);
    let port = Port {
        name: name.into(),
        number,
        protocol,
        secure: secure || word == "tls",
    };
    Some(EntryPort { port, target })
}

fn resolution(spec: &mut Fields<'_>) -> Resolution {
    match spec.text("resolution").unwrap_or("NONE") {
        "STATIC" => Resolution::Static,
        "DNS" | "DNS_ROUND_ROBIN" => Resolution::Dns,
        _ => Resolution::Asked,
    }
}

fn endpoints(spec: &mut Fields<'_>, namespace: &str) -> Vec<Outside> {
    let mut all = Vec::new();
    for mut fields in spec.objects("endpoints") {
        let name = fields.text("address").unwrap_or_default();
        all.extend(outside(&mut fields, (namespace, name)));
    }
    all
}

/// Reads one WorkloadEntry; `None` if it cannot be called now.
pub(crate) fn compile_workload(object: &Object, domain: &str) -> Option<Outside> {
    let named = (object.namespace(), object.name());
    let findings = Findings::about(WORKLOAD, named.0, named.1);
    let spec = Fields::spec(object, &findings);
    let companion = object.annotation(companion::MESH_ADDRESS);
    let mut outside = spec.and_then(|mut spec| {
        if companion.is_some() {
            // It is whom the workload calls as; without a companion it is nobody.
            let _applied = spec.text("serviceAccount");
        }
        outside(&mut spec, named)
    })?;
    outside.group = group(object);
    outside.findings = findings.into_vec();
    match companion {
        None => Some(outside),
        Some("") => None,
        Some(_) => Some(accompanied(outside, object, domain)),
    }
}

/// A workload beside which a companion stands: it has an identity, and is called as a pod of its companion is.
fn accompanied(outside: Outside, object: &Object, domain: &str) -> Outside {
    let account = Some(object.text(&["spec", "serviceAccount"]));
    let account = account.filter(|name| !name.is_empty());
    let node = companion::of_entry(object);
    let workload = Workload::clone(&outside.workload);
    let workload = workload.identified(domain, account.unwrap_or("default"), (&node, object.uid()));
    Outside {
        place: Some(Place::Pod),
        workload: Arc::new(workload),
        ..outside
    }
}

/// The group of a WorkloadEntry: Istio notes it when a workload registers itself.
fn group(object: &Object) -> Option<String> {
    let noted = object.get(&["metadata", "annotations", "istio.io/autoRegistrationGroup"]);
    let owners = object.get(&["metadata", "ownerReferences"]);
    let owners = owners.and_then(|owners| owners.as_array());
    let mut owners = owners.into_iter().flatten();
    let owner = owners.find(|owner| owner["kind"] == workload_group::NAME);
    let name = noted.or_else(|| owner?.get("name"))?.as_str()?;
    Some(format!("{}/{name}", object.namespace()))
}

fn outside(fields: &mut Fields<'_>, named: (&str, &str)) -> Option<Outside> {
    let address = fields.text("address").filter(|address| !address.is_empty());
    if address.is_some_and(|address| address.starts_with("unix://")) {
        fields.not_applied(
            "address",
            "sockets of the machine are not called; the endpoint is not used",
        );
        return None;
    }
    let labels = fields.entries("labels").into_iter();
    let labels: BTreeMap<String, String> = labels
        .filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
        .collect();
    let ports = fields.entries("ports").into_iter();
    let ports = ports.filter_map(|(name, _, value)| {
        Some((name.to_owned(), u16::try_from(value.as_u64()?).ok()?))
    });
    let ports = ports.collect();
    let place = address.map(|address| match address.parse() {
        Ok(address) => Place::Address(address),
        Err(_) => Place::Name(address.to_ascii_lowercase().into()),
    });
    let mut workload = Workload::outside(named, labels);
    if let Some(text) = fields.text("locality").filter(|text| !text.is_empty()) {
        workload.locality = Locality::parse(text);
    }
    if let Some(Place::Address(address)) = place {
        workload.address = address;
    }
    Some(Outside {
        place,
        ports,
        // In Istio 0 stands for the default.
        weight: fields.number("weight").unwrap_or(1).max(1),
        group: None,
        workload: Arc::new(workload),
        findings: Vec::new(),
    })
}
