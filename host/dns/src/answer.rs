//! What a name stands for, as Kubernetes' specification of DNS for services has it
//! (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>). Pure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use osier_snapshot::{Endpoint, Meaning, Place, Service, ServicePort, Snapshot, Workload};

use crate::reverse;

/// The most records that one answer has: those of a headless service with more endpoints are left out.
const MOST: usize = 1_000;
/// The version of the specification, which clients may ask for as `dns-version`.
const VERSION: &str = "1.1.0";

/// What is asked about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Addresses of version 4 (A).
    V4,
    /// Addresses of version 6 (AAAA).
    V6,
    /// All addresses (ANY, of which a part may be answered: RFC 8482).
    Addresses,
    /// Host and port of a named port (SRV).
    Port,
    /// The name of an address (PTR).
    Name,
    /// Text (TXT).
    Text,
    /// Something that nothing here has.
    Other,
}

/// The data of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// SRV: the port, and the host that has it.
    Port(u16, String),
    /// PTR.
    Name(String),
    /// CNAME.
    Alias(String),
    /// TXT.
    Text(&'static str),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Records of the name.
    Records(Vec<Data>),
    /// The name is another one for this host (CNAME).
    Alias(String),
    /// The name is there, and has nothing of what is asked.
    Nothing,
    /// There is no such name, and nobody else is to say otherwise.
    NoSuchName,
    /// Others know of it.
    Elsewhere,
}

/// What a lower-case name without its last dot stands for to a workload, or to those of whom nothing is known.
pub fn answer(
    snapshot: &Snapshot,
    asker: Option<&Workload>,
    (name, wanted): (&str, Wanted),
) -> Found {
    if let Some(address) = reverse::address(name) {
        return of_address(snapshot, asker, address, wanted);
    }
    let zone = Zone::of(snapshot, name);
    let found = of_name(snapshot, asker, (name, wanted));
    found.unwrap_or_else(|| match zone {
        None => Found::Elsewhere,
        Some(zone) => zone.rest(snapshot, wanted),
    })
}

fn of_name(
    snapshot: &Snapshot,
    asker: Option<&Workload>,
    (name, wanted): (&str, Wanted),
) -> Option<Found> {
    match snapshot.meaning(name, asker) {
        Some(Meaning::Service(service)) => Some(of_service(service, name, wanted)),
        Some(Meaning::Alias(host)) => Some(Found::Alias(host.to_string())),
        None if name.starts_with('_') => of_port(snapshot, asker, name, wanted),
        None => of_endpoint(snapshot, asker, name, wanted),
    }
}

fn of_service(service: &Service, name: &str, wanted: Wanted) -> Found {
    let own: Vec<IpAddr> = service.address.into_iter().collect();
    if !own.is_empty() {
        return addresses(own, wanted);
    }
    if !service.given.is_empty() {
        return addresses(service.given.to_vec(), wanted);
    }
    let places = endpoints(service).map(|endpoint| &endpoint.place);
    let mut hosts = places.filter_map(|place| match place {
        Place::Name(host) => Some(host),
        _ => None,
    });
    match hosts.next() {
        Some(host) if **host == *name => Found::Elsewhere,
        Some(host) => Found::Alias(host.to_string()),
        None if asks_elsewhere(service) => Found::Elsewhere,
        None => addresses(endpoint_addresses(service), wanted),
    }
}

/// Whether whoever calls the service says himself where it is.
fn asks_elsewhere(service: &Service) -> bool {
    endpoints(service).any(|endpoint| endpoint.place == Place::Asked)
}

fn endpoints(service: &Service) -> impl Iterator<Item = &Arc<Endpoint>> {
    let ports = service.ports.iter();
    ports.flat_map(|port| &port.cluster.endpoints)
}

/// Where a service's endpoints are, each once.
fn endpoint_addresses(service: &Service) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = endpoints(service)
        .filter_map(|endpoint| address_of(endpoint))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn address_of(endpoint: &Endpoint) -> Option<IpAddr> {
    let own = endpoint.workload.address;
    match endpoint.place {
        Place::Address(address) => Some(address),
        _ => Some(own).filter(|address| !address.is_unspecified()),
    }
}

fn addresses(all: Vec<IpAddr>, wanted: Wanted) -> Found {
    let fits = |address: &IpAddr| match wanted {
        Wanted::V4 => address.is_ipv4(),
        Wanted::V6 => address.is_ipv6(),
        Wanted::Addresses => true,
        _ => false,
    };
    records(all.into_iter().filter(fits).map(Data::Address))
}

fn records(data: impl Iterator<Item = Data>) -> Found {
    let all: Vec<Data> = data.take(MOST).collect();
    match all.is_empty() {
        true => Found::Nothing,
        false => Found::Records(all),
    }
}

