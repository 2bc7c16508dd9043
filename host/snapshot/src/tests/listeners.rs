//! Gateways: who gets which port, what is served there, and which routes are reached through it.

use super::*;
use crate::{Application, FindingKind, HeaderEdits, Miss, TlsMode, TlsVersion, Transport};

const CERTIFICATE: &str = "Y2VydA==";

fn world() -> World {
    let mut world = World::default();
    for name in ["a", "b", "c"] {
        world.service(name, "default", &["v1"]);
    }
    world
}

fn server(port: u16, protocol: &str, hosts: &[&str]) -> Value {
    json!({"port": {"number": port, "name": "p", "protocol": protocol}, "hosts": hosts})
}

fn secure(port: u16, hosts: &[&str], tls: Value) -> Value {
    let mut server = server(port, "HTTPS", hosts);
    server["tls"] = tls;
    server
}

fn simple(secret: &str) -> Value {
    json!({"mode": "SIMPLE", "credentialName": secret})
}

fn to(host: &str) -> Value {
    json!([{"route": [{"destination": {"host": host}}]}])
}

impl World {
    fn secret(&mut self, name: &str, data: Value) -> &mut Self {
        let meta = json!({"name": name, "namespace": "default"});
        self.secrets.push(object(
            json!({"kind": "Secret", "metadata": meta, "data": data}),
        ));
        self
    }
}

fn at(port: u16, server_name: Option<&str>) -> Origin<'_> {
    Origin::Gateway {
        listener: ListenerKey::Port(port),
        server_name,
    }
}

fn service(snapshot: &Snapshot, from: &Origin<'_>, uri: &str) -> Option<String> {
    let cluster = way(snapshot, from, &get(uri, &[]))?;
    let host = cluster.rsplit('|').next().unwrap_or_default();
    Some(host.split('.').next().unwrap_or_default().to_owned())
}

fn said(findings: &[Finding]) -> Vec<(FindingKind, &str, &str)> {
    let said = |finding: &'_ Finding| (finding.kind, finding.resource.name);
    findings
        .iter()
        .map(|finding| {
            let (kind, resource) = said(finding);
            (kind, resource, finding.field.as_str())
        })
        .collect()
}

#[test]
fn routes_are_reached_through_their_own_gateway_only() {
    let mut world = world();
    world
        .gateway("one", json!({"servers": [server(9001, "HTTP", &["*"])]}))
        .gateway("two", json!({"servers": [server(9002, "HTTP2", &["*"])]}))
        .virtual_service(
            "one",
            json!({"hosts": ["*"], "gateways": ["one"], "http": to("a")}),
        )
        .virtual_service(
            "two",
            json!({"hosts": ["*"], "gateways": ["default/two"], "http": to("b")}),
        )
        .virtual_service(
            "both",
            json!({"hosts": ["c.org"], "gateways": ["one", "two"], "http": [
                {"match": [{"uri": {"prefix": "/two"}, "gateways": ["two"]}], "route": [{"destination": {"host": "b"}}]},
                {"route": [{"destination": {"host": "c"}}]}]}),
        );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let [one, two] = [at(9001, None), at(9002, None)];
    assert_eq!(service(&snapshot, &one, "http://x/").unwrap(), "a");
    assert_eq!(service(&snapshot, &two, "http://x/").unwrap(), "b");
    assert_eq!(service(&snapshot, &one, "http://c.org/two").unwrap(), "c");
    assert_eq!(service(&snapshot, &two, "http://c.org/two").unwrap(), "b");
    assert_eq!(service(&snapshot, &OUTSIDE, "http://x/"), None);
    assert_eq!(
        snapshot.miss(&OUTSIDE, &get("http://x/", &[])),
        Miss::NoRoutes
    );
}

#[test]
fn customary_ports_are_the_main_listener_and_others_are_their_own() {
    let mut world = world();
    let servers = [80, 8080, 9000].map(|port| server(port, "HTTP", &["*"]));
    world
        .gateway("edge", json!({"servers": servers}))
        .virtual_service(
            "r",
            json!({"hosts": ["*"], "gateways": ["edge"], "http": to("a")}),
        );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let keys: Vec<ListenerKey> = snapshot.listeners().iter().map(|l| l.key).collect();
    assert_eq!(keys, [ListenerKey::Main, ListenerKey::Port(9000)]);
    assert_eq!(service(&snapshot, &OUTSIDE, "http://x/").unwrap(), "a");
}

