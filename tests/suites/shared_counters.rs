//! Counters that nodes share through the real Redis, where this machine has one (`apt-get install redis-server`): exact however many ask, and lost in
//! a way that policies decide.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_identity::Authority;
use osier_tests::api::Api;
use osier_tests::artifacts::example;
use osier_tests::node::Options;
use osier_tests::redis::{self, Redis};
use osier_tests::{Node, objects, tls, until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const REVIEWS: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policyreviews";
const POLICY: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies/gpu";

/// Redis' program; says so if there is none.
fn program() -> Option<PathBuf> {
    let program = redis::program();
    if program.is_none() {
        eprintln!("there is no Redis on this machine (apt-get install redis-server): not run");
    }
    program
}

/// A node that counts in a Redis, with `examples/gpu-quota` in force.
async fn counting(args: &[&str]) -> Node {
    let options = Options {
        args: args.iter().map(|text| (*text).to_owned()).collect(),
        ..Options::default()
    };
    let node = Node::start_with(&options).unwrap();
    node.apply(&example("gpu-quota/quota.yaml")).unwrap();
    let mut api = Api::open(&node).await.unwrap();
    let limit = tokio::time::Instant::now() + LIMIT;
    loop {
        // Who asks for nothing is granted nothing, by a plugin that can count.
        let status = ask(&mut api, "none", 0).await;
        if status["reason"] == "nothing was granted" {
            return node;
        }
        assert!(tokio::time::Instant::now() < limit, "{status}");
    }
}

/// What the policies say of a job of team vision.
async fn ask(api: &mut Api, id: &str, seconds: u64) -> Value {
    let review = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview", "metadata": {"name": "r"},
        "spec": {"attributes": {"request.id": id, "job.team": "vision", "gpu.seconds": seconds}}});
    let answer = api.send("POST", REVIEWS, Some(&review)).await.unwrap();
    answer.json().unwrap()["status"].clone()
}

/// Jobs that one client asks for.
const JOBS: usize = 12;

/// How many of so many jobs, each of 100 seconds, are allowed.
async fn jobs(node: &Node, name: &str) -> usize {
    let mut api = Api::open(node).await.unwrap();
    let mut allowed = 0;
    for number in 0..JOBS {
        let status = ask(&mut api, &format!("{name}-{number}"), 100).await;
        allowed += usize::from(status["allowed"] == true);
    }
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_exact_across_nodes() {
    let Some(program) = program() else { return };
    let redis = Redis::start(program).await.unwrap();
    let url = redis.url();
    let args = ["--redis-url", url.as_str()];
    let (one, other) = tokio::join!(counting(&args), counting(&args));
    // 3,600 seconds are allowed: 36 jobs, whichever node is asked, and all ask at once.
    let (a, b, c, d, e, f) = tokio::join!(
        jobs(&one, "a"),
        jobs(&one, "b"),
        jobs(&one, "c"),
        jobs(&other, "d"),
        jobs(&other, "e"),
        jobs(&other, "f"),
    );
    let allowed = a + b + c + d + e + f;
    assert_eq!(allowed, 36);
    let mut api = Api::open(&other).await.unwrap();
    let refused = ask(&mut api, "late", 100).await;
    assert_eq!(
        refused["reason"],
        "0 of 3600 are left for team=vision, and 100 are wanted"
    );
    // What a job reserved on one node is settled on the other.
    let used = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview", "metadata": {"name": "r"},
        "spec": {"phase": "Report", "attributes": {"request.id": settled(&mut api).await, "job.team": "vision", "gpu.seconds": 0}}});
    api.send("POST", REVIEWS, Some(&used)).await.unwrap();
    let mut api = Api::open(&one).await.unwrap();
    let mut number = 0;
    loop {
        number += 1;
        let status = ask(&mut api, &format!("again-{number}"), 100).await;
        if status["allowed"] == true {
            break;
        }
        assert!(number < 10_000, "{status}");
    }
}

/// The id of a job of the first node that holds a reservation: asking again for what it has is free.
async fn settled(api: &mut Api) -> String {
    for name in ["a", "b", "c"] {
        for number in 0..JOBS {
            let id = format!("{name}-{number}");
            if ask(api, &id, 100).await["allowed"] == true {
                return id;
            }
        }
    }
    String::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_lost_the_failure_policy_decides() {
    let Some(program) = program() else { return };
    let mut redis = Redis::start(program).await.unwrap();
    let url = redis.url();
    let node = counting(&["--redis-url", url.as_str()]).await;
    let mut api = Api::open(&node).await.unwrap();
    assert_eq!(ask(&mut api, "before", 100).await["allowed"], true);
    redis.kill().unwrap();
    let closed = ask(&mut api, "lost", 100).await;
    assert_eq!(
        (&closed["allowed"], &closed["code"], &closed["failed"]),
        (&json!(false), &json!(500), &json!(true)),
        "{closed}"
    );
    assert_eq!(closed["reason"], "the shared counters do not answer");
    let admin = node.address("admin").unwrap();
    let metrics = osier_tests::http::get(&admin, "/metrics")
        .await
        .unwrap()
        .text();
    let failures = r#"osier_plugin_failures_total{plugin="default/gpu",reason="counters"} "#;
    let mut counted = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(failures));
    assert!(counted.any(|count| count != "0"), "{metrics}");
    objects::merge(&node, POLICY, &json!({"spec": {"failurePolicy": "Ignore"}}))
        .await
        .unwrap();
    let limit = tokio::time::Instant::now() + LIMIT;
    loop {
        let open = ask(&mut api, "open", 100).await;
        if open["allowed"] == true {
            assert_eq!(open["decisions"][0]["outcome"], "ignore", "{open}");
            break;
        }
        assert!(tokio::time::Instant::now() < limit, "{open}");
    }
    // A Redis that is back is used again. This one forgot everything, and starts full.
    redis.again().await.unwrap();
    loop {
        let back = ask(&mut api, "back", 100).await;
        if back["decisions"][0]["outcome"] == "allow" {
            break;
        }
        assert!(tokio::time::Instant::now() < limit, "{back}");
    }
    let up = || async {
        let metrics = osier_tests::http::get(&admin, "/metrics").await?.text();
        Ok(metrics.contains("osier_shared_counters_up 1").then_some(()))
    };
    until("the metrics say so", LIMIT, up).await.unwrap();
}

