//! What a name stands for to a pod: as DNS would answer it in a cluster, from the snapshot of the moment.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use osier_snapshot::{Service, Snapshot, Workload};
use osier_sockets::{Fault, Found, Kind};

/// Addresses that one name is answered with.
const MOST: usize = 32;

/// Looks a name up for a workload: its own, a service's, a pod's (`10-244-0-5.default.pod…`), or that of a host that is granted to it.
///
/// # Errors
/// It is no name of the mesh for this workload.
pub fn lookup(snapshot: &Snapshot, workload: &Workload, name: &str) -> Result<Found, Fault> {
    if *name == *workload.name {
        return Ok(Found::Addresses(vec![workload.address]));
    }
    let service = snapshot.service(name, Some(&workload.namespace));
    let found = match service {
        Some(service) => of_service(service),
        None => of_pod(snapshot, name).map(|address| Found::Addresses(vec![address])),
    };
    found.ok_or_else(|| {
        let reason = format!(
            "{name:?} is no name of the mesh: call a service by its name (`name` or `name.namespace`), or grant the host by a ServiceEntry"
        );
        Fault::new(Kind::Unknown, reason)
    })
}

fn of_service(service: &Service) -> Option<Found> {
    if let Some(address) = service.address {
        return Some(Found::Addresses(vec![address]));
    }
    if service.outside {
        return Some(Found::ByName);
    }
    // Headless: those who stand behind it.
    let clusters = service.ports.iter().map(|port| &port.cluster);
    let endpoints = clusters.flat_map(|cluster| &cluster.endpoints);
    let all: BTreeSet<IpAddr> = endpoints
        .map(|endpoint| endpoint.workload.address)
        .collect();
    let all: Vec<_> = all.into_iter().take(MOST).collect();
    (!all.is_empty()).then_some(Found::Addresses(all))
}

/// A pod by its address with dashes, which says its namespace too.
fn of_pod(snapshot: &Snapshot, name: &str) -> Option<IpAddr> {
    let mut labels = name.split('.');
    let address = labels.next()?.replace('-', ".").parse::<Ipv4Addr>().ok()?;
    let (namespace, kind) = (labels.next()?, labels.next()?);
    let pod = snapshot.workload_by_address(address.into())?;
    (kind == "pod" && *pod.namespace == *namespace).then_some(pod.address)
}