#[test]
fn the_oldest_server_of_a_port_decides_what_is_spoken() {
    let mut world = world();
    world
        .secret("cert", json!({"tls.crt": CERTIFICATE, "tls.key": CERTIFICATE}))
        .gateway("a-plain", json!({"servers": [server(9000, "HTTP", &["a.org"])]}))
        .gateway(
            "b-secure",
            json!({"servers": [secure(9000, &["*"], simple("cert")), secure(9443, &["*"], simple("cert"))]}),
        )
        .gateway("c-tcp", json!({"servers": [server(9000, "TCP", &["*"])]}));
    let (snapshot, findings) = world.compile(None);
    let conflict = (FindingKind::Conflict, "Gateway", "spec.servers[0].port");
    assert_eq!(said(&findings), [conflict, conflict]);
    let listener = snapshot.listener(ListenerKey::Port(9000)).unwrap();
    assert_eq!(
        (listener.transport, listener.servers.len()),
        (Transport::Plain, 1)
    );
    assert!(snapshot.listener(ListenerKey::Port(9443)).is_some());
}

#[test]
fn a_connection_reaches_the_routes_of_its_server_name_only() {
    let mut world = world();
    let mutual =
        json!({"mode": "MUTUAL", "credentialName": "cert", "minProtocolVersion": "TLSV1_3"});
    world
        .secret(
            "cert",
            json!({"cert": CERTIFICATE, "key": CERTIFICATE, "cacert": CERTIFICATE}),
        )
        .gateway(
            "edge",
            json!({"servers": [
                secure(8443, &["open.org", "*.open.org"], simple("cert")),
                secure(8443, &["closed.org"], mutual)]}),
        )
        .virtual_service(
            "open",
            json!({"hosts": ["*.open.org", "open.org"], "gateways": ["edge"], "http": to("a")}),
        )
        .virtual_service(
            "closed",
            json!({"hosts": ["closed.org"], "gateways": ["edge"], "http": to("b")}),
        );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let open = at(8443, Some("open.org"));
    assert_eq!(service(&snapshot, &open, "https://open.org/").unwrap(), "a");
    assert_eq!(
        service(&snapshot, &open, "https://x.open.org/").unwrap(),
        "a",
        "names of one server share connections"
    );
    assert_eq!(
        snapshot.miss(&open, &get("https://closed.org/", &[])),
        Miss::OtherServer("closed.org".into())
    );
    assert_eq!(
        service(
            &snapshot,
            &at(8443, Some("closed.org")),
            "https://closed.org/"
        )
        .unwrap(),
        "b"
    );
    let key = ListenerKey::Port(8443);
    assert!(snapshot.server(key, None).is_none(), "nobody takes no name");
    let tls = snapshot.server(key, Some("closed.org")).unwrap();
    let tls = tls.tls.as_ref().unwrap();
    assert_eq!(
        (tls.mode, tls.least),
        (TlsMode::Mutual, Some(TlsVersion::V1_3))
    );
    assert!(tls.authorities.as_ref().unwrap().value.is_some());
    let (again, _) = world.compile(Some(&snapshot));
    let same = again.server(key, Some("closed.org")).unwrap();
    assert!(Arc::ptr_eq(tls, same.tls.as_ref().unwrap()));
}

#[test]
fn a_bad_secret_is_said_and_its_server_stays() {
    let mut world = world();
    let mutual = json!({"mode": "MUTUAL", "credentialName": "half"});
    world
        .secret("half", json!({"tls.crt": CERTIFICATE, "tls.key": "?"}))
        .gateway(
            "edge",
            json!({"servers": [secure(8443, &["a.org"], simple("absent")), secure(8443, &["b.org"], mutual)]}),
        );
    let (snapshot, findings) = world.compile(None);
    let name = |index| format!("spec.servers[{index}].tls.credentialName");
    assert_eq!(
        said(&findings),
        [
            (FindingKind::Reference, "Gateway", &*name(0)),
            (FindingKind::Invalid, "Gateway", &*name(1)),
            (FindingKind::Reference, "Gateway", &*name(1)),
        ]
    );
    assert!(!format!("{snapshot:?}").contains("cert: ["));
    let listener = snapshot.listener(ListenerKey::Port(8443)).unwrap();
    assert_eq!(listener.servers.len(), 2);
}

