//! Ten thousand of everything: the work of a lookup does not grow, and compiling stays under a second (release).

use std::time::{Duration, Instant};

use super::*;
use crate::snapshot::ask;

const MANY: usize = 10_000;

fn many_objects() -> World {
    let mut world = World::default();
    for number in 0..MANY {
        let name = format!("s{number}");
        let to = json!([{"destination": {"host": name}}]);
        world.service(&name, "default", &["v1"]);
        world.virtual_service(&name, json!({"hosts": [name], "http": [
            {"match": [{"uri": {"prefix": "/api"}, "headers": {"x-user": {"exact": "a"}}}], "route": to, "timeout": "1s"},
            {"route": to},
        ]}));
    }
    world
}

#[test]
fn ten_thousand_services_and_routes_compile_in_under_a_second_in_release() {
    let world = many_objects();
    let ((first, findings), fresh) = timed(|| world.compile(None));
    assert_eq!(findings, []);
    let ((second, _), again) = timed(|| world.compile(Some(&first)));
    println!("{MANY} services and routes: {fresh:?}, again with nothing changed: {again:?}");
    if !cfg!(debug_assertions) {
        assert!(fresh < Duration::from_secs(1), "{fresh:?}");
    }
    let from = caller("default");
    let work = |snapshot: &Snapshot| {
        compared(
            snapshot,
            &Origin::Workload(&from),
            &get("http://s9999/other", &[]),
        )
    };
    assert_eq!((work(&first), work(&second)), (1, 1));
}

/// What some work gives, and the processor's time that it took: other work on the machine does not count.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (begin, before) = (Instant::now(), on_processor());
    let result = work();
    let spent = on_processor()
        .zip(before)
        .map(|(after, before)| after - before);
    (result, spent.unwrap_or_else(|| begin.elapsed()))
}

/// This thread's time on a processor, where the system tells.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// How many rules a lookup looked at.
fn compared(snapshot: &Snapshot, origin: &Origin<'_>, head: &Parts) -> u32 {
    let ask = ask(origin, head).unwrap();
    let routes = match origin {
        Origin::Gateway {
            listener,
            server_name,
        } => {
            let server = snapshot.server(*listener, *server_name).unwrap();
            server.routes.find(&ask.host)
        }
        Origin::Workload(source) => {
            let service = snapshot
                .service(&ask.host, Some(&source.namespace))
                .unwrap();
            snapshot.mesh_routes(Some(service), source, &ask)
        }
    };
    assert!(routes.unwrap().rules.find(&ask).is_some());
    ask.compared.get()
}

#[test]
fn ten_thousand_rules_of_one_host_cost_no_more_than_one() {
    let conditions: [fn(usize) -> Value; 3] = [
        |number| json!({"uri": {"exact": format!("/exact/{number}")}}),
        |number| json!({"uri": {"prefix": format!("/prefix/{number}/")}}),
        |number| json!({"headers": {"x-tenant": {"exact": format!("t{number}")}}}),
    ];
    for condition in conditions {
        let mut world = World::default();
        world.service("a", "default", &["v1"]);
        let route = json!([{"destination": {"host": "a"}}]);
        let rules: Vec<Value> = (0..MANY)
            .map(|number| json!({"match": [condition(number)], "route": route}))
            .collect();
        world.virtual_service(
            "big",
            json!({"hosts": ["*"], "gateways": ["edge"], "http": rules}),
        );
        let snapshot = world.snapshot();
        for number in [0, 1, MANY / 2, MANY - 1] {
            let tenant = format!("t{number}");
            let head = match condition(number) {
                value if value.get("headers").is_some() => {
                    get("http://a/", &[("x-tenant", &tenant)])
                }
                value if value["uri"].get("exact").is_some() => {
                    get(&format!("http://a/exact/{number}"), &[])
                }
                _ => get(&format!("http://a/prefix/{number}/x"), &[]),
            };
            assert_eq!(compared(&snapshot, &OUTSIDE, &head), 1, "rule {number}");
        }
    }
}

