//! Traffic policies: what a DestinationRule says about balancing, and what of it lasts from one snapshot to the next.

use std::time::Duration;

use super::*;
use crate::{Cluster, HashKey, HashMethod, LoadBalancer, LocalityRule, OutlierPolicy, Sign};

fn world(policy: Value) -> World {
    let mut world = World::default();
    world
        .service("echo", "default", &["v1", "v2", "v3"])
        .destination_rule("echo", json!({"host": "echo", "trafficPolicy": policy}));
    world
}

fn port(snapshot: &Snapshot) -> &crate::ServicePort {
    let service = snapshot.service("echo", Some("default")).unwrap();
    service.port(80).unwrap()
}

/// The cluster that a rule with this policy makes, without findings.
fn cluster(policy: Value) -> Arc<Cluster> {
    let (snapshot, findings) = world(policy).compile(None);
    assert_eq!(findings, []);
    Arc::clone(&port(&snapshot).cluster)
}

#[test]
fn every_way_of_hashing_is_read() {
    let hash = |settings: Value| {
        let cluster = cluster(json!({"loadBalancer": {"consistentHash": settings}}));
        assert!(cluster.table.is_some());
        cluster.balancing.hash.clone().unwrap()
    };
    let ring = HashMethod::Ring(1024);
    let header = hash(json!({"httpHeaderName": "X-User"}));
    let name = http::HeaderName::from_static("x-user");
    assert_eq!((header.key, header.method), (HashKey::Header(name), ring));
    let source = hash(json!({"useSourceIp": true, "minimumRingSize": 64}));
    assert_eq!(source.key, HashKey::SourceIp);
    assert_eq!(source.method, HashMethod::Ring(64));
    let query = hash(json!({"httpQueryParameterName": "user", "maglev": {}}));
    assert_eq!(query.key, HashKey::Query("user".into()));
    assert_eq!(query.method, HashMethod::Maglev(65_537));
    let attributes = json!([{"name": "SameSite", "value": "Lax"}, {"name": "Secure"}]);
    let cookie = hash(
        json!({"httpCookie": {"name": "sid", "path": "/a", "ttl": "60s", "attributes": attributes},
        "ringHash": {"minimumRingSize": 32}}),
    );
    assert_eq!(cookie.method, HashMethod::Ring(32));
    assert_eq!(
        cookie.key,
        HashKey::Cookie {
            name: "sid".into(),
            path: Some("/a".into()),
            life: Some(Duration::from_secs(60)),
            attributes: "; SameSite=Lax; Secure".into(),
        }
    );
}

#[test]
fn a_rule_that_chooses_workloads_holds_for_them_alone() {
    let mut world = World::default();
    let random = json!({"loadBalancer": {"simple": "RANDOM"}});
    let some = json!({"host": "echo", "workloadSelector": {"matchLabels": {"app": "caller"}},
        "trafficPolicy": {"outlierDetection": {}}, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]});
    world
        .service("echo", "default", &["v1", "v2"])
        .destination_rule("all", json!({"host": "echo", "trafficPolicy": random}))
        .destination_rule("some", some);
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let seen = |workload: &Workload, subset| {
        let caller = Origin::Workload(workload).caller("");
        port(&snapshot).seen_by(&caller, subset).cloned()
    };
    let (mine, mut other, elsewhere) = (caller("default"), caller("default"), caller("other"));
    other.labels.clear();
    let chosen = seen(&mine, None).unwrap();
    assert!(chosen.balancing.outlier.is_some());
    assert_eq!(chosen.balancing.balancer, LoadBalancer::default());
    assert_eq!(seen(&mine, Some("v1")).unwrap().endpoints.len(), 1);
    for workload in [&other, &elsewhere] {
        let all = seen(workload, None).unwrap();
        assert!(all.balancing.outlier.is_none());
        assert_eq!(all.balancing.balancer, LoadBalancer::Random);
        assert!(seen(workload, Some("v1")).is_none());
    }
    let (again, _) = world.compile(Some(&snapshot));
    let before = Origin::Workload(&mine).caller("");
    let after = port(&again).seen_by(&before, None).unwrap();
    assert!(
        Arc::ptr_eq(after, &chosen),
        "what is known of its endpoints stays"
    );
}