#[test]
fn plain_requests_are_sent_to_the_secure_port_of_their_gateway() {
    let mut world = world();
    let mut plain = server(8080, "HTTP", &["a.org"]);
    plain["tls"] = json!({"httpsRedirect": true});
    world
        .secret(
            "cert",
            json!({"tls.crt": CERTIFICATE, "tls.key": CERTIFICATE}),
        )
        .gateway(
            "edge",
            json!({"servers": [plain, secure(8443, &["a.org"], simple("cert"))]}),
        )
        .virtual_service(
            "r",
            json!({"hosts": ["a.org"], "gateways": ["edge"], "http": to("a")}),
        );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let found = snapshot
        .route(&OUTSIDE, &get("http://a.org/x", &[]))
        .unwrap();
    let Action::Redirect(redirect) = &found.route.action else {
        unreachable!()
    };
    assert_eq!((redirect.status.as_u16(), redirect.port), (301, Some(8443)));
    assert!(
        matches!(&found.route.headers, edits if format!("{edits:?}") == format!("{:?}", HeaderEdits::default()))
    );
    assert_eq!(
        service(&snapshot, &at(8443, Some("a.org")), "https://a.org/x").unwrap(),
        "a"
    );
}

#[test]
fn whole_connections_go_by_server_name_or_by_port() {
    let mut world = world();
    let mut passing = server(8443, "TLS", &["*.org"]);
    passing["tls"] = json!({"mode": "PASSTHROUGH"});
    world
        .gateway("edge", json!({"servers": [passing, server(9000, "TCP", &["*"]), server(9001, "TCP", &["*"])]}))
        .virtual_service(
            "streams",
            json!({"hosts": ["a.org", "*.b.org"], "gateways": ["edge"],
                "tls": [{"match": [{"port": 8443, "sniHosts": ["a.org"]}], "route": [{"destination": {"host": "a"}}]},
                        {"match": [{"sniHosts": ["x.b.org"]}], "route": [{"destination": {"host": "b"}}]}],
                "tcp": [{"match": [{"port": 9000}], "route": [{"destination": {"host": "c"}, "weight": 3}, {"destination": {"host": "a"}, "weight": 1}]}]}),
        );
    let (snapshot, findings) = world.compile(None);
    let missed = said(&findings);
    assert!(
        missed
            .iter()
            .all(|(_, resource, _)| *resource == "VirtualService"),
        "{findings:?}"
    );
    let route = |port, name: Option<&str>| {
        let server = snapshot.server(ListenerKey::Port(port), name)?;
        assert_eq!(server.application, Application::Stream);
        Some(server.stream(name)?.name.to_string())
    };
    assert_eq!(
        route(8443, Some("a.org")).unwrap(),
        "default/streams/tls[0]"
    );
    assert_eq!(
        route(8443, Some("x.b.org")).unwrap(),
        "default/streams/tls[1]"
    );
    assert_eq!(route(8443, Some("y.b.org")), None);
    assert_eq!(route(9000, None).unwrap(), "default/streams/tcp[0]");
    assert_eq!(route(9001, None), None, "its rule is for another port");
}

#[test]
fn a_gateway_says_which_namespaces_bind_and_what_cannot_be_served() {
    let mut world = world();
    let mut odd = secure(443, &["a.org"], json!({"mode": "ISTIO_MUTUAL"}));
    odd["port"]["number"] = json!(8444);
    world
        .gateway(
            "edge",
            json!({"servers": [server(9000, "HTTP", &["other/a.org", "./b.org"]), odd,
                server(0, "HTTP", &["*"])]}),
        )
        .virtual_service(
            "r",
            json!({"hosts": ["a.org", "b.org"], "gateways": ["edge"], "http": to("a")}),
        );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(
        said(&findings),
        [
            (FindingKind::Invalid, "Gateway", "spec.servers[1].tls"),
            (
                FindingKind::NotApplied,
                "Gateway",
                "spec.servers[1].tls.mode"
            ),
            (
                FindingKind::Invalid,
                "Gateway",
                "spec.servers[2].port.number"
            ),
            (FindingKind::Reference, "VirtualService", "spec.hosts[0]"),
        ]
    );
    let edge = at(9000, None);
    assert_eq!(service(&snapshot, &edge, "http://b.org/").unwrap(), "a");
    assert_eq!(service(&snapshot, &edge, "http://a.org/"), None);
    assert!(snapshot.listener(ListenerKey::Port(8444)).is_none());
}
