//! The Gateway API: which routes attach to which listeners, and which rule takes a request.

use std::collections::BTreeMap;

use super::*;
use crate::{Attachment, FindingKind, Refused, TlsMode};

const GROUP: &str = "gateway.networking.k8s.io";

impl World {
    /// A class of this controller, and services `a`, `b`, `c` in `default`.
    pub(super) fn gateway_api() -> Self {
        let mut world = Self::default();
        for name in ["a", "b", "c"] {
            world.service(name, "default", &["v1"]);
        }
        world
            .classes
            .push(object(json!({"metadata": {"name": "osier"},
            "spec": {"controllerName": crate::CONTROLLER}})));
        for name in ["default", "other"] {
            world.namespaces.push(object(
                json!({"metadata": {"name": name, "labels": {"name": name}}}),
            ));
        }
        world
    }

    pub(super) fn listeners(&mut self, name: &str, listeners: Value) -> &mut Self {
        let spec = json!({"gatewayClassName": "osier", "listeners": listeners});
        let meta = metadata(name, "default");
        self.api_gateways
            .push(object(json!({"metadata": meta, "spec": spec})));
        self
    }

    /// A route whose age is its place.
    pub(super) fn route(&mut self, (namespace, name): (&str, &str), spec: Value) -> &mut Self {
        let mut meta = metadata(name, namespace);
        let age = self.http_routes.len() % 60;
        meta["creationTimestamp"] = json!(format!("2026-01-01T00:00:{age:02}Z"));
        self.http_routes
            .push(object(json!({"metadata": meta, "spec": spec})));
        self
    }

    fn grant(&mut self, namespace: &str, from: Value, to: Value) -> &mut Self {
        let spec = json!({"from": [from], "to": [to]});
        let meta = metadata("grant", namespace);
        self.reference_grants
            .push(object(json!({"metadata": meta, "spec": spec})));
        self
    }
}

