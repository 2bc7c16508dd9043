//! Hosts outside: who serves them, who may call them, and what a DestinationRule makes of it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Cluster, Credential, FindingKind, Miss, Origination, Place, Speaks, Trust};

const HTTP: fn(u16) -> Value =
    |number| json!([{"number": number, "name": "http", "protocol": "HTTP"}]);

fn cluster<'a>(snapshot: &'a Snapshot, host: &str, port: u16) -> &'a Arc<Cluster> {
    let service = snapshot.service(host, Some("default")).unwrap();
    &service.port(port).unwrap().cluster
}

fn places(cluster: &Cluster) -> Vec<(Place, u16)> {
    let all = cluster.endpoints.iter();
    all.map(|endpoint| (endpoint.place.clone(), endpoint.port))
        .collect()
}

fn address(text: &str) -> Place {
    Place::Address(text.parse().unwrap())
}

#[test]
fn each_resolution_finds_its_addresses() {
    let mut world = World::default();
    world
        .service_entry("static", "default", json!({"hosts": ["db.example.com"], "resolution": "STATIC", "ports": HTTP(80),
            "endpoints": [{"address": "192.0.2.1"}, {"address": "2001:db8::1", "ports": {"http": 8080}}]}))
        .service_entry("dns", "default", json!({"hosts": ["api.example.com"], "resolution": "DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443}]}))
        .service_entry("named", "default", json!({"hosts": ["cdn.example.com"], "resolution": "DNS", "ports": HTTP(80),
            "endpoints": [{"address": "US.cdn.example.com"}]}))
        .service_entry("asked", "default", json!({"hosts": ["*.example.org"], "ports": HTTP(80)}))
        .service_entry("chosen", "default", json!({"hosts": ["vm.example.com"], "resolution": "STATIC", "ports": HTTP(80),
            "workloadSelector": {"labels": {"app": "vm"}}}))
        .workload_entry("vm-1", "default", json!({"address": "192.0.2.7", "labels": {"app": "vm"}, "ports": {"http": 81}}))
        .workload_entry("vm-2", "other", json!({"address": "192.0.2.8", "labels": {"app": "vm"}}))
        .workload_entry("other", "default", json!({"address": "192.0.2.9", "labels": {"app": "x"}}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let of = |host| places(cluster(&snapshot, host, 80));
    assert_eq!(
        of("db.example.com"),
        [(address("192.0.2.1"), 80), (address("2001:db8::1"), 8080)]
    );
    assert_eq!(
        of("api.example.com"),
        [(Place::Name("api.example.com".into()), 443)]
    );
    assert_eq!(
        of("cdn.example.com"),
        [(Place::Name("us.cdn.example.com".into()), 80)]
    );
    assert_eq!(of("www.example.org"), [(Place::Asked, 80)]);
    assert_eq!(of("vm.example.com"), [(address("192.0.2.7"), 81)]);
    assert_eq!(
        &*cluster(&snapshot, "vm.example.com", 80).endpoints[0]
            .workload
            .name,
        "vm-1"
    );
    let service = snapshot.service("db.example.com", Some("default")).unwrap();
    assert_eq!(
        (&*service.names.name, &*service.names.host),
        ("db.example.com", "db.example.com")
    );
}

#[test]
fn only_granted_hosts_are_called_and_only_by_whom_they_are_granted_to() {
    let mut world = World::default();
    world
        .service_entry("own", "default", json!({"hosts": ["secret.example.com"], "ports": HTTP(80), "exportTo": ["."]}))
        .service_entry("wide", "other", json!({"hosts": ["*.example.com"], "ports": HTTP(8080)}))
        .service_entry("range", "other", json!({"hosts": ["tcp.example.net"], "ports": HTTP(80), "addresses": ["198.51.100.0/24"]}));
    let snapshot = world.snapshot();
    let called = |namespace: &str, uri: &str| {
        way(
            &snapshot,
            &Origin::Workload(&caller(namespace)),
            &get(uri, &[]),
        )
    };
    let granted = |text: &str| Some(text.to_owned());
    assert_eq!(
        called("default", "http://Secret.example.com/"),
        granted("outbound|80||secret.example.com")
    );
    assert_eq!(
        called("third", "http://secret.example.com/"),
        None,
        "the wide grant has another port"
    );
    assert_eq!(
        called("third", "http://secret.example.com:8080/"),
        granted("outbound|8080||*.example.com")
    );
    assert_eq!(called("default", "http://example.com:8080/"), None);
    assert_eq!(
        called("default", "http://198.51.100.7/"),
        granted("outbound|80||tcp.example.net")
    );
    assert_eq!(called("default", "http://198.51.101.7/"), None);
    let from = caller("default");
    let miss = snapshot.miss(&Origin::Workload(&from), &get("http://example.net/", &[]));
    assert_eq!(miss, Miss::Outside("example.net".into()));
    assert!(
        miss.to_string()
            .contains("grant the host by a ServiceEntry"),
        "{miss}"
    );
}

#[test]
fn routes_find_hosts_outside_however_they_look() {
    let mut world = World::default();
    for host in [
        "shop.org",
        "a.b.example.com",
        "shop.default.svc.cluster.local",
    ] {
        world.service_entry(
            host,
            "default",
            json!({"hosts": [host], "ports": HTTP(80), "resolution": "DNS"}),
        );
        let to = json!([{"destination": {"host": host}}]);
        let name = host.replace('.', "-");
        world.virtual_service(&name, json!({"hosts": [format!("in-{host}"), host], "http": [
            {"match": [{"uri": {"prefix": "/no"}}], "directResponse": {"status": 403}}, {"route": to}]}));
    }
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let from = caller("default");
    for host in [
        "shop.org",
        "a.b.example.com",
        "shop.default.svc.cluster.local",
    ] {
        let called = |uri: &str| way(&snapshot, &Origin::Workload(&from), &get(uri, &[]));
        let there = Some(format!("outbound|80||{host}"));
        assert_eq!(called(&format!("http://in-{host}/")), there);
        assert_eq!(called(&format!("http://{host}/yes")), there);
        assert_eq!(
            called(&format!("http://{host}/no")),
            Some("direct 403".into())
        );
    }
}

#[test]
fn rules_say_how_a_host_is_spoken_to() {
    let mut world = World::default();
    world
        .service_entry("api", "default", json!({"hosts": ["api.example.com"], "resolution": "DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443},
                {"number": 443, "name": "https", "protocol": "HTTPS"}], "subjectAltNames": ["api.example.com"]}))
        .destination_rule("api", json!({"host": "api.example.com", "trafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 7, "connectTimeout": "250ms"},
                "http": {"http1MaxPendingRequests": 3, "http2MaxRequests": 9, "maxRequestsPerConnection": 1, "maxRetries": 0, "h2UpgradePolicy": "UPGRADE"}},
            "tls": {"mode": "MUTUAL", "sni": "x.example.com", "caCertificates": "/ca.pem", "caCrl": "/crl.pem", "clientCertificate": "/c.pem", "privateKey": "/k.pem"}}}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let upstream = &cluster(&snapshot, "api.example.com", 80).upstream;
    let pool = &upstream.pool;
    assert_eq!(
        (pool.max_connections, pool.max_pending, pool.max_requests),
        (7, 3, 9)
    );
    assert_eq!(
        (pool.max_requests_per_connection, pool.max_retries),
        (Some(1), u32::MAX)
    );
    assert_eq!(pool.connect_timeout, Duration::from_millis(250));
    assert_eq!(upstream.speaks, Speaks::Negotiated);
    let files = Credential::Files {
        certificate: "/c.pem".into(),
        key: "/k.pem".into(),
    };
    let wanted = Origination {
        sni: Some("x.example.com".into()),
        names: vec!["api.example.com".into()],
        trust: Trust::File("/ca.pem".into()),
        revoked: Some(crate::Revoked::File("/crl.pem".into())),
        credential: Some(files),
    };
    assert_eq!(upstream.tls.as_ref(), Some(&wanted));
    world.destination_rules.clear();
    let snapshot = world.snapshot();
    assert_eq!(cluster(&snapshot, "api.example.com", 80).upstream.tls, None);
    let tls = cluster(&snapshot, "api.example.com", 443)
        .upstream
        .tls
        .clone();
    assert_eq!(
        tls.unwrap().trust,
        Trust::System,
        "what is spoken on an HTTPS port is encrypted"
    );
}

#[test]
fn a_credential_that_is_not_there_believes_nobody() {
    let mut world = World::default();
    world
        .service_entry("api", "default", json!({"hosts": ["api.example.com"], "resolution": "DNS", "ports": HTTP(80)}))
        .destination_rule("api", json!({"host": "api.example.com", "trafficPolicy": {"tls": {"mode": "SIMPLE", "credentialName": "ca"}}}));
    let (snapshot, findings) = world.compile(None);
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.kind, finding.field.as_str()))
        .collect();
    assert_eq!(
        said,
        [(
            FindingKind::Reference,
            "spec.trafficPolicy.tls.credentialName"
        )]
    );
    let tls = |snapshot: &Snapshot| {
        cluster(snapshot, "api.example.com", 80)
            .upstream
            .tls
            .clone()
            .unwrap()
    };
    assert_eq!(tls(&snapshot).trust, Trust::Nobody);
    world.secrets.push(object(json!({"kind": "Secret", "metadata": metadata("ca", "default"), "data": {"ca.crt": "UEVN"}})));
    let (snapshot, findings) = world.compile(Some(&snapshot));
    assert_eq!(findings, []);
    assert_eq!(tls(&snapshot).trust, Trust::Pem("PEM".into()));
}

#[test]
fn what_did_not_change_keeps_its_connections() {
    let mut world = World::default();
    world
        .service_entry(
            "a",
            "default",
            json!({"hosts": ["a.example.com"], "resolution": "DNS", "ports": HTTP(80)}),
        )
        .service_entry(
            "b",
            "default",
            json!({"hosts": ["b.example.com"], "resolution": "DNS", "ports": HTTP(80)}),
        );
    let first = world.snapshot();
    world.destination_rule("b", json!({"host": "b.example.com", "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}}));
    let (second, _) = world.compile(Some(&first));
    let service = |snapshot: &Snapshot, host: &str| {
        Arc::clone(snapshot.service(host, Some("default")).unwrap())
    };
    assert!(Arc::ptr_eq(
        &service(&first, "a.example.com"),
        &service(&second, "a.example.com")
    ));
    let (before, after) = (
        cluster(&first, "b.example.com", 80),
        cluster(&second, "b.example.com", 80),
    );
    assert!(!Arc::ptr_eq(before, after));
    assert!(
        Arc::ptr_eq(&before.load, &after.load)
            && Arc::ptr_eq(&before.endpoints[0], &after.endpoints[0])
    );
}

proptest! {
    /// Whatever an object holds, compiling ends with a mesh in which the rest works.
    #[test]
    fn no_entry_breaks_the_rest(host in "[a-z*.]{0,12}", word in "[A-Za-z0-9/:.]{0,12}", number in 0u32..70_000) {
        let mut world = World::default();
        world.service_entry("good", "default", json!({"hosts": ["good.example.com"], "ports": HTTP(80)}));
        world.service_entry("odd", "default", json!({"hosts": [host], "addresses": [word], "resolution": word, "exportTo": [word],
            "ports": [{"number": number, "name": word, "protocol": word, "targetPort": number}],
            "endpoints": [{"address": word, "ports": {"x": number}, "weight": number}]}));
        let (snapshot, _) = world.compile(None);
        prop_assert!(snapshot.service("good.example.com", Some("default")).is_some());
    }
}

#[test]
fn entries_are_checked_as_their_group_says() {
    let mut world = World::default();
    world
        .workload_group(
            "web",
            json!({"template": {"labels": {"app": "vm"}}, "metadata": {},
            "probe": {"httpGet": {"port": 8080}, "periodSeconds": 5, "failureThreshold": 0}}),
        )
        .workload_group(
            "odd",
            json!({"template": {}, "probe": {"exec": {"command": ["true"]}}}),
        )
        .workload_group(
            "tls",
            json!({"template": {}, "probe": {"httpGet": {"port": 443, "scheme": "HTTPS"}}}),
        )
        .service_entry(
            "vm",
            "default",
            json!({"hosts": ["vm.example.com"], "resolution": "STATIC", "ports": HTTP(80),
            "workloadSelector": {"labels": {"app": "vm"}}}),
        );
    for (name, group) in [("a", "web"), ("b", "odd"), ("c", "gone")] {
        let number = world.workload_entries.len();
        world.workload_entry(
            name,
            "default",
            json!({"address": format!("192.0.2.{number}"), "labels": {"app": "vm"}}),
        );
        let mut entry = world.workload_entries[number].as_ref().clone();
        entry.set(
            &["metadata", "annotations"],
            json!({"istio.io/autoRegistrationGroup": group}),
        );
        world.workload_entries[number] = Arc::new(entry);
    }
    let (snapshot, findings) = world.compile(None);
    let cluster = cluster(&snapshot, "vm.example.com", 80);
    let checks: Vec<_> = cluster
        .endpoints
        .iter()
        .map(|e| e.check.as_deref())
        .collect();
    let second = Duration::from_secs(1);
    let check = crate::Check {
        probe: crate::Probe::Http {
            port: 8080,
            path: http::uri::PathAndQuery::from_static("/"),
            headers: Vec::new(),
        },
        delay: Duration::ZERO,
        timeout: second,
        period: 5 * second,
        successes: 1,
        failures: 1,
    };
    assert_eq!(checks, [Some(&check), None, None]);
    assert!(cluster.checked && !cluster.endpoints[0].is_sound() && cluster.endpoints[1].is_sound());
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (&*finding.name, &*finding.field))
        .collect();
    assert_eq!(
        said,
        [
            ("c", "metadata.annotations"),
            ("odd", "spec.probe.exec"),
            ("tls", "spec.probe.httpGet.scheme")
        ]
    );
    cluster.endpoints[0].found(true);
    let again = world.compile(Some(&snapshot)).0;
    assert!(self::cluster(&again, "vm.example.com", 80).endpoints[0].is_sound());
}