#[test]
fn outliers_have_the_defaults_of_istio() {
    let outlier = |settings: Value| {
        let cluster = cluster(json!({"outlierDetection": settings}));
        cluster.balancing.outlier.clone().unwrap()
    };
    assert_eq!(outlier(json!({})), OutlierPolicy::DEFAULT);
    let all = outlier(
        json!({"consecutive5xxErrors": 3, "consecutiveGatewayErrors": 2, "consecutiveLocalOriginFailures": 4,
        "splitExternalLocalOriginErrors": true, "interval": "1s", "baseEjectionTime": "2s", "maxEjectionPercent": 50,
        "minHealthPercent": 30}),
    );
    let wanted = OutlierPolicy {
        consecutive_5xx: 3,
        consecutive_gateway: 2,
        consecutive_local: 4,
        split: true,
        interval: Duration::from_secs(1),
        base_time: Duration::from_secs(2),
        longest: OutlierPolicy::DEFAULT.longest,
        most: 50,
        least_healthy: 30,
    };
    assert_eq!(all, wanted);
    assert_eq!(cluster(json!({})).balancing.outlier, None);
}

#[test]
fn nearness_counts_only_where_failure_is_noticed_and_shares_always() {
    let locality = |policy: Value| cluster(policy).balancing.locality.clone();
    let failover = json!([{"from": "eu", "to": "us"}]);
    let setting = json!({"localityLbSetting": {"failover": failover}});
    assert_eq!(locality(json!({"loadBalancer": setting})), None);
    let wanted = LocalityRule::Nearest {
        failover: vec![("eu".into(), "us".into())],
        labels: Vec::new(),
    };
    let with_outliers = json!({"loadBalancer": setting, "outlierDetection": {}});
    assert_eq!(locality(with_outliers), Some(wanted));
    let off = json!({"localityLbSetting": {"enabled": false}});
    let off = json!({"loadBalancer": off, "outlierDetection": {}});
    assert_eq!(locality(off), None);
    let shares = json!({"localityLbSetting": {"distribute": [{"from": "eu/*", "to": {"eu/*": 80, "us/*": 20}}]}});
    let shares = locality(json!({"loadBalancer": shares})).unwrap();
    let caller = crate::Locality::parse("eu/1");
    assert_eq!(shares.shares(&caller).map(<[_]>::len), Some(2));
}

#[test]
fn slow_start_and_retry_budget_are_read() {
    let cluster = cluster(json!({
        "loadBalancer": {"simple": "ROUND_ROBIN", "warmup": {"duration": "10s", "minimumPercent": 20, "aggression": 2}},
        "retryBudget": {"percent": 50, "minRetryConcurrency": 7}}));
    assert_eq!(cluster.balancing.balancer, LoadBalancer::RoundRobin);
    let warmup = cluster.balancing.warmup.unwrap();
    assert_eq!(
        (warmup.time, warmup.least, warmup.aggression),
        (Duration::from_secs(10), 0.2, 2.0)
    );
    let budget = cluster.balancing.budget.unwrap();
    assert_eq!((budget.limit(0), budget.limit(100)), (7, 50));
}