fn http(name: &str, port: u16, host: Option<&str>) -> Value {
    let mut listener = json!({"name": name, "port": port, "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}}});
    if let Some(host) = host {
        listener["hostname"] = json!(host);
    }
    listener
}

fn parent() -> Value {
    json!([{"name": "edge", "namespace": "default"}])
}

fn to(service: &str) -> Value {
    json!([{"name": service, "port": 80}])
}

fn prefix(path: &str, service: &str) -> Value {
    json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": to(service)})
}

fn at(port: u16) -> Origin<'static> {
    Origin::Gateway {
        listener: ListenerKey::Port(port),
        server_name: None,
    }
}

/// The service that a request goes to, or what happens instead.
fn goes(snapshot: &Snapshot, from: &Origin<'_>, head: &Parts) -> Option<String> {
    let way = way(snapshot, from, head)?;
    let host = way.rsplit('|').next().unwrap_or_default();
    Some(host.split('.').next().unwrap_or_default().to_owned())
}

fn reaches(snapshot: &Snapshot, uri: &str) -> Option<String> {
    goes(snapshot, &OUTSIDE, &get(uri, &[]))
}

fn attachments(snapshot: &Snapshot) -> BTreeMap<&str, Vec<Attachment>> {
    let routes = snapshot.standings().routes.iter();
    let said = routes.map(|route| {
        let parents = route.parents.iter().map(|parent| parent.attachment);
        (route.subject.name.as_str(), parents.collect())
    });
    said.collect()
}

fn one_route(rules: Value) -> Snapshot {
    let mut world = World::gateway_api();
    world.listeners("edge", json!([http("http", 80, None)]));
    world.route(
        ("default", "r"),
        json!({"parentRefs": parent(), "rules": rules}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    snapshot
}

#[test]
fn a_path_prefix_goes_by_segments() {
    let snapshot = one_route(json!([prefix("/foo", "a"), prefix("/bar/", "b")]));
    for (path, service) in [
        ("/foo", Some("a")),
        ("/foo/", Some("a")),
        ("/foo/x", Some("a")),
        ("/foobar", None),
        ("/bar", Some("b")),
        ("/bar/x", Some("b")),
        ("/barx", None),
        ("/", None),
    ] {
        let found = reaches(&snapshot, &format!("http://x{path}"));
        assert_eq!(found.as_deref(), service, "{path}");
    }
}

#[test]
fn the_narrowest_rule_wins_wherever_it_is_written() {
    let mut world = World::gateway_api();
    world.listeners("edge", json!([http("http", 80, None)]));
    let rules = |rules: Value| json!({"parentRefs": parent(), "hostnames": ["x"], "rules": rules});
    let by = |condition: Value, service: &str| json!({"matches": [condition], "backendRefs": to(service)});
    world.route(("default", "wide"), rules(json!([prefix("/", "a")])));
    world.route(
        ("default", "narrow"),
        rules(json!([
            prefix("/v1", "b"),
            by(json!({"path": {"type": "Exact", "value": "/v1"}}), "c"),
            by(
                json!({"path": {"value": "/"}, "headers": [{"name": "x-a", "value": "1"}]}),
                "b"
            ),
            by(json!({"path": {"value": "/"}, "method": "POST"}), "c"),
        ])),
    );
    // The same as the oldest: it never gets anything.
    world.route(("default", "late"), rules(json!([prefix("/", "c")])));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let mut post = get("http://x/z", &[("x-a", "1")]);
    post.method = http::Method::POST;
    for (head, service) in [
        (get("http://x/v1", &[]), "c"),
        (get("http://x/v1/z", &[]), "b"),
        (get("http://x/z", &[]), "a"),
        (get("http://x/z", &[("x-a", "1")]), "b"),
        (post, "c"),
    ] {
        let found = goes(&snapshot, &OUTSIDE, &head);
        assert_eq!(found.as_deref(), Some(service), "{head:?}");
    }
}

#[test]
fn headers_and_query_parameters_match_exactly_or_by_expression() {
    let condition = |condition: Value| json!([{"matches": [condition], "backendRefs": to("a")}]);
    let snapshot = one_route(condition(json!({"path": {"value": "/"},
        "headers": [{"name": "Version", "value": "one"}, {"name": "version", "value": "never"}],
        "queryParams": [{"type": "RegularExpression", "name": "n", "value": "[0-9]+"}]})));
    for (uri, headers, found) in [
        ("http://x/?n=12", &[("version", "one")][..], true),
        ("http://x/?n=1a", &[("version", "one")], false),
        ("http://x/?n=12", &[("version", "two")], false),
        ("http://x/", &[("version", "one")], false),
    ] {
        let way = goes(&snapshot, &OUTSIDE, &get(uri, headers));
        assert_eq!(way.is_some(), found, "{uri} {headers:?}");
    }
}

#[test]
fn hosts_of_routes_and_listeners_intersect() {
    // (listener, route, host of a request, whether it is served)
    for (listener, route, host, served) in [
        (
            Some("very.specific.com"),
            Some("very.specific.com"),
            "very.specific.com",
            true,
        ),
        (
            Some("*.wildcard.io"),
            Some("foo.wildcard.io"),
            "foo.wildcard.io",
            true,
        ),
        (
            Some("*.wildcard.io"),
            Some("foo.wildcard.io"),
            "bar.wildcard.io",
            false,
        ),
        (Some("*.wildcard.io"), None, "a.b.wildcard.io", true),
        (
            Some("*.anotherwildcard.io"),
            Some("*.anotherwildcard.io"),
            "one.two.anotherwildcard.io",
            true,
        ),
        (
            Some("*.anotherwildcard.io"),
            Some("*.anotherwildcard.io"),
            "anotherwildcard.io",
            false,
        ),
        (None, Some("*.example.com"), "www.example.com", true),
        (None, Some("*.example.com"), "example.com", false),
        (None, None, "anything", true),
    ] {
        let mut world = World::gateway_api();
        world.listeners("edge", json!([http("http", 80, listener)]));
        let mut spec = json!({"parentRefs": parent(), "rules": [prefix("/", "a")]});
        if let Some(route) = route {
            spec["hostnames"] = json!([route]);
        }
        world.route(("default", "r"), spec);
        let snapshot = world.snapshot();
        let found = reaches(&snapshot, &format!("http://{host}/"));
        assert_eq!(found.is_some(), served, "{listener:?} {route:?} {host}");
        assert_eq!(attachments(&snapshot)["r"], [Attachment::Accepted]);
    }
}

#[test]
fn a_listener_keeps_its_hosts_from_wider_ones() {
    let mut world = World::gateway_api();
    world.listeners(
        "edge",
        json!([
            http("any", 80, None),
            http("com", 80, Some("*.example.com")),
            http("foo", 80, Some("foo.example.com"))
        ]),
    );
    let bound = |section: &str, service: &str| {
        json!({"parentRefs": [{"name": "edge", "sectionName": section}],
            "rules": [prefix(&format!("/{section}"), service)]})
    };
    world
        .route(("default", "any"), bound("any", "a"))
        .route(("default", "com"), bound("com", "b"))
        .route(("default", "foo"), bound("foo", "c"));
    let snapshot = world.snapshot();
    for (uri, service) in [
        ("http://bar.com/any", Some("a")),
        ("http://bar.com/com", None),
        ("http://bar.example.com/com", Some("b")),
        ("http://bar.example.com/any", None),
        ("http://foo.example.com/foo", Some("c")),
        ("http://foo.example.com/com", None),
        ("http://foo.example.com/any", None),
    ] {
        assert_eq!(reaches(&snapshot, uri).as_deref(), service, "{uri}");
    }
}

#[test]
fn routes_attach_where_listeners_take_them() {
    let mut world = World::gateway_api();
    let mut own = http("own", 9001, None);
    own["allowedRoutes"] = json!({"namespaces": {"from": "Same"}});
    let mut chosen = http("chosen", 9002, Some("a.com"));
    chosen["allowedRoutes"] =
        json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"name": "other"}}}});
    let mut grpc = http("grpc", 9003, None);
    grpc["allowedRoutes"]["kinds"] = json!([{"group": GROUP, "kind": "TCPRoute"}]);
    world.listeners("edge", json!([own, chosen, grpc]));
    world.service("d", "other", &["v1"]);
    let to = |namespace: &str, name: &str, part: Value, hosts: Value| {
        let mut parent = json!({"name": "edge", "namespace": "default"});
        parent
            .as_object_mut()
            .unwrap()
            .extend(part.as_object().unwrap().clone());
        let service = if namespace == "other" { "d" } else { "a" };
        let spec =
            json!({"parentRefs": [parent], "hostnames": hosts, "rules": [prefix("/", service)]});
        (namespace.to_owned(), name.to_owned(), spec)
    };
    let cases = [
        (
            to("default", "mine", json!({}), json!([])),
            Attachment::Accepted,
        ),
        (
            to("other", "theirs", json!({}), json!([])),
            Attachment::Accepted,
        ),
        (
            to("other", "closed", json!({"sectionName": "own"}), json!([])),
            Attachment::NotAllowed,
        ),
        (
            to("other", "host", json!({"port": 9002}), json!(["b.com"])),
            Attachment::NoMatchingHostname,
        ),
        (
            to("default", "kind", json!({"sectionName": "grpc"}), json!([])),
            Attachment::NotAllowed,
        ),
        (
            to(
                "default",
                "part",
                json!({"sectionName": "nothing"}),
                json!([]),
            ),
            Attachment::NoMatchingParent,
        ),
        (
            to("default", "gone", json!({"name": "absent"}), json!([])),
            Attachment::NoMatchingParent,
        ),
    ];
    for ((namespace, name, spec), _) in &cases {
        world.route((namespace, name), spec.clone());
    }
    let (snapshot, findings) = world.compile(None);
    let said = attachments(&snapshot);
    for ((_, name, _), expected) in &cases {
        assert_eq!(said[name.as_str()], [*expected], "{name}");
    }
    let counts: Vec<u32> = snapshot.standings().gateways[0]
        .listeners
        .iter()
        .map(|listener| listener.attached)
        .collect();
    assert_eq!(counts, [1, 1, 0]);
    let [only] = findings.as_slice() else {
        unreachable!("{findings:?}");
    };
    assert_eq!(
        (only.kind, only.field.as_str()),
        (
            FindingKind::UnknownKind,
            "spec.listeners[2].allowedRoutes.kinds[0]"
        )
    );
    // A route whose parent does not exist is served nowhere, unlike Istio's.
    assert!(snapshot.listener(ListenerKey::Main).is_none());
    assert_eq!(
        goes(&snapshot, &at(9001), &get("http://x/", &[])).as_deref(),
        Some("a")
    );
}

