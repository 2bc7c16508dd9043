//! What cannot be honoured is said, and what works keeps working.

use super::*;
use crate::FindingKind;

fn world() -> World {
    let mut world = World::default();
    world.service("reviews", "default", &["v1"]);
    world
}

fn route() -> Value {
    json!([{"destination": {"host": "reviews"}}])
}

fn said(findings: &[Finding]) -> Vec<(FindingKind, &str)> {
    findings
        .iter()
        .map(|finding| (finding.kind, finding.field.as_str()))
        .collect()
}

#[test]
fn nothing_that_is_not_applied_is_silent() {
    let mut world = world();
    world
        .virtual_service("all", json!({"hosts": ["reviews"], "http": [{
            "route": route(), "mirror": {"host": "reviews"}, "corsPolicy": {"allowOrigins": []},
            "retries": {"attempts": 1, "backoff": "1s", "retryOn": "http3-post-connect-failure", "retryRemoteLocalities": true},
        }]}))
        .destination_rule("pool", json!({"host": "reviews", "trafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 1, "tcpKeepalive": {}}, "http": {"useClientProtocol": true}}, "tunnel": {"targetHost": "a"},
            "loadBalancer": {"simple": "PASSTHROUGH", "consistentHash": {"maglev": {"tableSize": 8}}}}}))
        .gateway("tls", json!({"servers": [{"port": {"number": 443, "protocol": "HTTPS"}, "hosts": ["a.com"], "tls": {"mode": "PASSTHROUGH", "cipherSuites": ["x"]}}]}));
    let (snapshot, findings) = world.compile(None);
    let not_applied = |field| (FindingKind::NotApplied, field);
    assert_eq!(
        said(&findings),
        [
            not_applied("spec.trafficPolicy.connectionPool"),
            not_applied("spec.trafficPolicy.connectionPool.http.useClientProtocol"),
            (
                FindingKind::Invalid,
                "spec.trafficPolicy.loadBalancer.consistentHash"
            ),
            (
                FindingKind::Invalid,
                "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize"
            ),
            not_applied("spec.trafficPolicy.loadBalancer.simple"),
            not_applied("spec.trafficPolicy.tunnel"),
            (FindingKind::Invalid, "spec.trafficPolicy.tunnel.targetHost"),
            not_applied("spec.servers[0].tls.cipherSuites"),
            not_applied("spec.http[0].retries.retryOn"),
        ]
    );
    let from = caller("default");
    assert!(
        way(
            &snapshot,
            &Origin::Workload(&from),
            &get("http://reviews/", &[])
        )
        .is_some()
    );
}

#[test]
fn a_bad_reference_costs_its_own_share_only() {
    let mut world = world();
    let rules = json!([
        {"match": [{"uri": {"prefix": "/gone"}}], "route": [{"destination": {"host": "gone"}}]},
        {"match": [{"uri": {"prefix": "/subset"}}], "route": [{"destination": {"host": "reviews", "subset": "v9"}}]},
        {"match": [{"uri": {"prefix": "/port"}}], "route": [{"destination": {"host": "reviews", "port": {"number": 81}}}]},
        {"route": route()},
    ]);
    world.virtual_service("refs", json!({"hosts": ["reviews"], "http": rules}));
    world.destination_rule("nobody", json!({"host": "nobody"}));
    let (snapshot, findings) = world.compile(None);
    let reference = |field| (FindingKind::Reference, field);
    assert_eq!(
        said(&findings),
        [
            reference("spec.host"),
            reference("spec.http[0].route"),
            reference("spec.http[1].route"),
            reference("spec.http[2].route"),
        ]
    );
    let from = caller("default");
    let way = |uri| way(&snapshot, &Origin::Workload(&from), &get(uri, &[])).unwrap();
    assert_eq!(
        way("http://reviews/gone"),
        "service gone.default does not exist"
    );
    assert!(
        way("http://reviews/subset").contains("no subset \"v9\": a DestinationRule must define it")
    );
    assert_eq!(
        way("http://reviews/port"),
        "service reviews.default has no port 81"
    );
    assert!(way("http://reviews/").starts_with("outbound|80||"));
}

#[test]
fn an_unusable_condition_makes_its_rule_unreachable_not_wider() {
    let mut world = world();
    let rules = json!([
        {"match": [{"uri": {"regex": "("}}], "directResponse": {"status": 403}},
        {"match": [{"headers": {"bad name": {"exact": "x"}}}], "directResponse": {"status": 403}},
        {"match": [{"uri": {"exact": 7}}], "directResponse": {"status": 403}},
        {"route": route()},
    ]);
    world.virtual_service("bad", json!({"hosts": ["reviews", "a.*.b"], "http": rules}));
    let (snapshot, findings) = world.compile(None);
    assert!(
        findings
            .iter()
            .all(|finding| finding.kind == FindingKind::Invalid),
        "{findings:?}"
    );
    assert_eq!(findings.len(), 4);
    let from = caller("default");
    let way = way(
        &snapshot,
        &Origin::Workload(&from),
        &get("http://reviews/", &[]),
    );
    assert!(way.unwrap().starts_with("outbound|"));
}

