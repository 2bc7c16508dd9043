//! How containers start, are asked for their health, and stop: init containers, sidecars, probes of every kind, hooks within their grace.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::{Node, objects, until};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/lifecycle.yaml");
const PODS: &str = "/api/v1/namespaces/default/pods";

/// A node with the objects of these names.
async fn site(names: &[&str]) -> Node {
    let node = Node::start().unwrap();
    for (name, guest) in [
        ("web:1.0", "tests/http"),
        ("program:1.0", "tests/fixture-command"),
    ] {
        node.import(name, &component(guest).unwrap()).unwrap();
    }
    let wanted = |text: &&str| {
        names
            .iter()
            .any(|name| text.contains(&format!("\n  name: {name}\n")))
    };
    let wanted: Vec<&str> = OBJECTS.split("---\n").filter(wanted).collect();
    node.apply_text(&wanted.join("---\n")).unwrap();
    node
}

async fn pod(node: &Node, name: &str) -> Result<Value> {
    objects::get(node, &format!("{PODS}/{name}")).await
}

/// Waits until the pod is as is wanted.
async fn wait(node: &Node, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looked = || async {
        let pod = pod(node, name).await?;
        ensure!(wanted(&pod), "{}", pod["status"]);
        Ok(Some(pod))
    };
    until(what, LIMIT, looked).await.unwrap()
}

fn container<'a>(pod: &'a Value, field: &str, name: &str) -> &'a Value {
    let mut all = pod["status"][field].as_array().into_iter().flatten();
    all.find(|status| status["name"] == name)
        .unwrap_or(&Value::Null)
}

fn volume(node: &Node, pod: &Value, name: &str) -> PathBuf {
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    node.data_dir().join("volumes").join(uid).join(name)
}

/// Waits for an event with these words.
async fn told(node: &Node, reason: &str, words: &str) -> Result<()> {
    until(words, LIMIT, || async {
        let events = objects::get(node, "/api/v1/namespaces/default/events").await?;
        let mut events = events["items"].as_array().into_iter().flatten();
        let found = events.find(|event| {
            let message = event["message"].as_str().unwrap_or_default();
            event["reason"] == reason && message.contains(words)
        });
        Ok(found.map(|_| ()))
    })
    .await
}

/// Deletes it, and says how long that took.
async fn delete(node: &Node, name: &str) -> Duration {
    let begun = Instant::now();
    let path = format!("{PODS}/{name}");
    objects::delete(node, &path).await.unwrap();
    let gone = || async { Ok(objects::get(node, &path).await.is_err().then_some(())) };
    until("the pod is gone", LIMIT, gone).await.unwrap();
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_and_sidecars_start_in_order_and_sidecars_stop_last() {
    let node = site(&["collector", "ordered"]).await;
    let waits = wait(&node, "ordered", "the sidecar runs", |pod| {
        container(pod, "initContainerStatuses", "helper")["state"]["running"].is_object()
    })
    .await;
    assert_eq!(waits["status"]["phase"], "Pending");
    let helper = container(&waits, "initContainerStatuses", "helper");
    assert_eq!(helper["started"], false, "{helper}");
    let log = volume(&node, &waits, "log");
    let order = || std::fs::read_to_string(log.join("order")).unwrap();
    assert_eq!(order(), "first\nhelper\n");
    std::fs::write(log.join("open"), "").unwrap();
    objects::ready(&node, "app=ordered", 1).await.unwrap();
    assert_eq!(order(), "first\nhelper\nsecond\nmain\n");
    objects::ready(&node, "app=collector", 1).await.unwrap();
    delete(&node, "ordered").await;
    let both = || async {
        let log = node.log();
        let at = |path: &str| log.find(path).context("not called");
        Ok(Some((at("/main-stops")?, at("/helper-stops")?)))
    };
    let (main, helper) = until("the hooks have called", LIMIT, both).await.unwrap();
    assert!(main < helper, "the sidecar serves the container to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_with_its_containers_and_takes_its_sidecars_along() {
    let node = site(&["helped"]).await;
    until("the job is complete", LIMIT, || async {
        let job = objects::get(&node, "/apis/batch/v1/namespaces/default/jobs/helped").await?;
        ensure!(job["status"]["succeeded"] == 1, "{}", job["status"]);
        Ok(Some(()))
    })
    .await
    .unwrap();
    let pods = objects::pods(&node, "job-name=helped").await.unwrap();
    assert_eq!(pods.len(), 1, "{}", objects::states(&pods));
    let helper = container(&pods[0], "initContainerStatuses", "helper");
    assert_eq!(
        helper["state"]["terminated"]["reason"], "Completed",
        "{helper}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_of_every_kind_are_asked() {
    let node = site(&["asked"]).await;
    let ready =
        |pod: &Value, name: &str| container(pod, "containerStatuses", name)["ready"] == true;
    let found = wait(&node, "asked", "the web is ready", |pod| ready(pod, "web")).await;
    assert!(
        !ready(&found, "file") && !ready(&found, "deaf"),
        "{}",
        found["status"]
    );
    wait(&node, "asked", "the sick is not ready", |pod| {
        !ready(pod, "sick")
    })
    .await;
    told(&node, "Unhealthy", "NOT_SERVING").await.unwrap();
    told(
        &node,
        "Unhealthy",
        "dial tcp :9: connect: connection refused",
    )
    .await
    .unwrap();
    told(
        &node,
        "Unhealthy",
        "Readiness probe failed: command terminated with exit code 1",
    )
    .await
    .unwrap();
    let data = volume(&node, &found, "data");
    std::fs::write(data.join("ready"), "").unwrap();
    wait(&node, "asked", "the file is there", |pod| {
        ready(pod, "file")
    })
    .await;
    std::fs::write(data.join("dead"), "").unwrap();
    told(&node, "Killing", "Container file failed liveness probe")
        .await
        .unwrap();
    std::fs::remove_file(data.join("dead")).unwrap();
    let restarted = wait(&node, "asked", "it runs again", |pod| {
        let file = container(pod, "containerStatuses", "file");
        file["restartCount"].as_u64() > Some(0) && file["state"]["running"].is_object()
    })
    .await;
    let last = &container(&restarted, "containerStatuses", "file")["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 137, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_done_within_the_grace() {
    let node = site(&["unhooked", "sleepy", "stubborn"]).await;
    told(&node, "FailedPostStartHook", "PostStartHook failed")
        .await
        .unwrap();
    wait(&node, "unhooked", "it was started again", |pod| {
        container(pod, "containerStatuses", "main")["restartCount"].as_u64() > Some(0)
    })
    .await;
    objects::ready(&node, "app=sleepy", 1).await.unwrap();
    let took = delete(&node, "sleepy").await;
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(20),
        "{took:?}"
    );
    objects::ready(&node, "app=stubborn", 1).await.unwrap();
    let took = delete(&node, "stubborn").await;
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(15),
        "{took:?}"
    );
    told(&node, "FailedPreStopHook", "not done within the grace")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_ends_at_its_deadline() {
    let node = site(&["short"]).await;
    let ended = wait(&node, "short", "its time is over", |pod| {
        pod["status"]["phase"] == "Failed"
    })
    .await;
    let status = &ended["status"];
    assert_eq!(status["reason"], "DeadlineExceeded");
    let words = "Pod was active on the node longer than the specified deadline";
    assert_eq!(status["message"], words);
    let main = container(&ended, "containerStatuses", "main");
    assert_eq!(main["state"]["terminated"]["exitCode"], 137);
    told(&node, "DeadlineExceeded", words).await.unwrap();
}