/// Three hundred calls a day, taken twenty at a time.
const LEASED: &str = r#"
apiVersion: policy.osier.dev/v1alpha1
kind: Plugin
metadata: {name: leased}
spec:
  image: builtin://rate-limit
  config: {algorithm: FIXED_WINDOW, limit: 300, window: 24h, lease: {amount: 20, validFor: 1h}}
  grants: {keyvalue: [rate-limit]}
---
apiVersion: policy.osier.dev/v1alpha1
kind: Policy
metadata: {name: leased}
spec:
  match: request.path == "/leased"
  actions:
  - {plugin: leased, template: quota, amount: "1", fields: {dimensions: '{"whose": request.host}'}}
"#;

/// What the policies say of one of those calls; each host has an allowance.
async fn leased(api: &mut Api, host: &str) -> Value {
    let review = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "PolicyReview", "metadata": {"name": "r"},
        "spec": {"attributes": {"request.path": "/leased", "request.host": host}}});
    let answer = api.send("POST", REVIEWS, Some(&review)).await.unwrap();
    answer.json().unwrap()["status"].clone()
}

/// Asks so often; how many were allowed, and how many of those without a question to anybody.
async fn calls(node: &Node, times: usize) -> (usize, usize) {
    let mut api = Api::open(node).await.unwrap();
    let (mut allowed, mut cached) = (0, 0);
    for _ in 0..times {
        let status = leased(&mut api, "shop").await;
        allowed += usize::from(status["allowed"] == true);
        cached += usize::from(status["decisions"][0]["cached"] == true);
    }
    (allowed, cached)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_lease_from_one_allowance_and_never_hand_out_more() {
    let Some(program) = program() else { return };
    let mut redis = Redis::start(program).await.unwrap();
    let url = redis.url();
    let args = ["--redis-url", url.as_str()];
    let (one, other) = tokio::join!(counting(&args), counting(&args));
    for node in [&one, &other] {
        node.apply_text(LEASED).unwrap();
        objects::merge(
            node,
            POLICY,
            &json!({"spec": {"match": "request.path != '/leased'"}}),
        )
        .await
        .unwrap();
        let asked = || async {
            let mut api = Api::open(node).await?;
            let all = leased(&mut api, "probe").await;
            let decisions = all["decisions"].as_array().map_or(0, Vec::len);
            Ok((decisions == 1 && all["decisions"][0]["outcome"] == "allow").then_some(()))
        };
        until("calls are counted", LIMIT, asked).await.unwrap();
    }
    let (a, b) = tokio::join!(calls(&one, 250), calls(&other, 250));
    let allowed = a.0 + b.0;
    assert!((300 - 20..=300).contains(&allowed), "{a:?} {b:?}");
    assert!(a.1 + b.1 > 200, "most calls ask nobody: {a:?} {b:?}");

    // Another allowance: while it is leased, a lost Redis is not missed.
    let fresh = json!({"spec": {"config": {"algorithm": "FIXED_WINDOW", "limit": 5000, "window": "24h", "lease": {"amount": 1000, "validFor": "1h"}}}});
    let path = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins/leased";
    objects::merge(&one, path, &fresh).await.unwrap();
    let mut api = Api::open(&one).await.unwrap();
    let again = || async {
        let mut api = Api::open(&one).await?;
        Ok((leased(&mut api, "shop").await["decisions"][0]["cached"] == true).then_some(()))
    };
    until("a new lease is in use", LIMIT, again).await.unwrap();
    redis.kill().unwrap();
    for _ in 0..100 {
        let status = leased(&mut api, "shop").await;
        assert_eq!(status["allowed"], true, "{status}");
    }
    // When it is used up the failure policy decides.
    let mut last = leased(&mut api, "shop").await;
    for _ in 0..1000 {
        last = leased(&mut api, "shop").await;
        if last["allowed"] != true {
            break;
        }
    }
    assert_eq!(
        (&last["code"], &last["failed"]),
        (&json!(500), &json!(true)),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_shared_over_tls() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let certificate = tls::certificate(&authority, "localhost").unwrap();
    let (redis, port) = Redis::secure(program, &authority, &certificate)
        .await
        .unwrap();
    let url = format!("rediss://localhost:{port}/1");
    let trusted = redis.authority().display().to_string();
    let node = counting(&["--redis-url", &url, "--redis-ca", &trusted]).await;
    let mut api = Api::open(&node).await.unwrap();
    assert_eq!(ask(&mut api, "job", 100).await["allowed"], true);
    // Whoever does not know the authority counts nowhere.
    let stranger = Options {
        args: ["--redis-url", url.as_str()].map(str::to_owned).into(),
        ..Options::default()
    };
    let stranger = Node::start_with(&stranger).unwrap();
    stranger.apply(&example("gpu-quota/quota.yaml")).unwrap();
    let logged = || async {
        Ok(stranger
            .log()
            .contains("the shared counters cannot be reached")
            .then_some(()))
    };
    until("it says that Redis is not believed", LIMIT, logged)
        .await
        .unwrap();
}
