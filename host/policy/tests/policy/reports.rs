//! Reports: records are built where a call ends, delivered in batches off the request path, and never hold a call up.

use crate::fixture::{
    ACCESS_LOG, DENIER, METRICS, TRACE, World, allowed, attributes, check, headers, scope,
};
use osier_policy::{Attributes, PolicySet, Response};
use serde_json::{Value, json};
use std::time::Duration;

const DRAIN: Duration = Duration::from_secs(10);

/// A call that ended with 200 after 20 ms.
fn ended<'a>(headers: &'a http::HeaderMap) -> Attributes<'a> {
    Attributes {
        response: Response {
            code: Some(200),
            duration: Some(Duration::from_millis(20)),
            size: Some(7),
            ..Response::default()
        },
        ..attributes(headers)
    }
}

fn counting(world: &World) -> (std::sync::Arc<osier_policy::Plugin>, Value) {
    let config = json!({"metrics": [
        {"name": "shop_calls", "kind": "COUNTER", "labels": ["code", "user"]},
        {"name": "shop_seconds", "kind": "DISTRIBUTION", "buckets": {"explicit": [0.01, 0.1]}},
    ]});
    let plugin = world.load(
        "metrics",
        METRICS,
        json!({"config": config, "grants": {"metrics": ["shop_calls", "shop_seconds"]}}),
    );
    let spec = json!({"actions": [
        {"plugin": "metrics", "template": "metric", "fields": {"name": "'shop_calls'",
            "dimensions": "{'code': response.code, 'user': request.headers['x-user']}"}},
        {"plugin": "metrics", "template": "metric", "fields": {"name": "'shop_seconds'",
            "value": "response.duration.orValue(duration('0s'))"}},
    ]});
    (plugin, spec)
}

fn report(set: &PolicySet, calls: usize) {
    let headers = headers(&[("x-user", "eve")]);
    (0..calls).for_each(|_| set.report(&scope(), &ended(&headers)));
}