#[test]
fn ten_thousand_hosts_cost_no_more_than_one() {
    let mut world = World::default();
    world.service("a", "default", &["v1"]);
    for number in 0..MANY {
        let hosts = json!([
            format!("h{number}.example.com"),
            format!("*.w{number}.example.com")
        ]);
        world.virtual_service(
            &format!("v{number}"),
            json!({"hosts": hosts, "gateways": ["edge"], "http": [{"route": [{"destination": {"host": "a"}}]}]}),
        );
    }
    let snapshot = world.snapshot();
    for uri in ["http://h7.example.com/", "http://x.w9999.example.com/"] {
        assert_eq!(compared(&snapshot, &OUTSIDE, &get(uri, &[])), 1, "{uri}");
    }
}

#[test]
fn ten_thousand_routes_of_the_gateway_api_cost_no_more_than_one() {
    let mut world = World::gateway_api();
    world.listeners(
        "edge",
        json!([{"name": "http", "port": 80, "protocol": "HTTP"}]),
    );
    for number in 0..MANY {
        // Every other one shares its host with the rest, and has paths of its own there.
        let host = match number % 2 {
            0 => "shared.example.com".to_owned(),
            _ => format!("h{number}.example.com"),
        };
        let path = json!({"path": {"type": "PathPrefix", "value": format!("/p{number}")}});
        let rule = json!({"matches": [path], "backendRefs": [{"name": "a", "port": 80}]});
        let spec = json!({"parentRefs": [{"name": "edge"}], "hostnames": [host], "rules": [rule]});
        world.route(("default", &format!("r{number}")), spec);
    }
    let (snapshot, findings) = world.compile(None);
    assert_eq!(findings, []);
    assert_eq!(
        snapshot.standings().gateways[0].listeners[0].attached as usize,
        MANY
    );
    for uri in [
        "http://h7.example.com/p7",
        "http://shared.example.com/p9998/x",
    ] {
        assert_eq!(compared(&snapshot, &OUTSIDE, &get(uri, &[])), 1, "{uri}");
    }
}

#[test]
fn ten_thousand_namespaces_with_routes_and_rules_of_their_own_cost_no_more_than_one() {
    let mut world = World::default();
    world.service("a", "default", &["v1"]);
    for number in 0..MANY {
        let meta = json!({"name": "own", "namespace": format!("n{number}")});
        let http = json!([{"route": [{"destination": {"host": "a.default"}}]}]);
        let spec = json!({"hosts": ["a.default"], "exportTo": ["."], "http": http});
        let route = json!({"kind": "VirtualService", "metadata": meta, "spec": spec});
        world.virtual_services.push(object(route));
        let pool = json!({"connectionPool": {"http": {"http2MaxRequests": number + 1}}});
        let spec = json!({"host": "a.default", "trafficPolicy": pool});
        let rule = json!({"kind": "DestinationRule", "metadata": meta, "spec": spec});
        world.destination_rules.push(object(rule));
    }
    let ((snapshot, findings), time) = timed(|| world.compile(None));
    println!("{MANY} namespaces with a route and a rule for one service: {time:?}");
    assert_eq!(findings, []);
    for number in [0, 17, MANY - 1] {
        let from = caller(&format!("n{number}"));
        let (origin, head) = (Origin::Workload(&from), get("http://a.default/", &[]));
        assert_eq!(compared(&snapshot, &origin, &head), 1);
        let found = snapshot.route(&origin, &head).unwrap();
        let Action::Forward(forward) = &found.route.action else {
            unreachable!()
        };
        let to = &forward.destinations[0].destination;
        let cluster = snapshot
            .cluster(to, 80, &crate::Caller::of(&from.namespace))
            .unwrap();
        assert_eq!(cluster.upstream.pool.max_requests as usize, number + 1);
    }
}
