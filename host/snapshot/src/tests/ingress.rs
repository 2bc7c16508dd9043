//! Ingress: whose it is, and which path takes a request.

use super::*;
use crate::{FindingKind, Listener};

fn world(class: Value) -> World {
    let mut world = World::default();
    for name in ["a", "b", "c"] {
        world.service(name, "default", &["v1"]);
    }
    world.ingress_classes.push(object(class));
    world
}

fn ours(default: bool) -> Value {
    json!({"metadata": {"name": "osier", "annotations": {"ingressclass.kubernetes.io/is-default-class": default.to_string()}},
        "spec": {"controller": crate::INGRESS_CONTROLLER}})
}

impl World {
    fn ingress(&mut self, name: &str, spec: Value) -> &mut Self {
        let mut meta = metadata(name, "default");
        let age = self.ingresses.len();
        meta["creationTimestamp"] = json!(format!("2026-01-01T00:00:{age:02}Z"));
        self.ingresses
            .push(object(json!({"metadata": meta, "spec": spec})));
        self
    }
}

fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}

fn path(kind: &str, path: &str, service: &str) -> Value {
    json!({"pathType": kind, "path": path, "backend": backend(service)})
}

fn rule(host: Option<&str>, paths: Value) -> Value {
    let mut rule = json!({"http": {"paths": paths}});
    if let Some(host) = host {
        rule["host"] = json!(host);
    }
    rule
}

fn reaches(snapshot: &Snapshot, uri: &str) -> Option<String> {
    let way = way(snapshot, &OUTSIDE, &get(uri, &[]))?;
    let host = way.rsplit('|').next().unwrap_or_default();
    Some(host.split('.').next().unwrap_or_default().to_owned())
}

/// The table of <https://kubernetes.io/docs/concepts/services-networking/ingress/#examples>.
#[test]
fn paths_match_as_the_documentation_says() {
    for (kind, paths, request, expected) in [
        ("Prefix", &["/"][..], "/any", Some("a")),
        ("Exact", &["/foo"], "/foo", Some("a")),
        ("Exact", &["/foo"], "/bar", None),
        ("Exact", &["/foo"], "/foo/", None),
        ("Exact", &["/foo/"], "/foo", None),
        ("Prefix", &["/foo"], "/foo", Some("a")),
        ("Prefix", &["/foo"], "/foo/", Some("a")),
        ("Prefix", &["/foo/"], "/foo", Some("a")),
        ("Prefix", &["/foo/"], "/foo/", Some("a")),
        ("Prefix", &["/aaa/bb"], "/aaa/bbb", None),
        ("Prefix", &["/aaa/bbb"], "/aaa/bbb", Some("a")),
        ("Prefix", &["/aaa/bbb/"], "/aaa/bbb", Some("a")),
        ("Prefix", &["/aaa/bbb"], "/aaa/bbb/", Some("a")),
        ("Prefix", &["/aaa/bbb"], "/aaa/bbb/ccc", Some("a")),
        ("Prefix", &["/aaa/bbb"], "/aaa/bbbxyz", None),
        ("Prefix", &["/", "/aaa"], "/aaa/ccc", Some("b")),
        ("Prefix", &["/", "/aaa", "/aaa/bbb"], "/aaa/bbb", Some("c")),
        ("Prefix", &["/", "/aaa", "/aaa/bbb"], "/ccc", Some("a")),
        ("ImplementationSpecific", &["/foo"], "/foo/x", Some("a")),
    ] {
        let mut world = world(ours(true));
        let services = ["a", "b", "c"].into_iter();
        let listed: Vec<Value> = paths
            .iter()
            .zip(services)
            .map(|(text, to)| path(kind, text, to))
            .collect();
        world.ingress("i", json!({"rules": [rule(None, json!(listed))]}));
        let found = reaches(&world.snapshot(), &format!("http://x{request}"));
        assert_eq!(found.as_deref(), expected, "{kind} {paths:?} {request}");
    }
}

