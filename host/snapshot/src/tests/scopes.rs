//! Sidecars: which hosts a pod calls, on which ports, and what is said of the rest.

use super::*;
use crate::{FindingKind, Miss};

fn sidecar(world: &mut World, (namespace, name): (&str, &str), spec: Value) {
    let mut meta = metadata(name, namespace);
    let second = world.sidecars.len();
    meta["creationTimestamp"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
    let value = json!({"kind": "Sidecar", "metadata": meta, "spec": spec});
    world.sidecars.push(object(value));
}

fn hosts(hosts: &[&str]) -> Value {
    json!({"egress": [{"hosts": hosts}]})
}

/// Services `a.own`, `b.own` and `c.other`, and a pod of `own` that is labelled `app: a`.
fn world() -> World {
    let mut world = World::default();
    world
        .service("a", "own", &["v1"])
        .service("b", "own", &["v1"])
        .service("c", "other", &["v1"]);
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let spec = json!({"hosts": ["*.example.com"], "ports": ports});
    world.service_entry("outside", "other", spec);
    world
}

const ALL: [&str; 4] = [
    "http://a.own/",
    "http://b.own/",
    "http://c.other/",
    "http://api.example.com/",
];

/// Which of the services that a pod can reach.
fn reached(snapshot: &Snapshot, pod: &Workload) -> [bool; 4] {
    let from = Origin::Workload(pod);
    ALL.map(|uri| snapshot.route(&from, &get(uri, &[])).is_some())
}

fn pod(world: &World, app: &str, namespace: &str) -> Arc<Workload> {
    let snapshot = world.snapshot();
    let uid = format!("{namespace}-{app}-v1-x");
    Arc::clone(snapshot.workload_by_uid(&uid).unwrap())
}

#[test]
fn hosts_are_named_by_namespace_and_name() {
    let cases: [(&[&str], [bool; 4]); 9] = [
        (&["*/*"], [true, true, true, true]),
        (&["./*"], [true, true, false, false]),
        (&["~/*"], [false, false, false, false]),
        (&["other/*"], [false, false, true, true]),
        (&["./a.own.svc.cluster.local"], [true, false, false, false]),
        (&["./b"], [false, true, false, false]),
        (&["*/*.svc.cluster.local"], [true, true, true, false]),
        (&["*/api.example.com"], [false, false, false, true]),
        (
            &["own/*.own.svc.cluster.local", "other/*.example.com"],
            [true, true, false, true],
        ),
    ];
    for (named, wanted) in cases {
        let mut world = world();
        sidecar(&mut world, ("own", "default"), hosts(named));
        let (snapshot, findings) = world.compile(None);
        assert_eq!(findings, [], "{named:?}");
        assert_eq!(
            reached(&snapshot, &pod(&world, "a", "own")),
            wanted,
            "{named:?}"
        );
        assert_eq!(
            reached(&snapshot, &caller("third")),
            [true; 4],
            "it is for its own namespace"
        );
    }
}

#[test]
fn a_pods_own_sidecar_comes_first_then_its_namespaces_then_the_roots() {
    let mut world = world();
    sidecar(&mut world, ("root", "mesh"), hosts(&["~/*"]));
    let snapshot = world.snapshot();
    assert_eq!(reached(&snapshot, &caller("third")), [false; 4]);
    sidecar(&mut world, ("own", "all"), hosts(&["./*"]));
    let mut selected = hosts(&["other/c"]);
    selected["workloadSelector"] = json!({"labels": {"app": "a"}});
    sidecar(&mut world, ("own", "a"), selected);
    let (snapshot, findings) = world.compile(Some(&snapshot));
    assert_eq!(findings, []);
    let of = |app, namespace| reached(&snapshot, &pod(&world, app, namespace));
    assert_eq!(of("a", "own"), [false, false, true, false]);
    assert_eq!(of("b", "own"), [true, true, false, false]);
    assert_eq!(of("c", "other"), [false; 4]);
    // One that selects is for its namespace only, in the root namespace too.
    world.sidecars.truncate(1);
    let mut root = (*world.sidecars[0]).clone().into_value();
    root["spec"]["workloadSelector"] = json!({"labels": {"app": "a"}});
    world.sidecars[0] = object(root);
    let snapshot = world.snapshot();
    assert_eq!(reached(&snapshot, &pod(&world, "a", "own")), [true; 4]);
}

#[test]
fn a_port_may_have_hosts_of_its_own() {
    let mut world = world();
    let egress = json!([{"port": {"number": 80, "protocol": "HTTP", "name": "http"}, "hosts": ["./a"]}, {"hosts": ["*/*"]}]);
    sidecar(&mut world, ("own", "ports"), json!({"egress": egress}));
    let only = json!([{"port": {"number": 8080}, "hosts": ["*/*"]}]);
    sidecar(&mut world, ("other", "ports"), json!({"egress": only}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let reached = |app, namespace| reached(&snapshot, &pod(&world, app, namespace));
    assert_eq!(reached("a", "own"), [true, false, false, false]);
    assert_eq!(reached("c", "other"), [false; 4]);
    // On another port the rest is in scope: then the service says that it has no such port.
    let pod = pod(&world, "a", "own");
    let head = get("http://b.own:81/", &[]);
    let miss = snapshot.miss(&Origin::Workload(&pod), &head);
    assert!(matches!(miss, Miss::NoPort(..)), "{miss}");
}

#[test]
fn what_is_out_of_scope_is_refused_with_the_sidecars_name() {
    let mut world = world();
    sidecar(&mut world, ("own", "tight"), hosts(&["./a"]));
    let snapshot = world.snapshot();
    let pod = pod(&world, "a", "own");
    let miss = |uri| snapshot.miss(&Origin::Workload(&pod), &get(uri, &[]));
    let said = miss("http://c.other/").to_string();
    assert!(said.contains("Sidecar own/tight"), "{said}");
    assert!(matches!(miss("http://www.org/"), Miss::Outside(_)));
    assert!(matches!(
        miss("http://a.own:81/"),
        Miss::OutOfScope(..) | Miss::NoPort(..)
    ));
}

#[test]
fn routes_are_there_if_their_namespace_and_host_are_in_scope() {
    let mut world = world();
    for (namespace, status) in [("other", 201), ("own", 202)] {
        let mut meta = metadata("r", namespace);
        meta["creationTimestamp"] = json!(format!("2026-01-01T00:00:{:02}Z", status - 200));
        let http = json!([{"directResponse": {"status": status}}]);
        let spec = json!({"hosts": ["c.other.svc.cluster.local"], "http": http});
        let value = json!({"kind": "VirtualService", "metadata": meta, "spec": spec});
        world.virtual_services.push(object(value));
    }
    let said = |world: &World| {
        let (snapshot, _) = world.compile(None);
        let pod = pod(world, "a", "own");
        let head = get("http://c.other/", &[]);
        way(&snapshot, &Origin::Workload(&pod), &head)
    };
    assert_eq!(said(&world).unwrap(), "direct 201", "the older one");
    // A route of its own namespace leads a pod also where it could not go by itself.
    sidecar(&mut world, ("own", "s"), hosts(&["./*"]));
    assert_eq!(said(&world).unwrap(), "direct 202");
    world.sidecars.clear();
    sidecar(
        &mut world,
        ("own", "s"),
        hosts(&["./*.own.svc.cluster.local"]),
    );
    assert_eq!(said(&world), None);
    world.sidecars.clear();
    sidecar(&mut world, ("own", "s"), hosts(&["other/*"]));
    assert_eq!(said(&world).unwrap(), "direct 201");
}

#[test]
fn what_is_not_applied_is_said_and_the_older_of_two_decides() {
    let mut world = world();
    sidecar(
        &mut world,
        ("own", "first"),
        json!({"egress": [{"hosts": ["./*", "nowhere"], "bind": "127.0.0.1", "captureMode": "DEFAULT"}],
            "ingress": [{"port": {"number": 80}}], "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}),
    );
    sidecar(&mut world, ("own", "second"), hosts(&["*/*"]));
    for name in ["a-1", "a-2"] {
        let mut spec = hosts(&["./*"]);
        spec["workloadSelector"] = json!({"labels": {"app": "a"}});
        spec["outboundTrafficPolicy"] = json!({"mode": "REGISTRY_ONLY"});
        sidecar(&mut world, ("own", name), spec);
    }
    let (_, findings) = world.compile(None);
    let said: Vec<_> = findings
        .iter()
        .map(|one| (one.name.as_str(), one.kind, one.field.as_str()))
        .collect();
    let not_applied = FindingKind::NotApplied;
    assert_eq!(
        said,
        [
            ("a-2", FindingKind::Conflict, "spec.workloadSelector"),
            ("first", not_applied, "spec.egress[0].bind"),
            ("first", FindingKind::Invalid, "spec.egress[0].hosts[1]"),
            ("first", not_applied, "spec.ingress"),
            ("first", not_applied, "spec.outboundTrafficPolicy.mode"),
            ("second", FindingKind::Conflict, "spec.workloadSelector"),
        ]
    );
    assert!(findings[4].detail.contains("stay refused"));
}

#[test]
fn one_that_says_nothing_of_egress_bounds_nothing() {
    let mut world = world();
    let spec = json!({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}});
    sidecar(&mut world, ("own", "s"), spec);
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    assert_eq!(reached(&snapshot, &pod(&world, "a", "own")), [true; 4]);
}
