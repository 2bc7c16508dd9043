//! Plugins that call other services: where they may, what waits, and what a missing answer means.

use crate::fixture::{LIST, TRACE, World, allowed, attributes, denied, headers, scope};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use osier_policy::{Caller, Callout, CalloutAnswer, CalloutBounds, CalloutError};
use osier_process::Boxed;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Other services: a list of people, and a collector.
#[derive(Default)]
struct Services {
    gone: AtomicBool,
    asked: Mutex<Vec<(String, Bytes)>>,
}

impl Callout for Services {
    fn send(
        &self,
        plugin: Caller<'_>,
        request: Request<Bytes>,
        _: CalloutBounds,
    ) -> Boxed<'static, Result<CalloutAnswer, CalloutError>> {
        let asked = format!("{} {} {}", plugin.name, request.method(), request.uri());
        self.asked.lock().push((asked, request.body().clone()));
        let answer = match self.gone.load(Ordering::Relaxed) {
            true => Err(CalloutError::Failed("no endpoint".into())),
            false => Ok(CalloutAnswer {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"# people\nmallory\n"),
                trailers: HeaderMap::new(),
                own: false,
            }),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn world() -> (World, Arc<Services>) {
    let (world, services) = (World::new(), Arc::new(Services::default()));
    world.host.join_callout(Arc::clone(&services) as _);
    (world, services)
}

fn blocked(grants: Value) -> Value {
    let config =
        json!({"mode": "Deny", "entries": ["eve"], "providerUrl": "http://lists.default/blocked"});
    json!({"config": config, "grants": grants})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_at_a_url_is_fetched_once_for_all_instances() {
    let (world, services) = world();
    let plugin = world.load(
        "blocked",
        LIST,
        blocked(json!({"http": ["http://lists.default"]})),
    );
    let action = json!({"plugin": "blocked", "template": "listentry", "fields": {"value": "request.headers['x-user'].orValue('')"}});
    let set = world.set(&[&plugin], &json!({"actions": [action]}));
    let ask = |user: &str| {
        let headers = headers(&[("x-user", user)]);
        set.check(&scope(), &attributes(&headers))
    };
    allowed(ask("ann"));
    assert!(denied(ask("mallory")).reason.contains("is on the list"));
    assert_eq!(denied(ask("eve")).status, 403);
    let asked = services.asked.lock().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].0, "blocked GET http://lists.default/blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_had_is_the_failure_policys_to_judge() {
    let (world, services) = world();
    services.gone.store(true, Ordering::Relaxed);
    let plugin = world.load(
        "blocked",
        LIST,
        blocked(json!({"http": ["http://lists.default"]})),
    );
    let action = json!({"plugin": "blocked", "template": "listentry", "fields": {"value": "request.headers['x-user'].orValue('')"}});
    let policy = |failure: &str| json!({"actions": [action.clone()], "failurePolicy": failure});
    let ask = |spec: &Value, user: &str| {
        let headers = headers(&[("x-user", user)]);
        world
            .set(&[&plugin], spec)
            .check(&scope(), &attributes(&headers))
    };
    let denial = denied(ask(&policy("Fail"), "ann"));
    assert!(
        denial.failed && denial.reason.contains("does not answer"),
        "{}",
        denial.reason
    );
    allowed(ask(&policy("Ignore"), "ann"));
    // What is written down needs nobody.
    assert_eq!(denied(ask(&policy("Ignore"), "eve")).status, 403);
    let shown = world.metrics.encode();
    assert!(shown.contains("reason=\"calls\"} 2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_not_called() {
    let (world, services) = world();
    for grants in [json!({}), json!({"http": ["http://other.default"]})] {
        let error = world
            .try_load("blocked", LIST, blocked(grants))
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("providerUrl") && error.contains("spec.grants.http"),
            "{error}"
        );
    }
    world.load("plain", LIST, json!({"config": {"entries": ["a"]}}));
    assert!(services.asked.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_in_one_request_and_never_of_the_plugins_own_calls() {
    let (world, services) = world();
    let config = json!({"url": "http://collector.default/v1/traces"});
    let spec = json!({"config": config, "grants": {"http": ["http://collector.default"]}});
    let plugin = world.load("spans", TRACE, spec);
    let action = json!({"plugin": "spans", "template": "tracespan"});
    let set = world.set(&[&plugin], &json!({"actions": [action]}));
    let headers = headers(&[]);
    let mut call = attributes(&headers);
    set.report(&scope(), &call);
    set.report(&scope(), &call);
    call.source.name = Some("plugin:spans");
    call.source.namespace = Some("default");
    set.report(&scope(), &call);
    world.tasks.drained(Duration::from_secs(10)).await.unwrap();
    let asked = services.asked.lock().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let sent: Value = serde_json::from_slice(&asked[0].1).unwrap();
    assert_eq!(sent["resourceSpans"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.host.status(&plugin).last_error, None);
}