#[test]
fn a_subset_overrides_its_host_and_a_port_overrides_all_that_was_said() {
    let mut world = World::default();
    world.service("echo", "default", &["v1"]).destination_rule(
        "echo",
        json!({"host": "echo",
            "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}, "outlierDetection": {}, "connectionPool": {"http": {"http2MaxRequests": 5}}},
            "subsets": [
                {"name": "own", "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
                {"name": "port", "trafficPolicy": {"portLevelSettings": [
                    {"port": {"number": 80}, "connectionPool": {"http": {"maxRetries": 1}}}]}},
                {"name": "other-port", "trafficPolicy": {"portLevelSettings": [
                    {"port": {"number": 81}, "loadBalancer": {"simple": "ROUND_ROBIN"}}]}},
            ]}),
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let said = |subset: &str| {
        let cluster = &port(&snapshot).subsets[subset];
        let balancing = &cluster.balancing;
        let outlier = balancing.outlier.is_some();
        (
            balancing.balancer,
            outlier,
            cluster.upstream.pool.max_requests,
        )
    };
    assert_eq!(said("own"), (LoadBalancer::RoundRobin, true, 5));
    assert_eq!(said("port"), (LoadBalancer::LeastRequest, false, u32::MAX));
    assert_eq!(port(&snapshot).subsets["port"].upstream.pool.max_retries, 1);
    assert_eq!(said("other-port"), (LoadBalancer::Random, true, 5));
}

#[test]
fn a_port_without_a_number_is_said() {
    let settings = json!([{"loadBalancer": {"simple": "RANDOM"}}]);
    let (_, findings) = world(json!({"portLevelSettings": settings})).compile(None);
    assert_eq!(
        findings[0].field,
        "spec.trafficPolicy.portLevelSettings[0].port"
    );
}

#[test]
fn who_failed_is_remembered_and_an_unchanged_table_is_kept() {
    let policy = json!({"outlierDetection": {"consecutive5xxErrors": 1, "maxEjectionPercent": 100},
        "loadBalancer": {"consistentHash": {"httpHeaderName": "x"}}});
    let mut world = world(policy);
    let first = world.snapshot();
    let before = Arc::clone(&port(&first).cluster);
    let all = (
        before.balancing.outlier.as_ref().unwrap(),
        before.health.as_slice(),
    );
    before.ejections.judge(all, (1, Sign::NoAnswer), 0);
    world.destination_rules.clear();
    world.destination_rule(
        "echo",
        json!({"host": "echo", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 2},
            "loadBalancer": {"consistentHash": {"httpHeaderName": "y"}}}}),
    );
    let second = world.compile(Some(&first)).0;
    let after = &port(&second).cluster;
    assert!(!Arc::ptr_eq(&before, after));
    let inside = |cluster: &Cluster| {
        let all = cluster.health.iter();
        all.map(|health| health.is_in(1_000)).collect::<Vec<_>>()
    };
    assert_eq!(inside(after), [true, false, true]);
    assert!(after.ejections.may_be_some(1_000));
    let tables = (
        before.table.as_ref().unwrap(),
        after.table.as_ref().unwrap(),
    );
    assert!(Arc::ptr_eq(tables.0, tables.1));
}

#[test]
fn entries_have_weights_and_places() {
    let mut world = World::default();
    world.service_entry("far", "default", json!({"hosts": ["far.example.com"], "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": "192.0.2.1", "weight": 3, "locality": "eu/eu-1/a"}, {"address": "192.0.2.2", "weight": 0}]}));
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let service = snapshot
        .service("far.example.com", Some("default"))
        .unwrap();
    let cluster = &service.port(80).unwrap().cluster;
    let weights: Vec<u32> = cluster.endpoints.iter().map(|e| e.weight).collect();
    assert_eq!((weights.as_slice(), cluster.even), (&[3, 1][..], false));
    let place = &cluster.endpoints[0].workload.locality;
    assert_eq!(*place, crate::Locality::parse("eu/eu-1/a"));
}

#[test]
fn pods_and_gateways_stand_where_their_node_does() {
    let zone = |zone: &str| json!({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": zone});
    let mut world = world(json!({}));
    let without = world.snapshot();
    assert!(!without.locality().is_known());
    world.node("here", zone("eu-1")).node("there", zone("eu-2"));
    let first = world.compile(Some(&without)).0;
    let place = |snapshot: &Snapshot| {
        port(snapshot).cluster.endpoints[0]
            .workload
            .locality
            .clone()
    };
    assert_eq!(place(&first), crate::Locality::parse("eu/eu-1"));
    assert_eq!(**first.locality(), crate::Locality::parse("eu/eu-1"));
    world.nodes.clear();
    world.node("here", zone("eu-3"));
    let second = world.compile(Some(&first)).0;
    assert_eq!(place(&second), crate::Locality::parse("eu/eu-3"));
}

#[test]
fn a_service_may_ask_for_affinity_by_address() {
    let hash = |policy: Value| {
        let mut world = world(policy);
        let mut service = world.services[0].as_ref().clone();
        service.set(&["spec", "sessionAffinity"], json!("ClientIP"));
        world.services[0] = Arc::new(service);
        let (snapshot, findings) = world.compile(None);
        assert_eq!(findings, []);
        port(&snapshot)
            .cluster
            .balancing
            .hash
            .clone()
            .map(|hash| hash.key)
    };
    assert_eq!(hash(json!({})), Some(HashKey::SourceIp));
    assert_eq!(
        hash(json!({"loadBalancer": {"simple": "ROUND_ROBIN"}})),
        None
    );
    let query = json!({"loadBalancer": {"consistentHash": {"httpQueryParameterName": "x"}}});
    assert_eq!(hash(query), Some(HashKey::Query("x".into())));
}
