//! Names, addresses, endpoints, subsets.

use std::sync::Arc;

use super::*;
use crate::{LoadBalancer, Miss};

fn world() -> World {
    let mut world = World::default();
    world
        .service("reviews", "default", &["v1", "v2"])
        .service("reviews", "other", &["v1"]);
    world
}

#[test]
fn every_spelling_of_a_name_finds_the_service() {
    let snapshot = world().snapshot();
    let from = caller("default");
    let address = snapshot.resolve("reviews", "default").unwrap();
    let in_default = Some("outbound|80||reviews.default.svc.cluster.local".to_owned());
    for host in [
        "reviews",
        "reviews:80",
        "Reviews.Default",
        "reviews.default.svc",
        "reviews.default.svc.cluster.local",
        "reviews.default.svc.cluster.local.:80",
        &address.to_string(),
    ] {
        assert_eq!(
            way(
                &snapshot,
                &Origin::Workload(&from),
                &get(&format!("http://{host}/"), &[])
            ),
            in_default,
            "{host}"
        );
    }
    let head = get("/", &[("host", "reviews:80")]);
    assert_eq!(
        way(&snapshot, &Origin::Workload(&from), &head),
        in_default,
        "Host header instead of an absolute URI"
    );
}

#[test]
fn a_short_name_belongs_to_the_callers_namespace() {
    let snapshot = world().snapshot();
    let from = caller("other");
    let found = way(
        &snapshot,
        &Origin::Workload(&from),
        &get("http://reviews/", &[]),
    );
    assert_eq!(
        found.unwrap(),
        "outbound|80||reviews.other.svc.cluster.local"
    );
    let nowhere = caller("empty");
    assert_eq!(
        way(
            &snapshot,
            &Origin::Workload(&nowhere),
            &get("http://reviews/", &[])
        ),
        None
    );
    assert_ne!(
        snapshot.resolve("reviews", "default"),
        snapshot.resolve("reviews", "other")
    );
}

#[test]
fn misses_say_what_to_do() {
    let snapshot = world().snapshot();
    let from = caller("default");
    let miss = |uri: &str| snapshot.miss(&Origin::Workload(&from), &get(uri, &[]));
    assert_eq!(
        miss("http://www.example.com/"),
        Miss::Outside("www.example.com".into())
    );
    assert!(
        miss("http://www.example.com/")
            .to_string()
            .contains("ServiceEntry")
    );
    assert!(matches!(
        miss("http://reviews:9080/"),
        Miss::NoPort(_, 9080)
    ));
    assert!(
        miss("http://reviews:9080/")
            .to_string()
            .contains("service reviews.default has no port 9080")
    );
    assert_eq!(
        snapshot.miss(&OUTSIDE, &get("http://x/", &[])),
        Miss::NoRoutes
    );
    assert_eq!(snapshot.miss(&OUTSIDE, &get("/", &[])), Miss::NoHost);
}

#[test]
fn endpoints_are_the_ready_addresses_with_their_pods() {
    let snapshot = world().snapshot();
    let service = snapshot.service("reviews", Some("default")).unwrap();
    let endpoints = &service.port(80).unwrap().cluster.endpoints;
    let found: Vec<_> = endpoints
        .iter()
        .map(|e| (&*e.workload.name, &*e.workload.workload, e.port))
        .collect();
    assert_eq!(
        found,
        [
            ("reviews-v1-x", "reviews-v1", 8080),
            ("reviews-v2-x", "reviews-v2", 8080)
        ]
    );
    let workload = &endpoints[0].workload;
    assert_eq!(
        &*workload.principal,
        "spiffe://cluster.local/ns/default/sa/reviews"
    );
    assert_eq!(
        (&*workload.app, &*workload.version, &*workload.node),
        ("reviews", "v1", "here")
    );
    assert!(Arc::ptr_eq(
        snapshot.workload_by_uid("default-reviews-v1-x").unwrap(),
        workload
    ));
    assert!(Arc::ptr_eq(
        snapshot.workload_by_address(workload.address).unwrap(),
        workload
    ));
}

