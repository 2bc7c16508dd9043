//! Pods as people depend on them: replaced, scaled, restarted with back-off, told what they need, heard through their logs.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, ensure};
use osier_tests::api::Api;
use osier_tests::artifacts::component;
use osier_tests::objects::{self, name};
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/kubectl.yaml");
const CONTROLLER: &str = "/api/v1/namespaces/default/replicationcontrollers/clock";

async fn clock() -> Node {
    let node = Node::start().unwrap();
    node.import("ticker:1.0", &component("tests/ticker").unwrap())
        .unwrap();
    node.apply_text(OBJECTS).unwrap();
    objects::ready(&node, "app=clock", 1).await.unwrap();
    node
}

async fn scale(node: &Node, replicas: usize) -> Vec<Value> {
    objects::merge(node, CONTROLLER, &json!({"spec": {"replicas": replicas}}))
        .await
        .unwrap();
    objects::ready(node, "app=clock", replicas).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pod_is_replaced() {
    let node = clock().await;
    let first = name(&objects::ready(&node, "app=clock", 1).await.unwrap()[0]);
    objects::delete(&node, &format!("/api/v1/namespaces/default/pods/{first}"))
        .await
        .unwrap();
    let replaced = until("another pod is ready in its place", LIMIT, || async {
        let pods = objects::pods(&node, "app=clock").await?;
        ensure!(
            pods.len() == 1 && name(&pods[0]) != first,
            "{}",
            objects::states(&pods)
        );
        Ok((objects::condition(&pods[0], "Ready") == Some("True")).then(|| name(&pods[0])))
    });
    assert!(replaced.await.unwrap().starts_with("clock-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_keeps_the_oldest() {
    let node = clock().await;
    let oldest = name(&objects::ready(&node, "app=clock", 1).await.unwrap()[0]);
    // Times of objects have whole seconds; the oldest shall be older than the others by that measure too.
    let first = timestamp(&objects::ready(&node, "app=clock", 1).await.unwrap()[0]);
    let later = || async { Ok((now(&node).await? > first).then_some(())) };
    until("a later second", LIMIT, later).await.unwrap();
    let five = scale(&node, 5).await;
    let names: BTreeSet<String> = five.iter().map(name).collect();
    assert_eq!(names.len(), 5);
    let addresses: BTreeSet<String> = five
        .iter()
        .map(|pod| pod["status"]["podIP"].to_string())
        .collect();
    assert_eq!(
        addresses.len(),
        5,
        "each pod has an address of its own: {addresses:?}"
    );
    let left = scale(&node, 1).await;
    assert_eq!(name(&left[0]), oldest, "the newest surplus pods go first");
}

fn timestamp(object: &Value) -> String {
    object["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The node's clock, as it writes it on objects.
async fn now(node: &Node) -> anyhow::Result<String> {
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "now-"}});
    let path = "/api/v1/namespaces/default/configmaps?dryRun=All";
    let answer = Api::open(node)
        .await?
        .send("POST", path, Some(&map))
        .await?;
    Ok(timestamp(&answer.json()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_comes_from_where_it_is_said() {
    let node = clock().await;
    let pod = name(&objects::ready(&node, "app=clock", 1).await.unwrap()[0]);
    let log = objects::log(&node, "app=clock").await.unwrap();
    for line in [
        "SHOW_COLOUR=green",
        "SHOW_KEY=opensesame",
        &format!("SHOW_POD={pod}"),
    ] {
        assert!(
            log.lines().any(|found| found == line),
            "{line} is missing in:\n{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_keeps_failing_backs_off() {
    let node = Node::start().unwrap();
    node.import("ticker:1.0", &component("tests/ticker").unwrap())
        .unwrap();
    node.apply_text(&single("failing", "Always", "1")).unwrap();
    let pod = until("the pod backs off after restarts", LIMIT, || async {
        let pod = objects::get(&node, "/api/v1/namespaces/default/pods/failing").await?;
        let status = &pod["status"]["containerStatuses"][0];
        let restarts = status["restartCount"].as_u64().unwrap_or(0);
        Ok(
            (restarts >= 1 && status["state"]["waiting"]["reason"] == "CrashLoopBackOff")
                .then_some(pod),
        )
    });
    let pod = pod.await.unwrap();
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (last["exitCode"].as_i64(), last["reason"].as_str()),
        (Some(1), Some("Error")),
        "{pod:#}"
    );
    let told = || async {
        let events = objects::get(&node, "/api/v1/namespaces/default/events").await?;
        let events = events["items"].as_array().context("a list of events")?;
        let reasons: BTreeSet<&str> = events
            .iter()
            .filter_map(|event| event["reason"].as_str())
            .collect();
        for reason in ["Scheduled", "Pulled", "Created", "Started", "BackOff"] {
            ensure!(reasons.contains(reason), "no {reason} among {reasons:?}");
        }
        Ok(Some(()))
    };
    until("events tell the story", LIMIT, told).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_ends_well_has_succeeded() {
    let node = Node::start().unwrap();
    node.import("ticker:1.0", &component("tests/ticker").unwrap())
        .unwrap();
    node.apply_text(&single("done", "Never", "0")).unwrap();
    node.apply_text(&single("broken", "Never", "1")).unwrap();
    for (pod, phase, code) in [("done", "Succeeded", 0), ("broken", "Failed", 1)] {
        let what = format!("{pod} is {phase}");
        let found = until(&what, LIMIT, || async {
            let found =
                objects::get(&node, &format!("/api/v1/namespaces/default/pods/{pod}")).await?;
            Ok((found["status"]["phase"] == phase).then_some(found))
        });
        let found = found.await.unwrap();
        assert_eq!(
            found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], code,
            "{found:#}"
        );
    }
}

fn single(name: &str, restart: &str, code: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:\n  restartPolicy: {restart}\n  containers:\n  \
         - name: main\n    image: ticker:1.0\n    args: [one, two]\n    env:\n    - {{name: TICKS, value: '2'}}\n    - {{name: TICK_MS, value: '5'}}\n    \
         - {{name: EXIT_CODE, value: '{code}'}}\n"
    )
}
