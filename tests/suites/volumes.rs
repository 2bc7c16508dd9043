//! Volumes as programs see them: files of objects that follow them, and directories that containers of a pod share.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::api::Api;
use osier_tests::artifacts::component;
use osier_tests::{Node, Options, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const OBJECTS: &str = include_str!("manifests/volumes.yaml");

async fn node() -> Node {
    let node = Node::start().unwrap();
    node.import("program:1.0", &component("tests/fixture-command").unwrap())
        .unwrap();
    node.apply_text(OBJECTS).unwrap();
    node
}

async fn log(node: &Node, pod: &str, container: &str) -> anyhow::Result<String> {
    let path = format!("/api/v1/namespaces/default/pods/{pod}/log?container={container}");
    let answer = Api::open(node).await?.send("GET", &path, None).await?;
    ensure!(answer.status.is_success(), "{}", answer.text());
    Ok(answer.text())
}

async fn ended(node: &Node, pod: &str, phase: &str) -> Value {
    let path = format!("/api/v1/namespaces/default/pods/{pod}");
    until(&format!("{pod} is {phase}"), LIMIT, || async {
        let pod = objects::get(node, &path).await?;
        Ok((pod["status"]["phase"] == phase).then_some(pod))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_and_write_their_volumes_and_nothing_else() {
    let node = node().await;
    ended(&node, "reader", "Succeeded").await;
    assert_eq!(
        log(&node, "reader", "writes").await.unwrap(),
        "write done\n"
    );
    assert_eq!(
        log(&node, "reader", "reads").await.unwrap(),
        "/scratch/note=left by another\n/config/colour=green\n/secret/key=opensesame\n\
         /all/named/colour=green\n/all/labels=app=\"reader\"\n\
         /etc/app/hue=green\n/etc/app/key=opensesame\n\
         /etc/passwd: NotFound\n/config/../../../../../../etc/passwd: PermissionDenied\n",
    );
    for container in ["changes-config", "changes-read-only"] {
        let told = log(&node, "reader", container).await.unwrap();
        assert!(
            told.starts_with("write ") && !told.contains("done"),
            "{container}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_follow_their_config_map_while_the_program_runs() {
    let node = node().await;
    let says = |line: &'static str| {
        let node = &node;
        until(line, LIMIT, move || async move {
            // There is no log before there is a container.
            let text = log(node, "follower", "main").await.unwrap_or_default();
            Ok(text.lines().any(|found| found == line).then_some(()))
        })
    };
    says("/config/colour=green").await.unwrap();
    let map = "/api/v1/namespaces/default/configmaps/colours";
    objects::merge(&node, map, &json!({"data": {"colour": "blue"}}))
        .await
        .unwrap();
    says("/config/colour=blue").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_had_is_told_and_goes_away_with_its_pod() {
    let node = node().await;
    let waits = |pod: &'static str, words: &'static str| {
        let node = &node;
        until(pod, LIMIT, move || async move {
            let pod = objects::get(node, &format!("/api/v1/namespaces/default/pods/{pod}")).await?;
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            let told = waiting["message"].as_str().unwrap_or_default();
            let waits = waiting["reason"] == "CreateContainerConfigError" && told.contains(words);
            Ok(waits.then_some(()))
        })
    };
    waits("no-map", "ConfigMap \"missing\" not found")
        .await
        .unwrap();
    waits("host", "is not allowed on this node").await.unwrap();

    let reader = ended(&node, "reader", "Succeeded").await;
    let folder = node
        .data_dir()
        .join("volumes")
        .join(reader["metadata"]["uid"].as_str().unwrap());
    assert!(folder.join("scratch/note").is_file());
    objects::delete(&node, "/api/v1/namespaces/default/pods/reader")
        .await
        .unwrap();
    let gone = || async { Ok((!folder.exists()).then_some(())) };
    until("the pod's files are gone", LIMIT, gone)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_outgrows_its_directory_is_evicted_and_stays_so() {
    let mut node = node().await;
    let glutton = ended(&node, "glutton", "Failed").await;
    assert_eq!(
        glutton["status"]["reason"], "Evicted",
        "{}",
        glutton["status"]
    );
    let told = "Usage of EmptyDir volume \"data\" exceeds the limit \"102400\".";
    assert_eq!(glutton["status"]["message"], told);
    let state = &glutton["status"]["containerStatuses"][0]["state"];
    assert_eq!(state["terminated"]["exitCode"], 137, "{state}");
    node.terminate().unwrap();
    node.restart().unwrap();
    let after = ended(&node, "glutton", "Failed").await;
    assert_eq!(after["status"]["reason"], "Evicted", "{}", after["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_of_the_machine_are_mounted_where_the_node_allows_it() {
    let shared = tempfile::tempdir().unwrap();
    let options = Options {
        args: ["--host-path", shared.path().to_str().unwrap()]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    };
    let node = Node::start_with(&options).unwrap();
    node.import("program:1.0", &component("tests/fixture-command").unwrap())
        .unwrap();
    let pod = |name: &str, args: Value, mount: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "program:1.0", "args": args, "volumeMounts": [mount]}],
            "volumes": [{"name": "disk", "hostPath": {"path": shared.path().join("made"), "type": "DirectoryOrCreate"}}]}})
    };
    let mount = |part: &str, read_only: bool| json!({"name": "disk", "mountPath": "/disk", "subPath": part, "readOnly": read_only});
    let writes = pod(
        "writes",
        json!(["write", "/disk/note", "kept"]),
        mount("a/b", false),
    );
    node.apply_text(&writes.to_string()).unwrap();
    ended(&node, "writes", "Succeeded").await;
    let note = shared.path().join("made/a/b/note");
    assert_eq!(std::fs::read_to_string(note).unwrap(), "kept");
    let reads = pod("reads", json!(["cat", "/disk/a/b/note"]), mount("", true));
    node.apply_text(&reads.to_string()).unwrap();
    ended(&node, "reads", "Succeeded").await;
    assert_eq!(
        log(&node, "reads", "main").await.unwrap(),
        "/disk/a/b/note=kept\n"
    );
    let changes = pod(
        "changes",
        json!(["write", "/disk/a/b/note", "lost"]),
        mount("", true),
    );
    node.apply_text(&changes.to_string()).unwrap();
    ended(&node, "changes", "Succeeded").await;
    let told = log(&node, "changes", "main").await.unwrap();
    assert!(!told.contains("done"), "{told}");
}
