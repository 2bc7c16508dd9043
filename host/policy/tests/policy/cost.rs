//! What a check costs. `cargo test -p osier-policy --release --test policy -- --ignored --nocapture --test-threads 1 cost`

use crate::fixture::{
    ACCESS_LOG, DENIER, FRAUD, HEADER_REWRITE, LIST, World, allowed, attributes, headers, module,
    scope,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use osier_engine::proxy_wasm::{Headers, Side};
use osier_policy::{
    Attributes, Condition, Exchange, FilterKind, HeadVerdict, ObjectKey, PolicySet, Vocabulary,
};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Nanoseconds of one turn: the best of several batches, which is what is left when the machine's noise is taken away.
fn nanoseconds(mut turn: impl FnMut()) -> f64 {
    const BATCH: u32 = 2000;
    let mut best = Duration::MAX;
    for _ in 0..30 {
        let begun = Instant::now();
        (0..BATCH).for_each(|_| turn());
        best = best.min(begun.elapsed());
    }
    best.as_nanos() as f64 / f64::from(BATCH)
}

/// Prints what one check of a set costs.
fn show(what: &str, set: &PolicySet, attributes: &Attributes<'_>) {
    let cost = nanoseconds(|| {
        black_box(set.check(&scope(), black_box(attributes)));
    });
    println!("{cost:9.0} ns  {what}");
}

#[test]
#[ignore = "prints figures; run it in release"]
fn expressions() {
    let headers = headers(&[("x-user", "eve"), ("accept", "*/*"), ("user-agent", "curl")]);
    let attributes = attributes(&headers);
    for source in [
        "request.method == 'POST' && source.namespace != 'admin'",
        "request.path.startsWith('/reviews')",
        "request.path.matches('^/reviews/[0-9]+')",
        "request.headers['x-user'] == 'eve'",
        "'x-user' in request.headers ? request.headers['x-user'].startsWith('e') : false",
        "['eve', 'bob', 'ann'].exists(u, u == request.headers['x-user'])",
    ] {
        let condition = Condition::compile(source, &Vocabulary::default()).unwrap();
        let cost = nanoseconds(|| {
            let _ = black_box(condition.evaluate(black_box(&attributes)));
        });
        println!("{cost:9.0} ns  {source}");
    }
}

#[test]
#[ignore = "prints figures; run it in release"]
fn checks() {
    let headers = headers(&[("x-user", "eve"), ("x-country", "FR"), ("accept", "*/*")]);
    let attributes = attributes(&headers);
    let world = World::new();
    let show = |what, set: &PolicySet| show(what, set, &attributes);
    show("no policy at all", &PolicySet::default());
    let denier = world.load("denier", DENIER, json!({}));
    let asked = json!({"actions": [{"plugin": "denier", "template": "checknothing"}]});
    let mut spec = asked.clone();
    spec["targetRefs"] = json!([{"kind": "Service", "name": "other"}]);
    show(
        "a policy for another service",
        &world.set(&[&denier], &spec),
    );
    let mut spec = asked.clone();
    spec["match"] = json!("request.method == 'GET' && source.namespace != 'admin'");
    show("match of two terms is false", &world.set(&[&denier], &spec));
    show("denier", &world.set(&[&denier], &asked));
    for (what, config) in [
        ("list, one field", json!({"entries": ["eve"]})),
        (
            "list, answer from the cache",
            json!({"entries": ["eve"], "validFor": "1h"}),
        ),
    ] {
        let plugin = world.load("list", LIST, json!({"config": config}));
        let fields = json!({"value": "request.headers['x-user'].orValue('')"});
        let action = json!({"plugin": "list", "template": "listentry", "fields": fields});
        show(what, &world.set(&[&plugin], &json!({"actions": [action]})));
    }
    let fraud = world.load("fraud", FRAUD, json!({}));
    let action = json!({"plugin": "fraud", "template": "score", "fields": ten_attributes()});
    let set = world.set(&[&fraud], &json!({"actions": [action]}));
    allowed(set.check(&scope(), &attributes));
    show("own template, eleven fields over ten attributes", &set);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "prints figures; run it in release"]
async fn reports() {
    let headers = headers(&[("x-user", "eve"), ("accept", "*/*")]);
    let attributes = attributes(&headers);
    let world = World::new();
    let log = world.load("log", ACCESS_LOG, json!({"grants": {"logs": ["access"]}}));
    let variables = "{'path': request.path, 'method': request.method, 'status': response.code, 'user': request.headers['x-user'],
        'from': source.workload.name, 'to': destination.service.name, 'id': request.id, 'took': response.duration}";
    let fields = json!({"name": "'access'", "variables": variables});
    let action = json!({"plugin": "log", "template": "logentry", "fields": fields});
    for (what, limit) in [
        ("told, eight variables", 100_000),
        ("told, queue is full", 1),
    ] {
        let mut action = action.clone();
        action["queue"] = json!({"limit": limit});
        let set = world.set(&[&log], &json!({"actions": [action]}));
        let cost = nanoseconds(|| set.report(&scope(), black_box(&attributes)));
        println!("{cost:9.0} ns  {what}");
    }
    let none = PolicySet::default();
    let cost = nanoseconds(|| none.report(&scope(), black_box(&attributes)));
    println!("{cost:9.0} ns  nobody is told");
}