/// `_PORT._PROTOCOL.HOST`: where a named port of a service is. A headless service has it at each of its endpoints.
fn of_port(
    snapshot: &Snapshot,
    asker: Option<&Workload>,
    name: &str,
    wanted: Wanted,
) -> Option<Found> {
    let (first, rest) = name.strip_prefix('_')?.split_once('.')?;
    let service = |host: &str| match snapshot.meaning(host, asker) {
        Some(Meaning::Service(service)) => Some(service),
        _ => None,
    };
    let Some((protocol, host)) = rest.strip_prefix('_').and_then(|rest| rest.split_once('.'))
    else {
        // `_tcp.HOST` is a name because names below it are.
        return service(rest)
            .filter(|_| first == "tcp")
            .map(|_| Found::Nothing);
    };
    let service = service(host).filter(|_| protocol == "tcp")?;
    let port = service.ports.iter().find(|port| *port.name == *first)?;
    Some(match wanted {
        Wanted::Port => records(targets(snapshot, (service, host), port).into_iter()),
        _ => Found::Nothing,
    })
}

fn targets(
    snapshot: &Snapshot,
    (service, host): (&Arc<Service>, &str),
    port: &ServicePort,
) -> Vec<Data> {
    let (own, names) = (service.address.is_some(), &service.names);
    if own || service.outside {
        let full = if service.outside { host } else { &names.host };
        return vec![Data::Port(port.port, full.to_owned())];
    }
    let pods = snapshot.pod_hosts(&names.namespace);
    let behind = |(_, pod): &(&str, &Arc<Service>)| pod.names.name == names.name;
    let named = pods
        .filter(behind)
        .filter_map(|(_, pod)| Some((pod.address?, &pod.names.host)));
    let named: HashMap<IpAddr, &Arc<str>> = named.collect();
    let all = port.cluster.endpoints.iter();
    let targets = all.filter_map(|endpoint| {
        let address = address_of(endpoint)?;
        // A pod without a host name is called by its address with dashes.
        let host = named.get(&address).map_or_else(
            || format!("{}.{}", dashed(address), names.host),
            |host| host.to_string(),
        );
        Some(Data::Port(endpoint.port, host))
    });
    targets.collect()
}

fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// `1-2-3-4.HOST`: an endpoint of a headless service.
fn of_endpoint(
    snapshot: &Snapshot,
    asker: Option<&Workload>,
    name: &str,
    wanted: Wanted,
) -> Option<Found> {
    let (first, host) = name.split_once('.')?;
    if !first.contains('-') || !first.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let Some(Meaning::Service(service)) = snapshot.meaning(host, asker) else {
        return None;
    };
    if service.address.is_some() || service.outside {
        return None;
    }
    let mut all = endpoint_addresses(service).into_iter();
    let address = all.find(|address| dashed(*address) == first)?;
    Some(addresses(vec![address], wanted))
}

/// What stands before the cluster's domain in a name.
struct Zone<'a>(&'a str);

impl<'a> Zone<'a> {
    fn of(snapshot: &Snapshot, name: &'a str) -> Option<Self> {
        let rest = name.strip_suffix(&**snapshot.domain())?;
        match rest {
            "" => Some(Self("")),
            _ => rest.strip_suffix('.').map(Self),
        }
    }

    /// What a name of the cluster is that is no service. Names below which others are, are there.
    fn rest(&self, snapshot: &Snapshot, wanted: Wanted) -> Found {
        match self.0.rsplit_once('.') {
            None if matches!(self.0, "" | "svc" | "pod") => Found::Nothing,
            None if self.0 == "dns-version" => match wanted {
                Wanted::Text => Found::Records(vec![Data::Text(VERSION)]),
                _ => Found::Nothing,
            },
            Some((namespace, "svc")) if snapshot.has_namespace(namespace) => Found::Nothing,
            Some((pod, "pod")) => of_pod(snapshot, pod, wanted),
            _ => Found::NoSuchName,
        }
    }
}

/// `1-2-3-4.NAMESPACE`: a pod by its address.
fn of_pod(snapshot: &Snapshot, pod: &str, wanted: Wanted) -> Found {
    let Some((host, namespace)) = pod.split_once('.') else {
        return match snapshot.has_namespace(pod) {
            true => Found::Nothing,
            false => Found::NoSuchName,
        };
    };
    let parsed = host.replace('-', ".").parse();
    let address = parsed.or_else(|_| host.replace('-', ":").parse()).ok();
    let pod = address.and_then(|address| snapshot.workload_by_address(address));
    match pod.filter(|pod| *pod.namespace == *namespace) {
        Some(pod) => addresses(vec![pod.address], wanted),
        None => Found::NoSuchName,
    }
}

/// The name of an address: its service's, or that of a pod with a host name.
fn of_address(
    snapshot: &Snapshot,
    asker: Option<&Workload>,
    address: IpAddr,
    wanted: Wanted,
) -> Found {
    let service = snapshot.service_at(address, asker);
    let pod = snapshot.workload_by_address(address);
    let named = match (service, pod) {
        (Some(service), _) => Some(service),
        (None, Some(pod)) => {
            let mut hosts = snapshot.pod_hosts(&pod.namespace);
            let found = hosts.find(|(_, host)| host.address == Some(address));
            found.map(|(_, host)| host)
        }
        (None, None) => return Found::Elsewhere,
    };
    match (named, wanted) {
        (Some(named), Wanted::Name) => {
            Found::Records(vec![Data::Name(named.names.host.to_string())])
        }
        (Some(_), _) => Found::Nothing,
        (None, _) => Found::NoSuchName,
    }
}

#[cfg(test)]
mod tests;
