//! Canaries of plugins under load: a bad version is stopped by itself and costs no request, a good one takes its part.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::http::{get, get_with};
use osier_tests::kubectl::installed;
use osier_tests::load::Plan;
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const POLICY: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies/visitors";
const LIMIT: Duration = Duration::from_secs(60);

fn plugin(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name}, "spec": spec}).to_string()
}

/// The condition Rollout of the policy, once it has this reason.
async fn condition(node: &Node, reason: &str) -> Value {
    let told = || async {
        let policy = objects::get(node, POLICY).await?;
        let mut conditions = policy["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let own = conditions.find(|condition| condition["type"] == "Rollout");
        ensure!(
            own.is_some_and(|own| own["reason"] == reason),
            "{}",
            policy["status"]
        );
        Ok(own.cloned())
    };
    until(reason, LIMIT, told).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_version_stops_itself_and_a_good_one_takes_its_part() {
    let node = Node::start().unwrap();
    for (name, file) in [("echo:1.0", "tests/echo"), ("hostile:1.0", "tests/hostile")] {
        node.import(name, &component(file).unwrap()).unwrap();
    }
    node.apply_text(ECHO).unwrap();
    let refuses = |who: &str, status: u16| json!({"image": "builtin://list", "config": {"entries": [who], "mode": "Deny", "status": status}});
    node.apply_text(&plugin("visitors", &refuses("mallory", 403)))
        .unwrap();
    node.apply_text(&plugin("bad", &json!({"image": "hostile:1.0"})))
        .unwrap();
    node.apply_text(&plugin("good", &refuses("eve", 418)))
        .unwrap();
    let value = r#"request.headers["x-user"].orValue("trap")"#;
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "visitors"},
        "spec": {"targetRefs": [{"kind": "Service", "name": "echo"}],
            "actions": [{"plugin": "visitors", "template": "listentry", "fields": {"value": value}}]}});
    node.apply_text(&policy.to_string()).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let served = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, served).await.unwrap();

    // Every call that it gets makes the bad version trap: not one request may notice.
    let load = Plan::get(&gateway, "/", 2)
        .paced(Duration::from_millis(2))
        .start();
    let rollout = |plugin: &str, percent: u64| json!({"spec": {"rollout": {"plugin": plugin, "percent": percent, "abortOn": {"errorRate": "5%"}}}});
    objects::merge(&node, POLICY, &rollout("bad", 20))
        .await
        .unwrap();
    let told = condition(&node, "Aborted").await;
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("calls failed, more than 5%"),
        "{told}"
    );
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
    let table = installed().unwrap();
    let table = table
        .ok(&node.kubeconfig(), &["get", "policies", "-o", "wide"], None)
        .unwrap();
    assert!(
        table.contains("ROLLOUT") && table.contains("bad aborted"),
        "{table}"
    );

    // Changed, it begins again: all calls ask the good version, which has a list of its own.
    objects::merge(&node, POLICY, &rollout("good", 100))
        .await
        .unwrap();
    let told = condition(&node, "Progressing").await;
    assert_eq!(
        told["message"],
        "plugin default/good is asked about 100% of calls"
    );
    let eve = || async {
        let answer = get_with(&gateway, "/", &[("x-user", "eve")]).await?;
        Ok((answer.status == 418).then_some(()))
    };
    until("the good version decides", LIMIT, eve).await.unwrap();
    objects::merge(&node, POLICY, &json!({"spec": {"rollout": null}}))
        .await
        .unwrap();
    let mallory = || async {
        let answer = get_with(&gateway, "/", &[("x-user", "mallory")]).await?;
        Ok((answer.status == 403).then_some(()))
    };
    until("the first version decides again", LIMIT, mallory)
        .await
        .unwrap();

    // A rollout of nothing, or to nobody, is said when it is applied.
    for (canary, percent, words) in [
        (
            "good",
            0,
            "spec.rollout.percent is 0: no call goes to plugin good",
        ),
        (
            "nobody",
            5,
            "Plugin default/nobody does not exist: until it is there, no call goes to the rollout",
        ),
    ] {
        let mut idle = policy.clone();
        idle["spec"]["rollout"] = json!({"plugin": canary, "percent": percent});
        let output = installed()
            .unwrap()
            .run(
                &node.kubeconfig(),
                &["apply", "-f", "-"],
                Some(&idle.to_string()),
            )
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains(words), "{told}");
    }
}