#[test]
fn listeners_that_nothing_tells_apart_are_not_opened() {
    let mut world = World::gateway_api();
    let mut tls = http("tls", 9001, None);
    tls["protocol"] = json!("HTTPS");
    tls["tls"] = json!({"certificateRefs": [{"name": "cert"}]});
    let mut udp = http("udp", 9004, None);
    udp["protocol"] = json!("UDP");
    world.listeners(
        "edge",
        json!([
            http("plain", 9001, None),
            tls,
            http("one", 9002, Some("a.com")),
            http("two", 9002, Some("b.com")),
            http("again", 9002, Some("a.com")),
            http("good", 9003, None),
            udp
        ]),
    );
    let snapshot = world.snapshot();
    let refused: Vec<Option<Refused>> = snapshot.standings().gateways[0]
        .listeners
        .iter()
        .map(|listener| listener.refused)
        .collect();
    assert_eq!(
        refused,
        [
            Some(Refused::Protocol),
            Some(Refused::Protocol),
            Some(Refused::Hostname),
            None,
            Some(Refused::Hostname),
            None,
            Some(Refused::Unsupported)
        ]
    );
    let open: Vec<ListenerKey> = snapshot.listeners().iter().map(|one| one.key).collect();
    assert_eq!(open, [ListenerKey::Port(9002), ListenerKey::Port(9003)]);
}