/// What a filter of headers costs that removes one header of a request and sees the response: a component, and a module of proxy-wasm.
#[test]
#[ignore = "prints figures; run it in release"]
fn filters() {
    let secret = "Basic c2hvcDpzZWNyZXQ=";
    let headers = headers(&[
        ("authorization", secret),
        ("accept", "*/*"),
        ("user-agent", "curl"),
    ]);
    let attributes = attributes(&headers);
    let world = World::new();
    let key = ObjectKey::new("default", "basic-auth");
    let spec = json!({"image": "basic-auth:1", "config": secret});
    let module = world
        .host
        .load(&key, &spec, &module("example_basic_auth"))
        .unwrap();
    let config =
        json!({"request": {"remove": ["authorization"]}, "response": {"set": {"x-a": "b"}}});
    let component = world.load("rewrite", HEADER_REWRITE, json!({"config": config}));
    for (what, plugin, name) in [
        ("header filter, component", &component, "rewrite"),
        ("header filter, proxy-wasm", &module, "basic-auth"),
    ] {
        let set = world.set(
            &[plugin],
            &json!({"actions": [{"plugin": name, "hook": "filter"}]}),
        );
        let cost = nanoseconds(|| {
            for filter in set
                .filters(&scope(), black_box(&attributes), &mut Vec::new())
                .unwrap()
            {
                exchange(&filter, &headers);
            }
        });
        println!("{cost:9.0} ns  {what}");
    }
}

/// A request and its response around one filter.
fn exchange(filter: &FilterKind, headers: &HeaderMap) {
    let response = HeaderMap::new();
    match filter {
        FilterKind::Messages(filter) => {
            let exchange = Exchange {
                method: "GET",
                path: "/",
                ..Exchange::default()
            };
            let verdict = filter.on_request(&exchange, headers);
            assert!(matches!(verdict, HeadVerdict::Proceed(changes) if changes.len() == 1));
            let _ = black_box(filter.on_response(&exchange, StatusCode::OK, &response));
        }
        FilterKind::Stream(stream) => {
            let pseudo = |name, value| (name, HeaderValue::from_static(value));
            let seen = |pseudo, map: &HeaderMap| Headers {
                pseudo,
                map: map.clone(),
            };
            let line = vec![pseudo(":method", "GET"), pseudo(":path", "/")];
            let verdict = stream.on_head(Side::Request, seen(line, headers), true);
            assert!(matches!(verdict, HeadVerdict::Proceed(changes) if changes.len() == 1));
            let line = vec![pseudo(":status", "200")];
            let _ = black_box(stream.on_head(Side::Response, seen(line, &response), true));
        }
        FilterKind::Middleware(_) => panic!("it is not measured here"),
    }
}

fn ten_attributes() -> Value {
    json!({
        "amount": "129.5",
        "country": "request.headers['x-country'].orValue('DE')",
        "user": "request.headers['x-user'].orValue('')",
        "age-days": "destination.port.orValue(0)",
        "vip": "request.method == 'POST'",
        "referrer": "request.referer",
        "tags": "{'a': request.host, 'b': request.scheme, 'c': request.url_path}",
        "channel": "'mobile'",
        "payment.card": "request.id",
        "device.id": "source.principal.orValue('')",
        "device.trusted": "source.ip in cidr('10.0.0.0/8')",
        "at": "timestamp('2026-01-01T00:00:00Z')",
    })
}
