//! Names of a small cluster, as several askers see them.
#![expect(clippy::unwrap_used, reason = "tests")]

use osier_api::Object;
use osier_snapshot::{Inputs, compile};
use serde_json::{Value, json};

use super::*;

fn object(value: Value) -> Arc<Object> {
    Arc::new(Object::from_value(value).unwrap())
}

fn of(kind: &str, (namespace, name): (&str, &str), spec: Value) -> Arc<Object> {
    let uid = format!("{namespace}-{name}");
    object(
        json!({"kind": kind, "metadata": {"name": name, "namespace": namespace, "uid": uid}, "spec": spec}),
    )
}

fn pod(name: &str, address: &str) -> Arc<Object> {
    let uid = format!("uid-{name}");
    object(
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": uid}, "spec": {},
        "status": {"phase": "Running", "podIP": address}}),
    )
}

/// Endpoints on a port of this name; the pods `NAME`, some with a host name.
fn endpoints(name: &str, pods: &[(&str, &str, Option<&str>)]) -> Arc<Object> {
    let address = |(pod, ip, host): &(&str, &str, Option<&str>)| {
        let mut address =
            json!({"ip": ip, "targetRef": {"kind": "Pod", "name": pod, "namespace": "shop"}});
        if let Some(host) = host {
            address["hostname"] = json!(host);
        }
        address
    };
    let addresses: Vec<Value> = pods.iter().map(address).collect();
    object(
        json!({"kind": "Endpoints", "metadata": {"name": name, "namespace": "shop"},
        "subsets": [{"addresses": addresses, "ports": [{"name": "http", "port": 8080}]}]}),
    )
}

fn entry(name: &str, spec: Value) -> Arc<Object> {
    let ports = json!([{"number": 443, "name": "https", "protocol": "HTTPS"}]);
    let mut spec = spec;
    spec["ports"] = ports;
    of("ServiceEntry", ("shop", name), spec)
}

/// In `shop`: `reviews` (10.96.0.1), the headless `db` of `db-0` (with a host name) and `free` (without), the alias `site`; hosts
/// outside. In `other`: `hidden`, which is exported to nobody else, and the alias `loop`.
fn snapshot(sidecars: &[Arc<Object>]) -> Snapshot {
    let ports = json!([{"name": "http", "port": 80}]);
    let service = |names, address: &str| {
        of(
            "Service",
            names,
            json!({"clusterIP": address, "ports": ports}),
        )
    };
    let alias = |names, host: &str| {
        of(
            "Service",
            names,
            json!({"type": "ExternalName", "externalName": host}),
        )
    };
    let mut hidden = (*service(("other", "hidden"), "10.96.0.9"))
        .clone()
        .into_value();
    hidden["metadata"]["annotations"] = json!({"networking.istio.io/exportTo": "."});
    let services = [
        service(("shop", "reviews"), "10.96.0.1"),
        service(("shop", "six"), "fd00::1"),
        service(("shop", "db"), "None"),
        alias(("shop", "site"), "WWW.example.com."),
        alias(("shop", "near"), "reviews.shop.svc.cluster.local"),
        alias(("other", "loop"), "loop.other.svc.cluster.local"),
        object(hidden),
    ];
    let endpoints = [
        endpoints(
            "db",
            &[
                ("db-0", "10.0.0.5", Some("db-0")),
                ("free", "10.0.0.6", None),
            ],
        ),
        endpoints("reviews", &[("r-1", "10.0.0.7", None)]),
    ];
    let pods = [
        pod("db-0", "10.0.0.5"),
        pod("free", "10.0.0.6"),
        pod("r-1", "10.0.0.7"),
    ];
    let entries = [
        entry(
            "given",
            json!({"hosts": ["api.example.com"], "addresses": ["192.0.2.7", "192.0.2.8", "203.0.113.0/24"], "resolution": "STATIC"}),
        ),
        entry(
            "wild",
            json!({"hosts": ["*.wild.example.com"], "addresses": ["192.0.2.9"], "resolution": "NONE"}),
        ),
        entry(
            "real",
            json!({"hosts": ["real.example.com"], "resolution": "DNS"}),
        ),
        entry(
            "named",
            json!({"hosts": ["named.example.com"], "resolution": "DNS", "endpoints": [{"address": "other.example.net"}]}),
        ),
        entry(
            "fixed",
            json!({"hosts": ["fixed.example.com"], "resolution": "STATIC", "endpoints": [{"address": "192.0.2.20"}, {"address": "192.0.2.21"}]}),
        ),
        entry(
            "asked",
            json!({"hosts": ["*.asked.example.com"], "resolution": "NONE"}),
        ),
    ];
    let inputs = Inputs {
        services: &services,
        endpoints: &endpoints,
        pods: &pods,
        service_entries: &entries,
        sidecars,
        domain: "cluster.local",
        root_namespace: "root",
        ..Inputs::default()
    };
    compile(&inputs, None).0
}