/// GatewayOverlappingTLSConfigHostnames; protocols "MUST be treated case-insensitively" (ProtocolType).
#[test]
fn listeners_with_tls_for_the_same_hosts_are_told() {
    let mut world = World::gateway_api();
    let tls = json!({"mode": "Passthrough"});
    let secure = |name: &str, port: u16, host: &str| json!({"name": name, "port": port, "protocol": "tls", "hostname": host, "tls": tls});
    world.listeners(
        "edge",
        json!([
            secure("foo", 8443, "foo.example.com"),
            secure("wild", 8443, "*.example.com"),
            secure("org", 8443, "foo.example.org"),
            secure("port", 8444, "foo.example.com"),
            {"name": "plain", "port": 8080, "protocol": "http"},
        ]),
    );
    let snapshot = world.snapshot();
    let listeners = &snapshot.standings().gateways[0].listeners;
    let overlapping: Vec<bool> = listeners.iter().map(|one| one.overlapping).collect();
    assert_eq!(overlapping, [true, true, false, false, false]);
    assert!(listeners.iter().all(|one| one.refused.is_none()));
}

/// `tls.frontend`: GatewayFrontendClientCertificateValidation, GatewayFrontendInvalidDefaultClientCertificateValidation.
#[test]
fn clients_prove_themselves_as_their_port_says() {
    let mut world = World::gateway_api();
    let secure = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}});
    let by = |namespace: &str, map: &str, mode: &str| {
        json!({"validation": {"mode": mode, "caCertificateRefs": [
        {"group": "", "kind": "ConfigMap", "name": map, "namespace": namespace}]}})
    };
    let valid = "AllowValidOnly";
    let frontend = json!({"default": by("default", "ca", valid), "perPort": [
        {"port": 8444, "tls": by("default", "absent", valid)},
        {"port": 8445, "tls": by("other", "ca", valid)},
        {"port": 8446, "tls": by("default", "ca", "AllowInsecureFallback")},
        {"port": 8447, "tls": {}}]});
    let listeners: Vec<Value> = (8443..=8447)
        .map(|port| secure(&format!("p{port}"), port))
        .collect();
    let spec =
        json!({"gatewayClassName": "osier", "listeners": listeners, "tls": {"frontend": frontend}});
    let gateway = json!({"metadata": metadata("edge", "default"), "spec": spec});
    world.api_gateways.push(object(gateway));
    for namespace in ["default", "other"] {
        let data = json!({"ca.crt": "-----BEGIN CERTIFICATE-----"});
        let map = json!({"metadata": metadata("ca", namespace), "data": data});
        world.config_maps.push(object(map));
    }
    let (snapshot, findings) = world.compile(None);
    let gateway = &snapshot.standings().gateways[0];
    assert!(gateway.insecure);
    let refused: Vec<Option<Refused>> = gateway.listeners.iter().map(|one| one.refused).collect();
    let none = Some(Refused::Authorities);
    assert_eq!(refused, [None, none, none, None, None]);
    let kinds = |port: usize| {
        let field = gateway.listeners[port].clients.clone().unwrap_or_default();
        let own = findings
            .iter()
            .filter(|one| !field.is_empty() && one.field.starts_with(&field));
        own.map(|one| one.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(0), []);
    assert_eq!(kinds(1), [FindingKind::Reference]);
    assert_eq!(kinds(2), [FindingKind::NotPermitted]);
    let modes: Vec<Option<TlsMode>> = (8443..=8447)
        .map(|port| {
            let mut all = snapshot.listeners().iter();
            let listener = all.find(|one| one.key == ListenerKey::Port(port))?;
            listener.servers[0].tls.as_ref().map(|tls| tls.mode)
        })
        .collect();
    let simple = Some(TlsMode::Simple);
    assert_eq!(modes, [Some(TlsMode::Mutual), None, None, simple, simple]);
}

