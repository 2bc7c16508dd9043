//! Who sees what: `exportTo` of VirtualServices, DestinationRules and Services, and which DestinationRules hold for whom.

use proptest::prelude::*;

use super::*;
use crate::{Caller, Cluster, Destination, FindingKind, LoadBalancer, Miss, Missing, Sign};

fn add(world: &mut World, kind: &str, (namespace, name): (&str, &str), spec: Value) {
    let list = match kind {
        "VirtualService" => &mut world.virtual_services,
        _ => &mut world.destination_rules,
    };
    let mut meta = metadata(name, namespace);
    meta["creationTimestamp"] = json!(format!("2026-01-01T00:00:{:02}Z", list.len() % 60));
    list.push(object(
        json!({"kind": kind, "metadata": meta, "spec": spec}),
    ));
}

/// A rule for a host with a balancer, so that it is seen which rule holds.
fn rule(world: &mut World, of: (&str, &str), (host, balancer): (&str, &str), to: &[&str]) {
    let policy = json!({"loadBalancer": {"simple": balancer}});
    let spec = json!({"host": host, "trafficPolicy": policy, "exportTo": to});
    add(world, "DestinationRule", of, spec);
}

/// A route for a host that answers with this status.
fn route(world: &mut World, of: (&str, &str), (host, status): (&str, u16), to: &[&str]) {
    let http = json!([{"directResponse": {"status": status}}]);
    let spec = json!({"hosts": [host], "http": http, "exportTo": to});
    add(world, "VirtualService", of, spec);
}

fn world() -> World {
    let mut world = World::default();
    world.service("echo", "shop", &["v1", "v2"]);
    world
}

fn destination(snapshot: &Snapshot, subset: Option<&str>) -> Destination {
    let service = snapshot.service("echo.shop", None).unwrap();
    let Action::Forward(forward) = &service.default_route.action else {
        unreachable!()
    };
    Destination {
        subset: subset.map(Arc::from),
        ..forward.destinations[0].destination.clone()
    }
}

/// What `echo.shop` is to callers of a namespace.
fn seen<'a>(snapshot: &'a Snapshot, namespace: &str) -> &'a Arc<Cluster> {
    let destination = destination(snapshot, None);
    snapshot
        .cluster(&destination, 80, &Caller::of(namespace))
        .unwrap()
}

fn balancer(snapshot: &Snapshot, namespace: &str) -> LoadBalancer {
    seen(snapshot, namespace).balancing.balancer
}

const DEFAULT: LoadBalancer = LoadBalancer::LeastRequest;