/// What a workload of `shop` is answered.
fn shop(name: &str, wanted: Wanted) -> Found {
    let snapshot = snapshot(&[]);
    let asker = snapshot.workload_by_uid("uid-r-1").cloned();
    answer(&snapshot, asker.as_deref(), (name, wanted))
}

fn nobody(name: &str, wanted: Wanted) -> Found {
    answer(&snapshot(&[]), None, (name, wanted))
}

fn at(addresses: &[&str]) -> Found {
    let addresses = addresses
        .iter()
        .map(|text| Data::Address(text.parse().unwrap()));
    Found::Records(addresses.collect())
}

const ALL: [&str; 4] = [
    "reviews",
    "reviews.shop",
    "reviews.shop.svc",
    "reviews.shop.svc.cluster.local",
];

#[test]
fn services_have_their_address_under_every_form_of_their_name() {
    for name in ALL {
        assert_eq!(shop(name, Wanted::V4), at(&["10.96.0.1"]), "{name}");
        assert_eq!(shop(name, Wanted::V6), Found::Nothing, "{name}");
        assert_eq!(shop(name, Wanted::Other), Found::Nothing, "{name}");
    }
    assert_eq!(
        shop("six.shop.svc.cluster.local", Wanted::V6),
        at(&["fd00::1"])
    );
    assert_eq!(
        shop("six.shop.svc.cluster.local", Wanted::Addresses),
        at(&["fd00::1"])
    );
}

#[test]
fn short_names_are_those_of_the_namespace_that_is_known() {
    assert_eq!(nobody("reviews", Wanted::V4), Found::Elsewhere);
    assert_eq!(nobody("reviews.shop", Wanted::V4), at(&["10.96.0.1"]));
    assert_eq!(shop("hidden", Wanted::V4), Found::Elsewhere);
}

#[test]
fn headless_services_are_their_endpoints() {
    assert_eq!(
        shop("db.shop.svc.cluster.local", Wanted::V4),
        at(&["10.0.0.5", "10.0.0.6"])
    );
    assert_eq!(
        shop("db-0.db.shop.svc.cluster.local", Wanted::V4),
        at(&["10.0.0.5"])
    );
    assert_eq!(
        shop("10-0-0-6.db.shop.svc.cluster.local", Wanted::V4),
        at(&["10.0.0.6"])
    );
    assert_eq!(
        shop("10-0-0-9.db.shop.svc.cluster.local", Wanted::V4),
        Found::NoSuchName
    );
    assert_eq!(
        shop("10-0-0-7.reviews.shop.svc.cluster.local", Wanted::V4),
        Found::NoSuchName
    );
}

#[test]
fn named_ports_are_found() {
    let ports = |name: &str| shop(&format!("{name}.shop.svc.cluster.local"), Wanted::Port);
    let full = "reviews.shop.svc.cluster.local".to_owned();
    assert_eq!(
        ports("_http._tcp.reviews"),
        Found::Records(vec![Data::Port(80, full)])
    );
    let (first, second) = (
        "db-0.db.shop.svc.cluster.local".to_owned(),
        "10-0-0-6.db.shop.svc.cluster.local".to_owned(),
    );
    assert_eq!(
        ports("_http._tcp.db"),
        Found::Records(vec![Data::Port(8080, first), Data::Port(8080, second)])
    );
    assert_eq!(ports("_tcp.reviews"), Found::Nothing);
    for none in [
        "_other._tcp.reviews",
        "_http._udp.reviews",
        "_http._tcp.none",
        "_udp.reviews",
    ] {
        assert_eq!(ports(none), Found::NoSuchName, "{none}");
    }
}

