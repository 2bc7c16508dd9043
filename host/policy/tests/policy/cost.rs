//! What a check costs. `cargo test -p osier-policy --release --test policy -- --ignored --nocapture cost`

use crate::fixture::{DENIER, FRAUD, LIST, World, allowed, attributes, headers, scope};
use osier_policy::{Condition, PolicySet, Vocabulary};
use serde_json::json;
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

#[test]
#[ignore = "prints figures; run it in release"]
fn figures() {
    let headers = headers(&[
        ("x-user", "eve"),
        ("x-country", "FR"),
        ("accept", "*/*"),
        ("user-agent", "curl"),
    ]);
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
    let world = World::new();
    let show = |what: &str, set: &PolicySet| {
        let cost = nanoseconds(|| {
            black_box(set.check(&scope(), black_box(&attributes)));
        });
        println!("{cost:9.0} ns  {what}");
    };
    show("check, no policy at all", &PolicySet::default());
    let denier = world.load("denier", DENIER, json!({}));
    let elsewhere = json!({"targetRefs": [{"kind": "Service", "name": "other"}], "actions": [{"plugin": "denier", "template": "checknothing"}]});
    show(
        "check, a policy for another service",
        &world.set(&[&denier], &elsewhere),
    );
    let unmatched = json!({"match": "request.method == 'GET' && source.namespace != 'admin'", "actions": [{"plugin": "denier", "template": "checknothing"}]});
    show(
        "check, match of two terms is false",
        &world.set(&[&denier], &unmatched),
    );
    let list = |config| {
        let plugin = world.load("list", LIST, config);
        let action = json!({"plugin": "list", "template": "listentry", "fields": {"value": "request.headers['x-user'].orValue('')"}});
        world.set(&[&plugin], &json!({"actions": [action]}))
    };
    show(
        "check, list plugin, one field",
        &list(json!({"config": {"entries": ["eve"]}})),
    );
    show(
        "check, list plugin, answer from the cache",
        &list(json!({"config": {"entries": ["eve"], "validFor": "1h"}})),
    );
    show(
        "check, denier",
        &world.set(
            &[&denier],
            &json!({"actions": [{"plugin": "denier", "template": "checknothing"}]}),
        ),
    );
    let fraud = world.load("fraud", FRAUD, json!({}));
    let fields = json!({
        "amount": "129.5", "country": "request.headers['x-country'].orValue('DE')", "user": "request.headers['x-user'].orValue('')",
        "age-days": "destination.port.orValue(0)", "vip": "request.method == 'POST'", "referrer": "request.referer",
        "tags": "{'a': request.host, 'b': request.method, 'c': request.url_path}", "channel": "'mobile'",
        "payment.card": "request.id", "device.id": "request.host", "device.trusted": "source.ip in cidr('10.0.0.0/8')", "at": "request.time",
    });
    let set = world.set(
        &[&fraud],
        &json!({"actions": [{"plugin": "fraud", "template": "score", "fields": fields}]}),
    );
    allowed(set.check(&scope(), &attributes));
    show("check, own template, eleven fields, ten attributes", &set);
}