#[tokio::test]
async fn what_waits_is_delivered_before_the_end() {
    let world = World::new();
    let (plugin, spec) = counting(&world);
    let set = world.set(&[&plugin], &spec);
    assert!(set.has_reports());
    report(&set, 250);
    world.tasks.drained(DRAIN).await.unwrap();
    let shown = world.metrics.encode();
    for line in [
        "shop_calls_total{code=\"200\",user=\"eve\"} 250",
        "shop_seconds_count{} 250",
        "shop_seconds_bucket{le=\"0.01\"} 0",
        "shop_seconds_bucket{le=\"0.1\"} 250",
        "osier_plugin_reports_total{plugin=\"default/metrics\",template=\"metric\",outcome=\"delivered\"} 500",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    let status = world.host.status(&plugin);
    assert_eq!(status.calls, 6, "two actions, batches of at most a hundred");
}

#[tokio::test]
async fn a_full_batch_or_a_second_is_enough() {
    let world = World::new();
    let (plugin, spec) = counting(&world);
    let set = world.set(&[&plugin], &spec);
    for calls in [1, 100] {
        let before = world.host.status(&plugin).calls;
        report(&set, calls);
        let delivered = async {
            while world.host.status(&plugin).calls < before + 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DRAIN, delivered).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_queue_loses_records_and_counts_them() {
    let world = World::new();
    let (plugin, spec) = counting(&world);
    for overflow in ["DropNewest", "DropOldest"] {
        let mut spec = spec.clone();
        spec["actions"] = json!([spec["actions"][0]]);
        spec["actions"][0]["queue"] = json!({"limit": 10, "overflow": overflow});
        let set = world.set(&[&plugin], &spec);
        // Nothing is delivered meanwhile: the only thread is here.
        report(&set, 25);
    }
    world.tasks.drained(DRAIN).await.unwrap();
    let shown = world.metrics.encode();
    let line = |outcome, count| {
        format!(
            "osier_plugin_reports_total{{plugin=\"default/metrics\",template=\"metric\",outcome=\"{outcome}\"}} {count}"
        )
    };
    assert!(shown.contains(&line("dropped", 30)), "{shown}");
    assert!(shown.contains(&line("delivered", 20)), "{shown}");
    let status = world.host.status(&plugin);
    assert_eq!(status.dropped_reports, 30);
    let said = status.last_error.unwrap();
    assert!(
        said.contains("10 wait already") && said.contains("queue.limit"),
        "{said}"
    );
}

#[tokio::test]
async fn reports_never_refuse_and_are_not_asked() {
    let world = World::new();
    let (plugin, mut spec) = counting(&world);
    let set = world.set(&[&plugin], &spec);
    assert!(allowed(check(&set, &headers(&[]))).decisions.is_empty());
    // One policy may do both.
    let denier = world.load("denier", DENIER, json!({}));
    spec["actions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"plugin": "denier", "template": "checknothing"}));
    let set = world.set(&[&plugin, &denier], &spec);
    let denial = crate::fixture::denied(check(&set, &headers(&[])));
    assert_eq!(denial.decisions.len(), 1);
    assert_eq!(&*denial.decisions[0].template, "checknothing");
    report(&set, 1);
    world.tasks.drained(DRAIN).await.unwrap();
    assert_eq!(world.host.status(&plugin).calls, 2);
    assert_eq!(world.host.status(&denier).calls, 1, "asked, not told");
}

#[tokio::test]
async fn match_sees_how_the_call_ended() {
    let world = World::new();
    let (plugin, mut spec) = counting(&world);
    spec["match"] = json!("response.code.orValue(0) >= 500");
    let set = world.set(&[&plugin], &spec);
    report(&set, 5);
    spec["match"] = json!("response.code == 200 && response.size.orValue(0) == 7");
    let set = world.set(&[&plugin], &spec);
    report(&set, 3);
    world.tasks.drained(DRAIN).await.unwrap();
    assert!(world.metrics.encode().contains("user=\"eve\"} 3"));
}

#[tokio::test]
async fn logs_and_spans_are_written_with_defaults() {
    let world = World::new();
    let log = world.load("log", ACCESS_LOG, json!({"grants": {"logs": ["access"]}}));
    let trace = world.load("trace", TRACE, json!({"grants": {"logs": ["traces"]}}));
    let set = world.set(
        &[&log, &trace],
        &json!({"actions": [
            {"plugin": "log", "template": "logentry", "fields": {"name": "'a'", "variables": "{'code': response.code}"}},
            {"plugin": "trace", "template": "tracespan"},
        ]}),
    );
    report(&set, 2);
    world.tasks.drained(DRAIN).await.unwrap();
    for plugin in [&log, &trace] {
        let status = world.host.status(plugin);
        assert_eq!((status.calls, status.last_error), (1, None), "{plugin:?}");
    }
}

#[tokio::test]
async fn a_plugin_that_refuses_a_batch_loses_it_with_a_reason() {
    let world = World::new();
    // The stream that is written to is not the one that is granted.
    let spec = json!({"config": {"stream": "audit"}, "grants": {"logs": ["access"]}});
    let plugin = world.load("log", ACCESS_LOG, spec);
    let action = json!({"plugin": "log", "template": "logentry", "fields": {"name": "'a'"}});
    let set = world.set(&[&plugin], &json!({"actions": [action]}));
    report(&set, 4);
    world.tasks.drained(DRAIN).await.unwrap();
    let error = world.host.status(&plugin).last_error.unwrap();
    assert!(error.contains("spec.grants.logs"), "{error}");
    let shown = world.metrics.encode();
    assert!(shown.contains("template=\"logentry\",outcome=\"failed\"} 4"));
}

#[test]
fn wrong_fields_are_refused_when_applied() {
    let world = World::new();
    let plugin = world.load("log", ACCESS_LOG, json!({"grants": {"logs": ["access"]}}));
    let denier = world.load("denier", DENIER, json!({}));
    let action = json!({"plugin": "log", "template": "logentry",
        "fields": {"severity": "response.code", "nmae": "'x'"}, "queue": {"limit": 0, "overflow": "Wait"}});
    let faults = world
        .try_policy(&[&plugin], &json!({"actions": [action]}))
        .unwrap_err();
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.actions[0].queue.limit",
            "spec.actions[0].queue.overflow"
        ]
    );
    let mut action = action.clone();
    action["queue"] = Value::Null;
    let faults = world
        .try_policy(&[&plugin], &json!({"actions": [action]}))
        .unwrap_err();
    let text = format!("{faults:?}");
    for part in ["fields.nmae", "fields.severity", "fields.name"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let queued = json!({"plugin": "denier", "template": "checknothing", "queue": {"limit": 5}});
    let faults = world
        .try_policy(&[&denier], &json!({"actions": [queued]}))
        .unwrap_err();
    assert!(faults[0].detail.contains("only reports"), "{}", faults[0]);
}

#[test]
fn a_metric_or_stream_that_is_not_granted_is_refused_with_the_remedy() {
    let world = World::new();
    let config = json!({"metrics": [{"name": "shop_calls", "kind": "COUNTER"}]});
    for (grants, wanted) in [
        (json!({}), "spec.grants.metrics"),
        (json!({"metrics": ["other"]}), "spec.grants.metrics"),
        (json!({"metrics": ["istio_requests"]}), "host's own"),
    ] {
        let spec = json!({"config": config, "grants": grants});
        let error = world.try_load("metrics", METRICS, spec).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}