#[test]
fn names_of_the_cluster_are_nobody_elses() {
    let cluster = |name: &str| shop(&format!("{name}cluster.local"), Wanted::V4);
    for there in ["", "svc.", "pod.", "shop.svc.", "shop.pod."] {
        assert_eq!(cluster(there), Found::Nothing, "{there}");
    }
    for none in [
        "none.shop.svc.",
        "shop.",
        "none.svc.",
        "none.pod.",
        "www.example.com.shop.svc.",
    ] {
        assert_eq!(cluster(none), Found::NoSuchName, "{none}");
    }
    assert_eq!(shop("www.example.com", Wanted::V4), Found::Elsewhere);
    assert_eq!(shop("notcluster.local", Wanted::V4), Found::Elsewhere);
    let version = shop("dns-version.cluster.local", Wanted::Text);
    assert_eq!(version, Found::Records(vec![Data::Text("1.1.0")]));
    assert_eq!(cluster("10-0-0-7.shop.pod."), at(&["10.0.0.7"]));
    assert_eq!(cluster("10-0-0-7.other.pod."), Found::NoSuchName);
}

#[test]
fn addresses_have_names() {
    let named = |name: &str| Found::Records(vec![Data::Name(name.to_owned())]);
    let of = |address: &str| shop(&format!("{address}.in-addr.arpa"), Wanted::Name);
    assert_eq!(of("1.0.96.10"), named("reviews.shop.svc.cluster.local"));
    assert_eq!(of("5.0.0.10"), named("db-0.db.shop.svc.cluster.local"));
    assert_eq!(of("7.0.0.10"), Found::NoSuchName, "a pod without a name");
    assert_eq!(of("1.1.1.1"), Found::Elsewhere);
    assert_eq!(
        of("9.0.96.10"),
        Found::Elsewhere,
        "a service of another namespace alone"
    );
    assert_eq!(shop("1.0.96.10.in-addr.arpa", Wanted::V4), Found::Nothing);
}

#[test]
fn aliases_are_told() {
    let alias = |host: &str| Found::Alias(host.to_owned());
    assert_eq!(shop("site", Wanted::V4), alias("www.example.com"));
    assert_eq!(
        nobody("site.shop.svc.cluster.local", Wanted::Other),
        alias("www.example.com")
    );
    assert_eq!(
        nobody("near.shop", Wanted::V4),
        alias("reviews.shop.svc.cluster.local")
    );
}

#[test]
fn hosts_outside_have_the_addresses_that_they_are_given() {
    assert_eq!(
        nobody("api.example.com", Wanted::V4),
        at(&["192.0.2.7", "192.0.2.8"])
    );
    assert_eq!(nobody("api.example.com", Wanted::V6), Found::Nothing);
    assert_eq!(
        nobody("a.b.wild.example.com", Wanted::V4),
        at(&["192.0.2.9"])
    );
    assert_eq!(nobody("wild.example.com", Wanted::V4), Found::Elsewhere);
    assert_eq!(
        nobody("fixed.example.com", Wanted::V4),
        at(&["192.0.2.20", "192.0.2.21"])
    );
    let other = Found::Alias("other.example.net".to_owned());
    assert_eq!(nobody("named.example.com", Wanted::V4), other);
    for resolved in ["real.example.com", "x.asked.example.com"] {
        assert_eq!(nobody(resolved, Wanted::V4), Found::Elsewhere, "{resolved}");
    }
}

#[test]
fn exports_and_scopes_hold_for_names_too() {
    let hidden = "hidden.other.svc.cluster.local";
    assert_eq!(shop(hidden, Wanted::V4), Found::NoSuchName);
    assert_eq!(nobody(hidden, Wanted::V4), Found::NoSuchName);
    let scope = |host: &str| {
        let egress = json!({"egress": [{"port": {"number": 80}, "hosts": [host]}]});
        [of("Sidecar", ("shop", "default"), egress)]
    };
    let asked = |sidecars: &[Arc<Object>], name: &str| {
        let snapshot = snapshot(sidecars);
        let asker = snapshot.workload_by_uid("uid-r-1").cloned();
        answer(&snapshot, asker.as_deref(), (name, Wanted::V4))
    };
    let own = scope("./db.shop.svc.cluster.local");
    assert_eq!(asked(&own, "db.shop"), at(&["10.0.0.5", "10.0.0.6"]));
    assert_eq!(asked(&own, ALL[3]), Found::NoSuchName);
    assert_eq!(asked(&own, "reviews"), Found::Elsewhere);
    assert_eq!(asked(&own, "api.example.com"), Found::Elsewhere);
    assert_eq!(
        asked(&own, "site.shop.svc.cluster.local"),
        Found::NoSuchName
    );
    let root = [of(
        "Sidecar",
        ("root", "default"),
        json!({"egress": [{"hosts": ["~/*"]}]}),
    )];
    let unknown = answer(&snapshot(&root), None, (ALL[3], Wanted::V4));
    assert_eq!(
        unknown,
        Found::NoSuchName,
        "the mesh's scope is also that of who is not known"
    );
}