/// `tls.backend` of gateways that share a port: GatewayBackendClientCertificateFeature, GatewayInvalidTLSBackendConfiguration.
#[test]
fn a_gateway_shows_backends_its_own_certificate() {
    let mut world = World::gateway_api();
    for (name, reference) in [
        ("good", json!({"name": "pair"})),
        ("absent", json!({"name": "absent"})),
        ("odd", json!({"kind": "ConfigMap", "name": "pair"})),
        ("foreign", json!({"name": "pair", "namespace": "other"})),
        ("plain", Value::Null),
    ] {
        let host = format!("{name}.test");
        let listeners = json!([http("http", 9000, Some(&host))]);
        let tls = json!({"backend": {"clientCertificateRef": reference}});
        let spec = json!({"gatewayClassName": "osier", "listeners": listeners, "tls": tls});
        let gateway = json!({"metadata": metadata(name, "default"), "spec": spec});
        world.api_gateways.push(object(gateway));
        let parents = json!([{"name": name}]);
        let rules = json!([prefix("/", "a")]);
        world.route(
            ("default", name),
            json!({"parentRefs": parents, "rules": rules}),
        );
    }
    let pem = |kind: &str| {
        use base64::Engine as _;
        let text = format!("-----BEGIN {kind}-----");
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let data = json!({"tls.crt": pem("CERTIFICATE"), "tls.key": pem("PRIVATE KEY")});
    let pair = json!({"metadata": metadata("pair", "default"), "data": data});
    world.secrets.push(object(pair));
    let (snapshot, findings) = world.compile(None);
    let shown = |name: &str| {
        let head = get(&format!("http://{name}.test/"), &[]);
        snapshot.route(&at(9000), &head).unwrap().shown.is_some()
    };
    let all = ["good", "absent", "odd", "foreign", "plain"];
    assert_eq!(all.map(shown), [true, false, false, false, false]);
    let said: BTreeMap<&str, FindingKind> = findings
        .iter()
        .map(|one| (one.name.as_str(), one.kind))
        .collect();
    let expected = [
        ("absent", FindingKind::Reference),
        ("foreign", FindingKind::NotPermitted),
        ("odd", FindingKind::UnknownKind),
    ];
    assert_eq!(said, BTreeMap::from(expected));
    // What is shown is one value as long as it is the same: connections are kept by it.
    let (again, _) = world.compile(Some(&snapshot));
    let head = get("http://good.test/", &[]);
    let both = [&snapshot, &again].map(|one| one.route(&at(9000), &head).unwrap().shown.unwrap());
    assert!(Arc::ptr_eq(&both[0], &both[1]));
}

#[test]
fn backends_that_cannot_be_called_keep_their_share() {
    let refs = |refs: Value| json!([{"backendRefs": refs}]);
    for (backends, kind) in [
        (
            json!([{"name": "a", "port": 80, "weight": 3}, {"name": "nobody", "port": 80}]),
            FindingKind::Reference,
        ),
        (
            json!([{"name": "a", "port": 80, "weight": 3}, {"name": "b", "port": 81}]),
            FindingKind::Reference,
        ),
        (
            json!([{"name": "a", "port": 80, "weight": 3}, {"kind": "Bucket", "name": "b"}]),
            FindingKind::UnknownKind,
        ),
        (
            json!([{"name": "a", "port": 80, "weight": 3}, {"name": "d", "namespace": "other", "port": 80}]),
            FindingKind::NotPermitted,
        ),
    ] {
        let mut world = World::gateway_api();
        world.service("d", "other", &["v1"]);
        world.listeners("edge", json!([http("http", 80, None)]));
        world.route(
            ("default", "r"),
            json!({"parentRefs": parent(), "rules": refs(backends)}),
        );
        let (snapshot, findings) = world.compile(None);
        let found: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(found, [kind], "{findings:?}");
        let ways = ways(&snapshot, &OUTSIDE, &get("http://x/", &[]));
        let weights: Vec<u32> = ways.iter().map(|(_, weight)| *weight).collect();
        assert_eq!(weights, [3, 1], "{ways:?}");
        assert!(ways[1].0.ends_with("is answered with 500"), "{ways:?}");
    }
    for rules in [
        json!([{}]),
        refs(json!([{"name": "a", "port": 80, "weight": 0}])),
    ] {
        let snapshot = one_route(rules);
        let found = way(&snapshot, &OUTSIDE, &get("http://x/", &[])).unwrap();
        assert_eq!(
            found,
            "the rule of the route has no backend that takes requests"
        );
    }
}

#[test]
fn a_grant_opens_a_namespace_and_its_end_closes_it() {
    let mut world = World::gateway_api();
    world.service("d", "other", &["v1"]);
    world.listeners("edge", json!([http("http", 80, None)]));
    let backends = json!([{"name": "d", "namespace": "other", "port": 80}]);
    world.route(
        ("default", "r"),
        json!({"parentRefs": parent(), "rules": [{"backendRefs": backends}]}),
    );
    let from = json!({"group": GROUP, "kind": "HTTPRoute", "namespace": "default"});
    let closed = world.snapshot();
    for (to, open) in [
        (json!({"group": "", "kind": "Service"}), true),
        (json!({"group": "", "kind": "Service", "name": "d"}), true),
        (json!({"group": "", "kind": "Service", "name": "e"}), false),
        (json!({"group": "", "kind": "Secret"}), false),
    ] {
        world.reference_grants.clear();
        world.grant("other", from.clone(), to.clone());
        let (snapshot, findings) = world.compile(Some(&closed));
        assert_eq!(findings.is_empty(), open, "{to}");
        let found = reaches(&snapshot, "http://x/");
        assert_eq!(found.as_deref() == Some("d"), open, "{to}");
        world.reference_grants.clear();
        let (again, _) = world.compile(Some(&snapshot));
        assert_ne!(reaches(&again, "http://x/").as_deref(), Some("d"));
    }
}

#[test]
fn calls_between_pods_follow_routes_of_the_service() {
    let mut world = World::gateway_api();
    let spec = |namespace: Value, port: Value, rules: Value| json!({"parentRefs": [{"group": "", "kind": "Service", "name": "a", "namespace": namespace, "port": port}], "rules": rules});
    let from = json!({"group": GROUP, "kind": "HTTPRoute", "namespace": "other"});
    world.grant("default", from, json!({"group": "", "kind": "Service"}));
    let backend = json!([{"name": "c", "namespace": "default", "port": 80}]);
    let consumer = json!([{"matches": [{"path": {"value": "/consumer"}}], "backendRefs": backend}]);
    world.route(
        ("other", "consumer"),
        spec(json!("default"), Value::Null, consumer),
    );
    let [owner, stranger] = [caller("default"), caller("other")];
    let ways = |snapshot: &Snapshot, expected: [(&Workload, &str, Option<&str>); 4]| {
        for (who, path, service) in expected {
            let head = get(&format!("http://a.default{path}"), &[]);
            let found = goes(snapshot, &Origin::Workload(who), &head);
            assert_eq!(found.as_deref(), service, "{} {path}", who.namespace);
        }
    };
    let snapshot = world.snapshot();
    assert_eq!(attachments(&snapshot)["consumer"], [Attachment::Accepted]);
    ways(
        &snapshot,
        [
            (&stranger, "/consumer", Some("c")),
            (&stranger, "/else", Some("direct 404")),
            (&owner, "/consumer", Some("a")),
            (&owner, "/else", Some("a")),
        ],
    );
    world.route(
        ("default", "producer"),
        spec(Value::Null, json!(80), json!([prefix("/p", "b")])),
    );
    ways(
        &world.snapshot(),
        [
            (&stranger, "/consumer", Some("c")),
            (&stranger, "/p", Some("direct 404")),
            (&owner, "/p", Some("b")),
            (&owner, "/else", Some("direct 404")),
        ],
    );
}

#[test]
fn gateways_of_other_classes_are_left_alone() {
    let mut world = World::gateway_api();
    world.classes.clear();
    world.listeners("edge", json!([http("http", 9001, None)]));
    let both = json!([{"name": "edge"}, {"name": "absent"}]);
    world.route(
        ("default", "r"),
        json!({"parentRefs": both, "rules": [to("a")]}),
    );
    let snapshot = world.snapshot();
    // What became of the route there, its own controller says.
    assert_eq!(attachments(&snapshot)["r"], [Attachment::NoMatchingParent]);
    assert!(snapshot.listeners().is_empty());
    assert!(snapshot.standings().gateways.is_empty());
}

#[test]
fn grpc_calls_match_by_service_and_method() {
    let mut world = World::gateway_api();
    world.listeners("edge", json!([http("http", 80, None)]));
    let rule = |method: Value, service: &str| json!({"matches": [{"method": method}], "backendRefs": to(service)});
    let meta = metadata("r", "default");
    world.grpc_routes.push(object(
        json!({"metadata": meta, "spec": {"parentRefs": parent(), "rules": [
        rule(json!({"service": "shop.Cart"}), "a"),
        rule(json!({"service": "shop.Cart", "method": "Add"}), "b"),
        rule(json!({"method": "Ping"}), "c"),
        rule(json!({"type": "RegularExpression", "service": "bank\\..*"}), "c")]}}),
    ));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    for (path, service) in [
        ("/shop.Cart/Add", Some("b")),
        ("/shop.Cart/Remove", Some("a")),
        ("/shop.Carts/Remove", None),
        ("/any.Service/Ping", Some("c")),
        ("/bank.Teller/Open", Some("c")),
        ("/banks.Teller/Open", None),
    ] {
        let found = reaches(&snapshot, &format!("http://x{path}"));
        assert_eq!(found.as_deref(), service, "{path}");
    }
}

#[test]
fn whole_connections_go_by_server_name_or_port() {
    let mut world = World::gateway_api();
    let tls =
        json!({"name": "tls", "port": 9001, "protocol": "TLS", "tls": {"mode": "Passthrough"}});
    let tcp = json!({"name": "tcp", "port": 9002, "protocol": "TCP"});
    world.listeners("edge", json!([tls, tcp]));
    let route = |name: &str, section: &str, hosts: Value, service: &str| {
        let parent = json!([{"name": "edge", "sectionName": section}]);
        object(json!({"metadata": metadata(name, "default"),
            "spec": {"parentRefs": parent, "hostnames": hosts, "rules": [{"backendRefs": to(service)}]}}))
    };
    world
        .tls_routes
        .push(route("a", "tls", json!(["a.com"]), "a"));
    world
        .tls_routes
        .push(route("b", "tls", json!(["*.b.com"]), "b"));
    world
        .tls_routes
        .push(route("lost", "tcp", json!(["a.com"]), "b"));
    world.tcp_routes.push(route("c", "tcp", Value::Null, "c"));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let stream = |port: u16, name: Option<&str>| {
        let server = snapshot.server(ListenerKey::Port(port), name)?;
        Some(server.stream(name)?.name.to_string())
    };
    assert_eq!(
        stream(9001, Some("a.com")).as_deref(),
        Some("default/a/rules[0]")
    );
    assert_eq!(
        stream(9001, Some("x.b.com")).as_deref(),
        Some("default/b/rules[0]")
    );
    assert_eq!(stream(9001, Some("c.com")), None);
    assert_eq!(stream(9002, None).as_deref(), Some("default/c/rules[0]"));
    assert_eq!(attachments(&snapshot)["lost"], [Attachment::NotAllowed]);
}

#[test]
fn services_of_a_policy_are_called_over_tls() {
    let mut world = World::gateway_api();
    world.listeners("edge", json!([http("http", 80, None)]));
    world.route(
        ("default", "r"),
        json!({"parentRefs": parent(), "rules": [prefix("/", "a")]}),
    );
    let policy = |name: &str, service: &str, validation: Value| {
        object(json!({"metadata": metadata(name, "default"), "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": service}], "validation": validation}}))
    };
    let by_map = |map: &str| json!({"hostname": "a.internal", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": map}]});
    world
        .backend_tls_policies
        .push(policy("a", "a", by_map("ca")));
    world.backend_tls_policies.push(policy(
        "again",
        "a",
        json!({"hostname": "x.y", "wellKnownCACertificates": "System"}),
    ));
    world
        .backend_tls_policies
        .push(policy("b", "b", by_map("absent")));
    world.backend_tls_policies.push(policy(
        "c",
        "nobody",
        json!({"hostname": "x.y", "wellKnownCACertificates": "System"}),
    ));
    let ca = "-----BEGIN CERTIFICATE-----";
    world.config_maps.push(object(
        json!({"metadata": metadata("ca", "default"), "data": {"ca.crt": ca}}),
    ));
    let (snapshot, findings) = world.compile(None);
    let upstream = |name: &str| {
        Arc::clone(
            &snapshot.named(name, "default").unwrap().ports[0]
                .cluster
                .upstream,
        )
    };
    let tls = upstream("a").tls.clone().unwrap();
    assert_eq!(
        (tls.sni.as_deref(), &*tls.names[0]),
        (Some("a.internal"), "a.internal")
    );
    assert_eq!(tls.trust, crate::Trust::Pem(format!("{ca}\n").into()));
    assert_eq!(
        upstream("b").tls.as_ref().unwrap().trust,
        crate::Trust::Nobody
    );
    assert_eq!(upstream("c").tls, None);
    let said: Vec<(&str, bool, &str, &str, &str)> = snapshot
        .standings()
        .policies
        .iter()
        .map(|policy| {
            let of_this = |finding: &&Finding| finding.name == policy.subject.name;
            let own: Vec<&Finding> = findings.iter().filter(of_this).collect();
            let conditions = policy.conditions(&own);
            let ancestor = policy.ancestors[0]["kind"].as_str().unwrap();
            (
                policy.subject.name.as_str(),
                conditions[0].holds,
                conditions[0].reason,
                conditions[1].reason,
                ancestor,
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("a", true, "Accepted", "ResolvedRefs", "Gateway"),
            ("again", false, "Conflicted", "ResolvedRefs", "Gateway"),
            (
                "b",
                false,
                "NoValidCACertificate",
                "InvalidCACertificateRef",
                "Service"
            ),
            ("c", false, "TargetNotFound", "ResolvedRefs", "Service"),
        ]
    );
}
