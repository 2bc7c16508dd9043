//! Machines that join as members of a WorkloadGroup: each becomes a WorkloadEntry as the group's template says, for as long as its proxy runs.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::binary;
use osier_tests::server::Server;
use osier_tests::{Node, Options, http, objects, until};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const ENTRIES: &str = "/apis/networking.istio.io/v1/namespaces/default/workloadentries";

fn object(kind: &str, name: &str, spec: Value) -> String {
    json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

/// A node whose gateway leads to the members of the group `vms`, which listen on this port.
fn stage(port: u16) -> Node {
    let node = Node::start().unwrap();
    let group = json!({"metadata": {"labels": {"app": "legacy"}}, "template": {"serviceAccount": "legacy", "ports": {"http": port}}});
    let service = json!({"hosts": ["legacy.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "workloadSelector": {"labels": {"app": "legacy"}}});
    let servers =
        json!([{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]);
    let route = json!({"hosts": ["*"], "gateways": ["web"], "http": [{"route": [{"destination": {"host": "legacy.internal"}}]}]});
    for text in [
        object("WorkloadGroup", "vms", group),
        object("ServiceEntry", "legacy", service),
        object("Gateway", "web", json!({"servers": servers})),
        object("VirtualService", "web", route),
    ] {
        node.apply_text(&text).unwrap();
    }
    node
}

async fn answered(node: &Node, status: u16) {
    let gateway = node.address("gateway").unwrap();
    let asked = || async {
        let answer = http::get_with(&gateway, "/x", &[("host", "legacy.internal")]).await?;
        ensure!(
            answer.status == status,
            "{}: {}",
            answer.status,
            answer.text()
        );
        Ok(Some(()))
    };
    until(&format!("the gateway answers {status}"), SOON, asked)
        .await
        .unwrap();
}

/// The names of the entries, in order.
async fn entries(node: &Node) -> Result<Vec<String>> {
    let list = objects::get(node, ENTRIES).await?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().map(objects::name).collect())
}

async fn become_these(node: &Node, wanted: &[&str]) {
    let looked = || async {
        let found = entries(node).await?;
        ensure!(found == wanted, "{found:?}");
        Ok(Some(()))
    };
    until(&format!("the entries are {wanted:?}"), SOON, looked)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_in_the_mesh_for_as_long_as_its_proxy_runs() {
    let server = Server::plain().await.unwrap();
    let node = stage(server.port);
    answered(&node, 503).await;
    let mut one = node
        .member(("default/vms", "one"), Options::default())
        .unwrap();
    answered(&node, 200).await;
    let mut two = node
        .member(("default/vms", "two"), Options::default())
        .unwrap();
    become_these(&node, &["one.vms", "two.vms"]).await;
    let entry = objects::get(&node, &format!("{ENTRIES}/one.vms"))
        .await
        .unwrap();
    assert_eq!(entry["spec"]["serviceAccount"], "legacy");
    assert_eq!(entry["spec"]["labels"]["app"], "legacy");
    assert_eq!(
        entry["metadata"]["annotations"]["istio.io/autoRegistrationGroup"],
        "vms"
    );
    assert_eq!(
        one.terminate().unwrap().code(),
        Some(0),
        "{}",
        one.log_tail(20)
    );
    become_these(&node, &["two.vms"]).await;
    answered(&node, 200).await;
    assert_eq!(two.terminate().unwrap().code(), Some(0));
    become_these(&node, &[]).await;
    answered(&node, 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_group_is_for_its_members_only() {
    let node = stage(1);
    // A group that does not exist has no members.
    let left = node
        .member(("default/nobody", "one"), Options::default())
        .unwrap();
    let refused = format!("{:#}", left.address("admin").unwrap_err());
    assert!(refused.contains("or the WorkloadGroup"), "{refused}");
    let output = Command::new(binary().unwrap())
        .args([
            "token",
            "create",
            "--group",
            "default/some.group",
            "--kubeconfig",
        ])
        .arg(node.kubeconfig())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("a dot in its name"),
        "{said}"
    );
    let bound = Command::new(binary().unwrap())
        .args(["token", "create", "--group", "default/vms", "--kubeconfig"])
        .arg(node.kubeconfig())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&bound.stdout).into_owned();
    let args = printed
        .strip_prefix("osier proxy --group default/vms ")
        .unwrap();
    let args = args.split_whitespace().map(ToOwned::to_owned);
    let workload = ["--workload", "default/one.vms"].map(ToOwned::to_owned);
    let left = Node::start_with(&Options {
        args: workload.into_iter().chain(args).collect(),
        accompanies: true,
        ..Options::default()
    })
    .unwrap();
    let refused = format!("{:#}", left.address("admin").unwrap_err());
    assert!(
        refused.contains("the token is not for the workload"),
        "{refused}"
    );
}