#[test]
fn a_whole_path_goes_before_a_prefix_and_the_default_backend_last() {
    let mut world = world(ours(true));
    world.ingress(
        "i",
        json!({"defaultBackend": backend("c"), "rules": [
        rule(Some("x.com"), json!([path("Prefix", "/foo", "a"), path("Exact", "/foo", "b")])),
        rule(Some("*.foo.com"), json!([path("Prefix", "/", "a")]))]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    for (uri, service) in [
        ("http://x.com/foo", "b"),
        ("http://x.com/foo/bar", "a"),
        ("http://x.com/else", "c"),
        ("http://y.com/", "c"),
        ("http://bar.foo.com/", "a"),
        // The star stands for one label.
        ("http://baz.bar.foo.com/", "c"),
    ] {
        assert_eq!(reaches(&snapshot, uri).as_deref(), Some(service), "{uri}");
    }
}

#[test]
fn only_ingresses_of_a_class_of_ours_are_served() {
    let spec = |class: Value| json!({"ingressClassName": class, "defaultBackend": backend("a")});
    let annotated = |class: &str| {
        json!({"metadata": {"name": "i", "namespace": "default", "annotations": {"kubernetes.io/ingress.class": class}},
            "spec": spec(Value::Null)})
    };
    let named = |class: Value| json!({"metadata": {"name": "i", "namespace": "default"}, "spec": spec(class)});
    for (class, ingress, served) in [
        (ours(false), named(json!("osier")), true),
        (ours(false), named(json!("nginx")), false),
        (ours(false), named(Value::Null), false),
        (ours(true), named(Value::Null), true),
        (ours(false), annotated("osier"), true),
        (ours(true), annotated("nginx"), false),
    ] {
        let mut world = world(class);
        world.ingresses.push(object(ingress.clone()));
        let snapshot = world.snapshot();
        assert_eq!(
            reaches(&snapshot, "http://x/").is_some(),
            served,
            "{ingress}"
        );
        assert_eq!(snapshot.standings().ingresses.len(), usize::from(served));
    }
}

#[test]
fn certificates_open_the_tls_port_for_their_hosts() {
    let mut world = world(ours(true));
    let meta = json!({"name": "cert", "namespace": "default"});
    world.secrets.push(object(json!({"kind": "Secret", "metadata": meta, "data": {"tls.crt": "Y2VydA==", "tls.key": "Y2VydA=="}})));
    let spec = |to: &str, path_: &str| json!({"tls": [{"hosts": ["x.com"], "secretName": "cert"}], "rules": [rule(Some("x.com"), json!([path("Prefix", path_, to)]))]});
    // Two ingresses share a host and its certificate.
    world
        .ingress("one", spec("a", "/a"))
        .ingress("two", spec("b", "/b"));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let servers = |listener: &std::sync::Arc<Listener>| listener.servers.len();
    assert_eq!(
        snapshot.listeners().iter().map(servers).collect::<Vec<_>>(),
        [1, 1]
    );
    let secure = Origin::Gateway {
        listener: ListenerKey::Port(443),
        server_name: Some("x.com"),
    };
    for (path, service) in [("/a", "a"), ("/b", "b")] {
        let found = way(
            &snapshot,
            &secure,
            &get(&format!("https://x.com{path}"), &[]),
        )
        .unwrap();
        assert!(found.contains(&format!("|{service}.")), "{found}");
        assert_eq!(
            reaches(&snapshot, &format!("http://x.com{path}")).as_deref(),
            Some(service)
        );
    }
}

#[test]
fn backends_by_name_of_the_port_and_bad_ones() {
    let mut world = world(ours(true));
    let by_name = |name: &str| json!({"service": {"name": "a", "port": {"name": name}}});
    world.ingress("i", json!({"rules": [rule(None, json!([
        {"pathType": "Prefix", "path": "/good", "backend": by_name("http")},
        {"pathType": "Prefix", "path": "/bad", "backend": by_name("nothing")},
        {"pathType": "Prefix", "path": "/kind", "backend": {"resource": {"kind": "Bucket", "name": "x"}}}]))]}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(reaches(&snapshot, "http://x/good").as_deref(), Some("a"));
    let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(
        kinds,
        [FindingKind::Reference, FindingKind::UnknownKind],
        "{findings:?}"
    );
    for path in ["/bad", "/kind"] {
        let found = way(&snapshot, &OUTSIDE, &get(&format!("http://x{path}"), &[])).unwrap();
        assert!(found.ends_with("its requests get 500"), "{found}");
    }
}
