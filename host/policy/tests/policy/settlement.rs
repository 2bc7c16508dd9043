//! Quotas whose cost is known late: reserved by the check, settled by the report.

use crate::fixture::{QUOTA, RATE_LIMIT, World, allowed, attributes, denied, headers, scope};
use osier_policy::{Attributes, PolicySet, Response, Verdict};
use serde_json::{Value, json};
use std::time::Duration;

const DRAIN: Duration = Duration::from_secs(10);

fn spec(plugin: &str, settle: &str) -> Value {
    json!({"actions": [{"plugin": plugin, "template": "quota", "amount": "60", "settle": settle,
        "fields": {"dimensions": "{'user': request.headers['x-user']}"}}]})
}

fn ask(set: &PolicySet, headers: &http::HeaderMap, id: &str) -> Verdict {
    let mut call = attributes(headers);
    call.request.id = id;
    set.check(&scope(), &call)
}

fn end(set: &PolicySet, headers: &http::HeaderMap, id: &str, size: Option<u64>) {
    let mut call = Attributes {
        response: Response {
            size,
            ..Response::default()
        },
        ..attributes(headers)
    };
    call.request.id = id;
    set.report(&scope(), &call);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_did_not_use_is_there_for_the_next() {
    let world = World::new();
    let config =
        json!({"config": {"limit": 100, "window": "1h"}, "grants": {"keyvalue": ["quota"]}});
    let plugin = world.load("budget", QUOTA, config);
    let set = world.set(&[&plugin], &spec("budget", "response.size.orValue(0)"));
    let user = headers(&[("x-user", "alice")]);
    allowed(ask(&set, &user, "r-1"));
    let refused = denied(ask(&set, &user, "r-2"));
    assert_eq!(refused.status, 429);
    assert!(
        refused.reason.contains("40 of 100 are left"),
        "{}",
        refused.reason
    );
    assert!(
        refused
            .headers
            .iter()
            .any(|(name, _)| name == "retry-after")
    );
    // The refused call has ended too; it reserved nothing and gives nothing back.
    end(&set, &user, "r-2", None);
    end(&set, &user, "r-1", Some(15));
    world.tasks.drained(DRAIN).await.unwrap();
    let approval = allowed(ask(&set, &user, "r-3"));
    let left = format!("{:?}", approval.response_headers);
    assert!(left.contains("\"25\""), "{left}");
    assert_eq!(denied(ask(&set, &user, "r-4")).status, 429);
}

#[test]
fn only_a_quota_of_a_plugin_that_settles_is_settled() {
    let world = World::new();
    let grants = json!({"keyvalue": ["quota", "rate-limit"]});
    let config = json!({"config": {"limit": 100, "window": "1h"}, "grants": grants});
    let settles = world.load("budget", QUOTA, config.clone());
    let other = world.load("limit", RATE_LIMIT, config);
    let faults = |spec: &Value| {
        let faults = world.try_policy(&[&settles, &other], spec).unwrap_err();
        faults
            .into_iter()
            .map(|fault| (fault.field, fault.detail))
            .collect::<Vec<_>>()
    };
    let found = faults(&spec("limit", "1"));
    assert_eq!(found[0].0, "spec.actions[0].settle");
    assert!(
        found[0].1.contains("does not answer template `settlement`"),
        "{found:?}"
    );
    let found = faults(&spec("budget", "response.size"));
    assert!(
        found[0].0 == "spec.actions[0].settle" && found[0].1.contains("absent"),
        "{found:?}"
    );
    let told = json!({"actions": [{"plugin": "budget", "template": "settlement", "settle": "1", "fields": {"used": "1"}}]});
    let found = faults(&told);
    assert!(found[0].1.contains("goes with template quota"), "{found:?}");
}
