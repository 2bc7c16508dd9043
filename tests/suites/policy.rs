//! Policies under traffic: in force on the next request, swapped and removed without harm, and a hostile plugin costs only its own calls.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::bookinfo::{deploy, manifest};
use osier_tests::http::{get, get_with};
use osier_tests::load::{Load, Plan};
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const HOSTILE: &str = include_str!("manifests/hostile.yaml");
const PLUGIN: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";
const POLICY: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies";
/// What is promised from the moment a change was accepted.
const IN_FORCE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

async fn echo() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, answers).await.unwrap();
    node
}

fn denier(status: u16) -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
        "spec": {"image": "builtin://denier", "config": {"status": status}}})
}

fn deny_echo() -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "deny"},
        "spec": {"targetRefs": [{"kind": "Service", "name": "echo"}], "actions": [{"plugin": "denier", "template": "checknothing"}]}})
}

async fn create(node: &Node, path: &str, object: &Value) {
    let answer = osier_tests::api::Api::open(node)
        .await
        .unwrap()
        .send("POST", path, Some(object))
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Waits for the first answer with `status` after now, and holds the time to the promise.
async fn soon(load: &Load, status: u16) {
    let since = load.elapsed();
    let seen = || async { Ok((load.count(status, since) > 0).then_some(())) };
    until(&format!("an answer with {status}"), LIMIT, seen)
        .await
        .unwrap();
    let took = load.elapsed().saturating_sub(since);
    assert!(took < IN_FORCE, "{status} came only after {took:?}");
    settled(load, status).await;
}

/// From some moment on, nothing but `status` comes.
async fn settled(load: &Load, status: u16) {
    let others = [200, 403, 404, 429, 451]
        .into_iter()
        .filter(|other| *other != status);
    let only = || async {
        let since = load.elapsed();
        let enough = || async { Ok((load.count(status, since) >= 20).then_some(())) };
        until("twenty more answers", LIMIT, enough).await?;
        let strays: usize = others.clone().map(|other| load.count(other, since)).sum();
        ensure!(strays == 0, "{strays} answers with another status");
        Ok(Some(()))
    };
    until(&format!("only {status}"), IN_FORCE * 5, only)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_changes_and_goes_under_load() {
    let node = echo().await;
    let load = Plan::get(&node.address("gateway").unwrap(), "/", 8).start();
    let flowing = || async { Ok((load.count(200, Duration::ZERO) > 50).then_some(())) };
    until("traffic flows", LIMIT, flowing).await.unwrap();
    create(&node, PLUGIN, &denier(403)).await;
    create(&node, POLICY, &deny_echo()).await;
    soon(&load, 403).await;
    for status in [451, 403, 451] {
        objects::merge(
            &node,
            &format!("{PLUGIN}/denier"),
            &json!({"spec": {"config": {"status": status}}}),
        )
        .await
        .unwrap();
        soon(&load, status).await;
    }
    objects::delete(&node, &format!("{POLICY}/deny"))
        .await
        .unwrap();
    soon(&load, 200).await;
    objects::delete(&node, &format!("{PLUGIN}/denier"))
        .await
        .unwrap();
    settled(&load, 200).await;
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200, 403, 451]), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_plugin_costs_only_its_own_requests() {
    let node = echo().await;
    node.import("hostile:1.0", &component("tests/hostile").unwrap())
        .unwrap();
    node.apply_text(HOSTILE).unwrap();
    let gateway = node.address("gateway").unwrap();
    let asked = || async {
        Ok((get_with(&gateway, "/", &[("x-behave", "deny")])
            .await?
            .status
            == 403)
            .then_some(()))
    };
    until("the plugin is asked", LIMIT, asked).await.unwrap();

    let quiet = median_alone(&gateway).await;
    let good = Plan::get(&gateway, "/", 2)
        .paced(Duration::from_millis(2))
        .start();
    let bad: Vec<Load> = ["loop", "trap", "hoard"]
        .map(|behaviour| {
            Plan::get(&gateway, "/", 1)
                .header("x-behave", behaviour)
                .paced(Duration::from_millis(20))
                .start()
        })
        .into();
    let enough = || async { Ok((good.count(200, Duration::ZERO) > 600).then_some(())) };
    until("traffic beside a hostile plugin", LIMIT, enough)
        .await
        .unwrap();
    for load in bad {
        let outcome = load.finish().await;
        let counts = outcome.by_status();
        assert!(
            outcome.total() > 5 && counts.keys().all(|status| *status >= 500),
            "fail closed, and answered: {counts:?}"
        );
    }
    let outcome = good.finish().await;
    assert_eq!(
        outcome.unexpected(&[200]),
        Vec::<String>::new(),
        "requests that the plugin allows"
    );
    let beside = outcome.quantile(0.5, 200, Duration::ZERO).unwrap();
    assert!(
        beside < quiet * 5 + Duration::from_millis(20),
        "the median went from {quiet:?} to {beside:?}"
    );
    shows_in_status(&node).await;
}

/// The median of good requests while nothing else is asked.
async fn median_alone(gateway: &str) -> Duration {
    let alone = Plan::get(gateway, "/", 2)
        .paced(Duration::from_millis(2))
        .start();
    let enough = || async { Ok((alone.count(200, Duration::ZERO) > 300).then_some(())) };
    until("quiet traffic", LIMIT, enough).await.unwrap();
    alone
        .finish()
        .await
        .quantile(0.5, 200, Duration::ZERO)
        .unwrap()
}

async fn shows_in_status(node: &Node) {
    let shown = || async {
        let plugin = objects::get(node, &format!("{PLUGIN}/hostile")).await?;
        let status = plugin["status"].to_string().to_lowercase();
        ensure!(
            status.contains("trap") && status.contains("deadline"),
            "status: {status}"
        );
        Ok(Some(()))
    };
    until("traps and overruns in the plugin's status", LIMIT, shown)
        .await
        .unwrap();
    let metrics = get(&node.address("admin").unwrap(), "/metrics")
        .await
        .unwrap()
        .text();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("osier_plugin") && line.contains("hostile")),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_party_plugins_do_what_the_example_says() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let reviews = "/api/v1/products/0/reviews";
    node.apply(&manifest("policy-list")).unwrap();
    let only_readers = || async {
        let stranger = get(&gateway, reviews).await?.status;
        let reader = get_with(&gateway, reviews, &[("end-user", "rosa")])
            .await?
            .status;
        Ok((stranger == 403 && reader == 200).then_some(()))
    };
    until("only readers on the list pass", LIMIT, only_readers)
        .await
        .unwrap();
    let page = get(&gateway, "/productpage").await.unwrap().text();
    assert!(
        page.contains("A policy refused the call to reviews (403)"),
        "{page}"
    );
    objects::delete(&node, &format!("{POLICY}/reviews-for-readers"))
        .await
        .unwrap();

    node.apply(&manifest("policy-rate-limit")).unwrap();
    let limited = || async {
        Ok((get_with(&gateway, reviews, &[("end-user", "mole")])
            .await?
            .status
            == 429)
            .then_some(()))
    };
    until("a person who asks too often is refused", LIMIT, limited)
        .await
        .unwrap();
    let other = get_with(&gateway, reviews, &[("end-user", "rat")])
        .await
        .unwrap();
    assert_eq!(other.status, 200, "others have an allowance of their own");
}