#[test]
fn between_pods_the_oldest_object_decides() {
    let mut world = world();
    world.virtual_service(
        "older",
        json!({"hosts": ["reviews"], "http": [{"directResponse": {"status": 201}}]}),
    );
    world.virtual_service("newer", json!({"hosts": ["reviews.default.svc.cluster.local"], "http": [{"directResponse": {"status": 202}}]}));
    let (snapshot, findings) = world.compile(None);
    let from = caller("default");
    assert_eq!(
        way(
            &snapshot,
            &Origin::Workload(&from),
            &get("http://reviews/", &[])
        )
        .unwrap(),
        "direct 201"
    );
    assert_eq!(said(&findings), [(FindingKind::Conflict, "spec.hosts[0]")]);
    assert!(
        findings[0]
            .to_string()
            .contains("VirtualService default/older is older"),
        "{}",
        findings[0]
    );
}

#[test]
fn a_missing_gateway_is_reported_and_served() {
    let mut world = world();
    world.virtual_service(
        "edge",
        json!({"hosts": ["*"], "gateways": ["absent"], "http": [{"route": route()}]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(said(&findings), [(FindingKind::Reference, "spec.gateways")]);
    assert!(way(&snapshot, &OUTSIDE, &get("http://x/", &[])).is_some());
}

#[test]
fn services_say_what_they_ask_in_vain() {
    let mut world = World::default();
    let spec = json!({"type": "NodePort", "sessionAffinity": "ClientIP", "clusterIP": "None",
        "ports": [{"port": 53, "protocol": "SCTP", "name": "dns"}, {"port": 80, "name": "http"}]});
    world.services.push(object(
        json!({"metadata": {"name": "s", "namespace": "default"}, "spec": spec}),
    ));
    let subsets =
        json!([{"addresses": [{"ip": "somewhere"}], "ports": [{"name": "http", "port": 80}]}]);
    world.endpoints.push(object(
        json!({"metadata": {"name": "s", "namespace": "default"}, "subsets": subsets}),
    ));
    let (snapshot, findings) = world.compile(None);
    let fields: Vec<_> = findings
        .iter()
        .map(|finding| finding.field.as_str())
        .collect();
    assert_eq!(fields, ["endpoints.subsets", "spec.ports", "spec.type"]);
    let service = snapshot.service("s", Some("default")).unwrap();
    assert_eq!((service.address, service.ports.len()), (None, 1));
    assert_eq!(service.ports[0].cluster.endpoints.len(), 0);
}

#[test]
fn garbage_is_survived() {
    let mut world = world();
    for spec in [
        json!(null),
        json!([]),
        json!({"http": "x", "hosts": {}}),
        json!({"hosts": [1], "http": [null, {"match": [[]], "route": [7]}]}),
    ] {
        world
            .virtual_service("garbage", spec.clone())
            .destination_rule("garbage", spec.clone())
            .gateway("garbage", spec);
    }
    world.services.push(object(json!({"metadata": {"name": "g"}, "spec": {"ports": [{"port": 70000}, {}], "clusterIP": 7}})));
    world
        .endpoints
        .push(object(json!({"metadata": {"name": "g"}, "subsets": {}})));
    world.pods.push(object(json!({"metadata": {"labels": []}})));
    let (snapshot, _) = world.compile(None);
    let from = caller("default");
    assert!(
        way(
            &snapshot,
            &Origin::Workload(&from),
            &get("http://reviews/", &[])
        )
        .is_some()
    );
}

#[test]
fn a_star_does_not_take_every_call_between_pods() {
    let mut world = world();
    world.virtual_service(
        "star",
        json!({"hosts": ["*", "reviews"], "http": [{"directResponse": {"status": 201}}]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(said(&findings), [(FindingKind::Invalid, "spec.hosts[0]")]);
    let from = caller("default");
    let origin = Origin::Workload(&from);
    assert!(
        snapshot
            .route(&origin, &get("http://outside.example/", &[]))
            .is_none()
    );
    assert_eq!(
        way(&snapshot, &origin, &get("http://reviews/", &[])).unwrap(),
        "direct 201"
    );
}

#[test]
fn identities_of_the_mesh_are_for_all_and_less_than_strict_is_told() {
    let mut world = world();
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let names = ["spiffe://cluster.local/ns/default/sa/out"];
    let tls = json!({"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}});
    world
        .service_entry(
            "out",
            "default",
            json!({"hosts": ["out.example.com"], "ports": ports}),
        )
        .destination_rule("pods", json!({"host": "reviews", "trafficPolicy": tls}))
        .destination_rule("wide", json!({"host": "*.local", "trafficPolicy": tls}))
        .destination_rule(
            "outside",
            json!({"host": "out.example.com", "trafficPolicy": tls}),
        );
    for (name, mode) in [("strict", "STRICT"), ("open", "PERMISSIVE")] {
        let ports = json!({"8080": {"mode": mode}});
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "mtls": {"mode": "UNSET"}, "portLevelMtls": ports});
        let meta = metadata(name, "default");
        let kind = "PeerAuthentication";
        let object = object(json!({"kind": kind, "metadata": meta, "spec": spec}));
        world.peer_authentications.push(object);
    }
    let (snapshot, findings) = world.compile(None);
    let named: Vec<_> = findings
        .iter()
        .map(|one| (one.name.as_str(), one.kind, one.field.as_str()))
        .collect();
    let open = "spec.portLevelMtls[\"8080\"].mode";
    assert_eq!(named, [("open", FindingKind::NotApplied, open)]);
    let service = snapshot.service("out.example.com", None).unwrap();
    let tls = service.ports[0].cluster.upstream.tls.clone().unwrap();
    assert_eq!(tls.trust, crate::Trust::Mesh, "it is never called in plain");
    assert_eq!(*tls.names[0], *names[0]);
}