#[test]
fn a_rule_of_another_namespace_changes_nothing_for_others() {
    let mut world = world();
    rule(
        &mut world,
        ("intruder", "r"),
        ("echo.shop.svc.cluster.local", "RANDOM"),
        &["*"],
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    assert_eq!(balancer(&snapshot, "intruder"), LoadBalancer::Random);
    for namespace in ["shop", "other", "root"] {
        assert_eq!(balancer(&snapshot, namespace), DEFAULT, "{namespace}");
    }
}

#[test]
fn the_callers_rules_come_first_then_the_services_then_the_roots() {
    let mut world = world();
    rule(&mut world, ("root", "all"), ("*.local", "RANDOM"), &[]);
    let first = world.snapshot();
    for namespace in ["shop", "other", "root"] {
        let found = balancer(&first, namespace);
        assert_eq!(found, LoadBalancer::Random, "{namespace}");
    }
    rule(&mut world, ("shop", "own"), ("echo", "ROUND_ROBIN"), &[]);
    rule(
        &mut world,
        ("other", "own"),
        ("echo.shop", "LEAST_REQUEST"),
        &["."],
    );
    let (second, findings) = world.compile(Some(&first));
    assert_eq!(findings, []);
    let found = ["shop", "third", "root", "other"].map(|name| balancer(&second, name));
    let round = LoadBalancer::RoundRobin;
    assert_eq!(found, [round, round, round, DEFAULT]);
}

#[test]
fn a_rule_is_not_there_for_those_to_whom_it_is_not_exported() {
    let mut world = world();
    rule(&mut world, ("shop", "own"), ("echo", "RANDOM"), &["."]);
    rule(
        &mut world,
        ("root", "some"),
        ("*.shop.svc.cluster.local", "ROUND_ROBIN"),
        &["a", "b"],
    );
    rule(
        &mut world,
        ("root", "none"),
        ("echo.shop", "RANDOM"),
        &["~"],
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let round = LoadBalancer::RoundRobin;
    let found = ["shop", "a", "b", "c", "root"].map(|name| balancer(&snapshot, name));
    assert_eq!(
        found,
        [LoadBalancer::Random, round, round, DEFAULT, DEFAULT]
    );
    assert!(
        Arc::ptr_eq(seen(&snapshot, "a"), seen(&snapshot, "b")),
        "for whom the same holds, it is one value"
    );
}

#[test]
fn the_roots_own_rule_for_itself_comes_first_there() {
    let mut world = world();
    rule(&mut world, ("shop", "own"), ("echo", "RANDOM"), &[]);
    rule(
        &mut world,
        ("root", "self"),
        ("echo.shop", "ROUND_ROBIN"),
        &["."],
    );
    let snapshot = world.snapshot();
    assert_eq!(balancer(&snapshot, "root"), LoadBalancer::RoundRobin);
    assert_eq!(balancer(&snapshot, "other"), LoadBalancer::Random);
}

#[test]
fn the_narrower_host_counts_within_a_namespace_and_the_namespace_before_it() {
    let mut world = world();
    rule(&mut world, ("shop", "wide"), ("*", "RANDOM"), &[]);
    rule(
        &mut world,
        ("shop", "exact"),
        ("echo.shop.svc.cluster.local", "ROUND_ROBIN"),
        &["a"],
    );
    rule(&mut world, ("b", "wide"), ("*.shop", "LEAST_REQUEST"), &[]);
    let snapshot = world.snapshot();
    let found = ["a", "b", "c"].map(|name| balancer(&snapshot, name));
    let wanted = [LoadBalancer::RoundRobin, DEFAULT, LoadBalancer::Random];
    assert_eq!(found, wanted);
}

#[test]
fn rules_with_a_star_hold_for_hosts_outside() {
    let mut world = World::default();
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    for host in ["api.example.com", "*.example.com"] {
        let name = host.trim_start_matches('*').trim_matches('.');
        world.service_entry(name, "default", json!({"hosts": [host], "ports": ports}));
    }
    rule(
        &mut world,
        ("default", "r"),
        ("*.example.com", "RANDOM"),
        &[],
    );
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    for host in ["api.example.com", "www.example.com"] {
        let service = snapshot.service(host, Some("default")).unwrap();
        let found = service.port(80).unwrap().cluster.balancing.balancer;
        assert_eq!(found, LoadBalancer::Random, "{host}");
    }
}

#[test]
fn subsets_are_those_of_the_rules_that_hold_for_the_caller() {
    let mut world = world();
    let subsets = |version: &str| json!([{"name": "stable", "labels": {"version": version}}]);
    for (namespace, version) in [("shop", "v1"), ("a", "v2")] {
        let spec = json!({"host": "echo.shop", "subsets": subsets(version)});
        add(&mut world, "DestinationRule", (namespace, "s"), spec);
    }
    rule(&mut world, ("b", "s"), ("echo.shop", "RANDOM"), &[]);
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let stable = |namespace: &str| {
        let destination = destination(&snapshot, Some("stable"));
        let cluster = snapshot.cluster(&destination, 80, &Caller::of(namespace))?;
        let versions = cluster.endpoints.iter().map(|e| &*e.workload.version);
        Ok(versions.collect::<Vec<_>>())
    };
    assert_eq!(stable("shop"), Ok(vec!["v1"]));
    assert_eq!(stable("other"), Ok(vec!["v1"]));
    assert_eq!(stable("a"), Ok(vec!["v2"]));
    let missing: Missing = stable("b").unwrap_err();
    assert!(missing.to_string().contains("no subset \"stable\""));
    assert!(
        Arc::ptr_eq(seen(&snapshot, "a"), seen(&snapshot, "other")),
        "a rule that says nothing of the whole leaves the whole as it is"
    );
}

#[test]
fn a_subset_that_only_some_callers_have_is_told_to_the_route() {
    let mut world = world();
    let subset = json!([{"name": "stable", "labels": {"version": "v1"}}]);
    let spec = json!({"host": "echo.shop", "subsets": subset});
    add(&mut world, "DestinationRule", ("a", "s"), spec);
    let to = json!([{"destination": {"host": "echo.shop", "subset": "stable"}}]);
    let spec = json!({"hosts": ["echo.shop"], "http": [{"route": to}]});
    add(&mut world, "VirtualService", ("a", "r"), spec.clone());
    let (_, findings) = world.compile(None);
    let said: Vec<_> = findings.iter().map(|one| (one.kind, &*one.field)).collect();
    assert_eq!(said, [(FindingKind::NotApplied, "spec.http[0].route")]);
    let detail = &findings[0].detail;
    assert!(
        detail.starts_with("for callers of other namespaces:"),
        "{detail}"
    );
    // To its own namespace alone it speaks rightly.
    world.virtual_services.clear();
    let mut own = spec;
    own["exportTo"] = json!(["."]);
    add(&mut world, "VirtualService", ("a", "r"), own);
    assert_eq!(world.compile(None).1, []);
}

/// Outlier detection after so many errors, in a namespace, for `echo.shop`.
fn outlier(world: &mut World, namespace: &str, errors: u32, balancer: &str) {
    let outlier = json!({"consecutive5xxErrors": errors, "maxEjectionPercent": 100});
    let policy = json!({"outlierDetection": outlier, "loadBalancer": {"simple": balancer}});
    let spec = json!({"host": "echo.shop", "trafficPolicy": policy});
    add(world, "DestinationRule", (namespace, "o"), spec);
}

fn fail(cluster: &Cluster, times: u32) {
    let all = (
        cluster.balancing.outlier.as_ref().unwrap(),
        cluster.health.as_slice(),
    );
    for _ in 0..times {
        cluster.ejections.judge(all, (0, Sign::NoAnswer), 0);
    }
}

fn is_out(cluster: &Cluster) -> bool {
    !cluster.health[0].is_in(1) && cluster.ejections.may_be_some(1)
}

#[test]
fn who_fails_is_known_to_all_who_judge_alike_and_to_nobody_else() {
    let mut world = world();
    outlier(&mut world, "shop", 2, "RANDOM");
    outlier(&mut world, "like", 2, "ROUND_ROBIN");
    outlier(&mut world, "strict", 1, "RANDOM");
    let first = world.snapshot();
    let of = |name: &str| seen(&first, name);
    assert!(!Arc::ptr_eq(of("like"), of("other")));
    fail(of("strict"), 1);
    assert_eq!(
        ["strict", "like", "other"].map(|name| is_out(of(name))),
        [true, false, false]
    );
    // One failure seen from each of two namespaces is two failures.
    fail(of("like"), 1);
    fail(of("other"), 1);
    assert_eq!(["like", "other"].map(|name| is_out(of(name))), [true, true]);
    // A snapshot later all is known, also to those who part.
    world.destination_rules.clear();
    outlier(&mut world, "shop", 2, "RANDOM");
    outlier(&mut world, "like", 3, "ROUND_ROBIN");
    outlier(&mut world, "fresh", 4, "RANDOM");
    let second = world.compile(Some(&first)).0;
    let of = |name: &str| seen(&second, name);
    let known = ["other", "like", "fresh", "strict"].map(|name| is_out(of(name)));
    assert_eq!(known, [true, true, true, true]);
    let apart = |a: &str, b: &str| !Arc::ptr_eq(&of(a).health[0], &of(b).health[0]);
    assert!(apart("other", "like") && apart("other", "fresh") && apart("like", "fresh"));
    assert!(!apart("other", "strict"), "no rule speaks to it any more");
}

#[test]
fn bounds_are_counted_for_those_whom_they_bind() {
    let mut world = world();
    let pool = json!({"connectionPool": {"http": {"http2MaxRequests": 1}}});
    let spec = json!({"host": "echo.shop", "trafficPolicy": pool});
    add(&mut world, "DestinationRule", ("a", "pool"), spec);
    let first = world.snapshot();
    let (a, other) = (seen(&first, "a"), seen(&first, "other"));
    assert!(a.load.requests.enter(a.upstream.pool.max_requests));
    assert!(!a.load.requests.enter(a.upstream.pool.max_requests));
    assert!(other.load.requests.enter(other.upstream.pool.max_requests));
    rule(&mut world, ("a", "more"), ("echo.shop", "RANDOM"), &[]);
    let second = world.compile(Some(&first)).0;
    let after = seen(&second, "a");
    assert!(!Arc::ptr_eq(a, after) && Arc::ptr_eq(&a.load, &after.load));
    assert!(
        Arc::ptr_eq(&a.upstream, &after.upstream),
        "connections are kept by what they were made for"
    );
    assert!(Arc::ptr_eq(&a.endpoints[0], &other.endpoints[0]));
}

#[test]
fn what_did_not_change_is_shared_with_its_views() {
    let mut world = world();
    outlier(&mut world, "shop", 2, "RANDOM");
    outlier(&mut world, "like", 2, "ROUND_ROBIN");
    outlier(&mut world, "strict", 1, "RANDOM");
    route(&mut world, ("shop", "r"), ("echo", 201), &["."]);
    route(&mut world, ("shop", "s"), ("echo", 202), &[]);
    let first = world.snapshot();
    let second = world.compile(Some(&first)).0;
    let whole = |snapshot: &Snapshot| Arc::clone(snapshot.service("echo.shop", None).unwrap());
    assert!(Arc::ptr_eq(&whole(&first), &whole(&second)));
    let head = get("http://echo.shop/", &[]);
    for namespace in ["shop", "other"] {
        let from = caller(namespace);
        let route = |snapshot: &Snapshot| {
            let found = snapshot.route(&Origin::Workload(&from), &head);
            found.unwrap().route
        };
        assert!(Arc::ptr_eq(&route(&first), &route(&second)), "{namespace}");
    }
    world.destination_rules.pop();
    let third = world.compile(Some(&second)).0;
    assert!(!Arc::ptr_eq(&whole(&second), &whole(&third)));
    let same = |namespace| Arc::ptr_eq(seen(&second, namespace), seen(&third, namespace));
    assert!(same("like") && same("other") && !same("strict"));
}

fn answered(snapshot: &Snapshot, namespace: &str, uri: &str) -> Option<String> {
    let from = caller(namespace);
    way(snapshot, &Origin::Workload(&from), &get(uri, &[]))
}

#[test]
fn routes_speak_to_those_to_whom_they_are_exported() {
    let mut world = world();
    route(&mut world, ("shop", "all"), ("echo.shop", 201), &["*"]);
    route(&mut world, ("b", "named"), ("echo.shop", 202), &["a", "."]);
    route(&mut world, ("a", "own"), ("echo.shop", 203), &["."]);
    route(&mut world, ("c", "nobody"), ("echo.shop", 204), &["~"]);
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let said = |namespace| answered(&snapshot, namespace, "http://echo.shop/").unwrap();
    let all = ["shop", "a", "b", "c"].map(said);
    assert_eq!(
        all,
        ["direct 201", "direct 203", "direct 202", "direct 201"]
    );
    // Without one for everyone the service itself is what others get.
    world.virtual_services.remove(0);
    let snapshot = world.snapshot();
    let said = |namespace| answered(&snapshot, namespace, "http://echo.shop/").unwrap();
    assert_eq!(said("shop"), "outbound|80||echo.shop.svc.cluster.local");
    assert_eq!(said("a"), "direct 203");
}

#[test]
fn a_narrower_host_that_does_not_speak_to_the_caller_hides_no_wider_one() {
    let mut world = World::default();
    route(&mut world, ("a", "n"), ("www.example.com", 201), &["."]);
    route(&mut world, ("b", "w"), ("*.example.com", 202), &[]);
    let snapshot = world.snapshot();
    let said = |namespace| answered(&snapshot, namespace, "http://www.example.com/").unwrap();
    assert_eq!(["a", "c"].map(said), ["direct 201", "direct 202"]);
}

#[test]
fn who_speaks_nowhere_is_told_why() {
    let mut world = world();
    route(&mut world, ("shop", "first"), ("echo.shop", 201), &["a"]);
    route(&mut world, ("b", "second"), ("echo.shop", 202), &["a"]);
    route(&mut world, ("a", "third"), ("echo.shop", 203), &["."]);
    let (_, findings) = world.compile(None);
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let by = "VirtualService a/third is of the caller's own namespace (exportTo) and decides for host \"echo.shop\"";
    assert_eq!(
        said,
        [
            format!("VirtualService b/second: spec.hosts[0]: {by}"),
            format!("VirtualService shop/first: spec.hosts[0]: {by}"),
        ]
    );
}

#[test]
fn a_gateway_takes_routes_that_are_exported_to_its_namespace() {
    let mut world = world();
    let http = json!([{"directResponse": {"status": 201}}]);
    let spec = json!({"hosts": ["a.com"], "gateways": ["edge", "other/edge"], "http": http, "exportTo": ["."]});
    add(&mut world, "VirtualService", ("default", "r"), spec);
    world.gateway(
        "edge",
        json!({"servers": [{"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["*"]}]}),
    );
    let (snapshot, findings) = world.compile(None);
    let said: Vec<_> = findings.iter().map(|one| (one.kind, &*one.field)).collect();
    assert_eq!(said, [(FindingKind::Reference, "spec.gateways[1]")]);
    assert!(way(&snapshot, &OUTSIDE, &get("http://a.com/", &[])).is_some());
}

#[test]
fn a_service_is_there_for_those_to_whom_it_is_exported() {
    let mut world = world();
    let mut service = (*world.services[0]).clone().into_value();
    service["metadata"]["annotations"] = json!({"networking.istio.io/exportTo": "., a"});
    let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    world.services[0] = object(service);
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    let cluster = Some("outbound|80||echo.shop.svc.cluster.local".to_owned());
    let uris = [
        "http://echo.shop/".to_owned(),
        "http://echo.shop.svc.cluster.local/".to_owned(),
        format!("http://{address}/"),
    ];
    for uri in &uris {
        assert_eq!(answered(&snapshot, "a", uri), cluster, "{uri}");
        assert_eq!(answered(&snapshot, "shop", uri), cluster, "{uri}");
        let from = caller("b");
        let from = Origin::Workload(&from);
        assert!(snapshot.route(&from, &get(uri, &[])).is_none(), "{uri}");
        let miss = snapshot.miss(&from, &get(uri, &[]));
        assert!(matches!(miss, Miss::NotExported(..)), "{miss}");
        assert!(miss.to_string().contains("not exported to namespace b"));
    }
    assert!(snapshot.resolve("echo.shop", "a").is_some());
    assert!(snapshot.resolve("echo.shop", "b").is_none());
    let missing = snapshot.cluster(&destination(&snapshot, None), 80, &Caller::of("b"));
    assert!(matches!(missing, Err(Missing::NotExported { .. })));
    // A route that goes there leads only those there to whom the service is exported.
    let to = json!([{"destination": {"host": "echo.shop"}}]);
    let spec = json!({"hosts": ["front.example.com"], "http": [{"route": to}]});
    add(&mut world, "VirtualService", ("shop", "r"), spec);
    let (snapshot, findings) = world.compile(Some(&snapshot));
    assert_eq!(findings, []);
    let said = |namespace| answered(&snapshot, namespace, "http://front.example.com/");
    assert_eq!(said("a"), cluster);
    assert!(said("b").unwrap().contains("not exported to namespace b"));
}

#[test]
fn a_destination_outside_is_the_one_that_the_caller_sees() {
    let mut world = World::default();
    for (namespace, port) in [("a", 8001), ("b", 8002)] {
        let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]);
        let spec = json!({"hosts": ["db.example.com"], "ports": ports, "exportTo": ["."], "resolution": "STATIC",
            "endpoints": [{"address": "192.0.2.1"}]});
        world.service_entry("db", namespace, spec);
    }
    let snapshot = world.snapshot();
    let service = snapshot.service("db.example.com", Some("a")).unwrap();
    let Action::Forward(forward) = &service.default_route.action else {
        unreachable!()
    };
    let destination = &forward.destinations[0].destination;
    let port = |namespace| {
        let found = snapshot.cluster(destination, 80, &Caller::of(namespace));
        found.map(|cluster| cluster.endpoints[0].port).ok()
    };
    assert_eq!(["a", "b", "c"].map(port), [Some(8001), Some(8002), None]);
}

/// A rule of the property below: namespace, host, to whom.
type Made = (&'static str, &'static str, Vec<&'static str>);

fn some_rule() -> impl Strategy<Value = Made> {
    let namespace = prop::sample::select(vec!["a", "b", "shop", "root"]);
    let host = prop::sample::select(vec![
        "echo.shop",
        "*.local",
        "*",
        "*.shop.svc.cluster.local",
    ]);
    let word = prop::sample::select(vec![".", "*", "~", "a", "b", "shop", "root"]);
    (namespace, host, prop::collection::vec(word, 0..3))
}

/// The rule that holds for a caller, by going through all of them.
fn slowly(rules: &[Made], caller: &str) -> Option<usize> {
    let everywhere = |rule: &Made| rule.2.is_empty() || rule.2.contains(&"*");
    let sees = |rule: &Made| {
        everywhere(rule) || rule.2.contains(&caller) || (rule.2.contains(&".") && rule.0 == caller)
    };
    let tiers: [&dyn Fn(&Made) -> bool; 3] = [
        &|rule| rule.0 == caller && (caller != "root" || !everywhere(rule)),
        &|rule| rule.0 == "shop",
        &|rule| rule.0 == "root",
    ];
    for tier in tiers {
        for host in ["echo.shop", "*.shop.svc.cluster.local", "*.local", "*"] {
            let holds = |rule: &Made| rule.1 == host && tier(rule) && sees(rule);
            if let Some(found) = rules.iter().position(holds) {
                return Some(found);
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_caller_has_the_rule_that_a_search_finds(rules in prop::collection::vec(some_rule(), 0..7)) {
        let mut world = world();
        for (number, (namespace, host, to)) in rules.iter().enumerate() {
            // Which rule holds is read from its bound; the oldest of several has the last word.
            let pool = json!({"connectionPool": {"http": {"http2MaxRequests": number + 1}}});
            let spec = json!({"host": host, "trafficPolicy": pool, "exportTo": to});
            add(&mut world, "DestinationRule", (namespace, &format!("r{number}")), spec);
        }
        let first = world.snapshot();
        let again = world.compile(Some(&first)).0;
        for caller in ["a", "b", "shop", "root", "other"] {
            let wanted = slowly(&rules, caller).map_or(u32::MAX, |at| u32::try_from(at).unwrap() + 1);
            for snapshot in [&first, &again] {
                prop_assert_eq!(seen(snapshot, caller).upstream.pool.max_requests, wanted, "{}", caller);
            }
        }
    }
}
