//! Workloads beside a companion, and where whole connections of workloads go.

use super::*;
use crate::{Place, StreamRoute};

const ADDRESS: &str = "192.0.2.1:15008";

/// The WorkloadEntry `vm` of `shop` with what its companion says, and the service that selects it.
fn world(told: Option<&str>) -> World {
    let mut world = World::default();
    world.service_entry("vm", "shop", json!({"hosts": ["vm.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}, {"number": 9000, "name": "tcp", "protocol": "TCP"}],
        "workloadSelector": {"labels": {"app": "vm"}}}));
    let mut meta = metadata("vm", "shop");
    if let Some(told) = told {
        meta["annotations"] = json!({"osier.dev/mesh-address": told});
    }
    let spec = json!({"address": "192.0.2.9", "labels": {"app": "vm"}, "serviceAccount": "legacy", "ports": {"http": 8080}});
    let entry = json!({"kind": "WorkloadEntry", "metadata": meta, "spec": spec});
    world.workload_entries.push(object(entry));
    world
}

#[test]
fn a_workload_is_called_by_its_companion_once_it_has_one() {
    let served = |world: &World| {
        let snapshot = world.snapshot();
        let service = snapshot.service("vm.internal", Some("default")).unwrap();
        let endpoints = &service.port(80).unwrap().cluster.endpoints;
        endpoints.first().cloned()
    };
    let plain = served(&world(None)).unwrap();
    assert_eq!(plain.place, Place::Address("192.0.2.9".parse().unwrap()));
    assert!(plain.workload.principal.is_empty());
    let beside = served(&world(Some(ADDRESS))).unwrap();
    assert_eq!((&beside.place, beside.port), (&Place::Pod, 8080));
    let workload = &beside.workload;
    assert_eq!(
        &*workload.principal,
        "spiffe://cluster.local/ns/shop/sa/legacy"
    );
    assert_eq!(
        (&*workload.node, &*workload.uid),
        ("vm.shop.workload", "shop-vm")
    );
    assert!(served(&world(Some(""))).is_none(), "its companion is away");
}

#[test]
fn a_companion_is_known_as_nodes_are_and_its_workload_as_pods_are() {
    let snapshot = world(Some(ADDRESS)).snapshot();
    let told = snapshot.mesh_address("vm.shop.workload");
    assert_eq!(told, Some(ADDRESS.parse().unwrap()));
    assert_eq!(&*snapshot.workload_by_uid("shop-vm").unwrap().name, "vm");
    let away = world(Some("")).snapshot();
    assert_eq!(away.mesh_address("vm.shop.workload"), None);
    assert!(away.workload_by_uid("shop-vm").is_none());
}

/// The rule for a connection, and the cluster of its first destination.
fn stream(
    snapshot: &Snapshot,
    source: &Workload,
    to: &str,
    name: Option<&str>,
) -> Option<(String, String)> {
    let uri = format!("tcp://{to}/");
    let route: StreamRoute = snapshot.stream(source, &get(&uri, &[]), name)?;
    let port = to.rsplit_once(':').unwrap().1.parse().unwrap();
    let destination = &route.forward.destinations.first()?.destination;
    let cluster = snapshot.cluster(destination, port, &crate::Caller::of(&source.namespace));
    let cluster = cluster.map_or_else(
        |missing| missing.to_string(),
        |cluster| cluster.name.to_string(),
    );
    Some((route.name.to_string(), cluster))
}

#[test]
fn connections_of_workloads_follow_rules_and_else_go_where_they_say() {
    let mut world = world(Some(ADDRESS));
    world.service("db", "default", &["v1"]);
    world.virtual_service("db", json!({"hosts": ["db"], "tcp": [
        {"match": [{"port": 80, "sourceLabels": {"app": "caller"}}], "route": [{"destination": {"host": "vm.internal", "port": {"number": 9000}}}]}]}));
    world.virtual_service("tls", json!({"hosts": ["*.example.com"], "tls": [
        {"match": [{"port": 443, "sniHosts": ["a.example.com"]}], "route": [{"destination": {"host": "vm.internal", "port": {"number": 9000}}}]}]}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let caller = caller("default");
    let own = |to: &str| stream(&snapshot, &caller, to, None);
    let vm = "outbound|9000||vm.internal".to_owned();
    assert_eq!(
        own("vm.internal:9000"),
        Some(("default".to_owned(), vm.clone()))
    );
    assert_eq!(
        own("db.default:80"),
        Some(("default/db/tcp[0]".to_owned(), vm.clone()))
    );
    assert_eq!(own("db.default:81"), None, "there is no such port");
    assert_eq!(own("nowhere.example.org:80"), None);
    let mut other = caller.clone();
    other.labels.clear();
    let direct = Some((
        "default".to_owned(),
        "outbound|80||db.default.svc.cluster.local".to_owned(),
    ));
    assert_eq!(stream(&snapshot, &other, "db.default:80", None), direct);
    let tls = |name| stream(&snapshot, &caller, "a.example.com:443", name);
    assert_eq!(
        tls(Some("a.example.com")),
        Some(("default/tls/tls[0]".to_owned(), vm))
    );
    assert_eq!((tls(Some("b.example.com")), tls(None)), (None, None));
}