#[test]
fn subsets_select_by_label_and_choose_their_balancer() {
    let mut world = world();
    world.destination_rule(
        "reviews",
        json!({"host": "reviews", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}, "subsets": [
            {"name": "v2", "labels": {"version": "v2"}, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
            {"name": "none", "labels": {"version": "v9"}},
        ]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let port = snapshot
        .service("reviews", Some("default"))
        .unwrap()
        .port(80)
        .unwrap();
    assert_eq!(port.cluster.balancing.balancer, LoadBalancer::Random);
    let v2 = &port.subsets["v2"];
    assert_eq!(
        (v2.endpoints.len(), v2.balancing.balancer),
        (1, LoadBalancer::RoundRobin)
    );
    assert_eq!(&*v2.endpoints[0].workload.version, "v2");
    assert!(
        Arc::ptr_eq(&v2.endpoints[0], &port.cluster.endpoints[1]),
        "one endpoint has one load counter"
    );
    assert_eq!(port.subsets["none"].endpoints.len(), 0);
    assert_eq!(
        port.subsets["none"].balancing.balancer,
        LoadBalancer::Random
    );
    let other = snapshot
        .service("reviews", Some("other"))
        .unwrap()
        .port(80)
        .unwrap();
    assert_eq!(
        other.cluster.balancing.balancer,
        LoadBalancer::LeastRequest,
        "a rule speaks of one service"
    );
}

#[test]
fn a_pod_behind_a_headless_service_has_a_name_of_its_own() {
    let mut world = World::default();
    world.service("web", "default", &["v1", "v2"]);
    let mut headless = (*world.services[0]).clone();
    headless.set(&["spec", "clusterIP"], "None".into());
    world.services[0] = Arc::new(headless);
    let mut endpoints = (*world.endpoints[0]).clone();
    let mut subsets = endpoints.get(&["subsets"]).unwrap().clone();
    for (index, host) in ["web-0", "web-1"].into_iter().enumerate() {
        subsets[0]["addresses"][index]["hostname"] = host.into();
    }
    endpoints.set(&["subsets"], subsets);
    world.endpoints[0] = Arc::new(endpoints);
    world.destination_rule(
        "web",
        json!({"host": "web", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}),
    );
    let snapshot = world.snapshot();
    let from = caller("default");
    for host in [
        "web-1.web",
        "web-1.web.default",
        "web-1.web.default.svc",
        "web-1.web.default.svc.cluster.local",
    ] {
        let head = get(&format!("http://{host}/"), &[]);
        let found = way(&snapshot, &Origin::Workload(&from), &head);
        let cluster = "outbound|80||web-1.web.default.svc.cluster.local";
        assert_eq!(found.as_deref(), Some(cluster), "{host}");
        let service = snapshot.service(host, Some("default")).unwrap();
        let cluster = &service.port(80).unwrap().cluster;
        assert_eq!(&*cluster.endpoints[0].workload.name, "web-v2-x");
        assert_eq!(
            (cluster.endpoints.len(), &*cluster.service.name),
            (1, "web")
        );
        assert_eq!(
            cluster.balancing.balancer,
            LoadBalancer::Random,
            "the rule of the service holds"
        );
        assert_eq!(
            snapshot.resolve(host, "default"),
            Some(cluster.endpoints[0].workload.address)
        );
    }
    let whole = snapshot.service("web", Some("default")).unwrap();
    assert_eq!(
        (whole.ports[0].cluster.endpoints.len(), whole.address),
        (2, None)
    );
    assert!(snapshot.service("web-2.web", Some("default")).is_none());
    assert!(snapshot.service("web-1.web", Some("other")).is_none());
    let (again, _) = world.compile(Some(&snapshot));
    let [before, after] =
        [&snapshot, &again].map(|one| one.service("web-0.web", Some("default")).unwrap());
    assert!(Arc::ptr_eq(before, after), "what did not change is shared");
}
