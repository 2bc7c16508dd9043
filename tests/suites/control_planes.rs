//! Several `osier up` on one etcd: every one answers for all, one runs the controllers, and none of it ends with one process or
//! one member of etcd.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::api::Api;
use osier_tests::etcd::Etcd;
use osier_tests::{Node, Options, objects, until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/osier-controllers";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
/// A lease lasts fifteen seconds, and who waits looks every two; the rest is a loaded machine.
const TAKEOVER: Duration = Duration::from_secs(40);

/// A control plane of this name; the keys of the cluster are those in `pki`.
fn options(etcd: &Etcd, name: &str, pki: &Path) -> Options {
    let pki = pki.to_string_lossy();
    let args = [
        "--store",
        &etcd.location(),
        "--node-name",
        name,
        "--cert-dir",
        &pki,
    ];
    Options {
        args: args.map(str::to_owned).to_vec(),
        ..Options::default()
    }
}

async fn holder(node: &Node) -> Option<String> {
    let lease = objects::get(node, LEASE).await.ok()?;
    let holder = lease["spec"]["holderIdentity"].as_str()?;
    Some(holder.to_owned()).filter(|holder| !holder.is_empty())
}

async fn led_by(node: &Node, wanted: &str) {
    let what = format!("{wanted} leads");
    let asks = || async { Ok((holder(node).await.as_deref() == Some(wanted)).then_some(())) };
    until(&what, TAKEOVER, asks).await.unwrap();
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }})
}

/// The controllers work: a Deployment that is created through `node` gets its ReplicaSet.
async fn controlled(node: &Node, name: &str) {
    let mut api = Api::open(node).await.unwrap();
    let made = api
        .send("POST", DEPLOYMENTS, Some(&deployment(name)))
        .await
        .unwrap();
    assert!(made.status.is_success(), "{}", made.text());
    let path = format!("{REPLICA_SETS}?labelSelector=app={name}");
    let asks = || async {
        let list = objects::get(node, &path).await?;
        Ok((list["items"].as_array().map(Vec::len) == Some(1)).then_some(()))
    };
    until("a ReplicaSet", TAKEOVER, asks).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_control_planes_leads_and_another_takes_over() {
    let etcd = Etcd::start(1).unwrap();
    let pki = tempfile::tempdir().unwrap();
    let mut one = Node::start_with(&options(&etcd, "one", pki.path())).unwrap();
    led_by(&one, "one").await;
    let mut two = Node::start_with(&options(&etcd, "two", pki.path())).unwrap();
    controlled(&two, "first").await;
    assert_eq!(
        holder(&two).await.as_deref(),
        Some("one"),
        "who leads is not displaced"
    );

    // A crash: the lease runs out, and the other takes it.
    one.kill().unwrap();
    led_by(&two, "two").await;
    controlled(&two, "second").await;
    let lease = objects::get(&two, LEASE).await.unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 2);

    // An orderly end gives the lease back at once.
    one.restart_with(&options(&etcd, "one", pki.path()))
        .unwrap();
    two.terminate().unwrap();
    led_by(&one, "one").await;
    controlled(&one, "third").await;
}

/// Writes maps until told to stop; how many, and no failed one.
async fn write(mut api: Api, writer: usize, stop: tokio_util::sync::CancellationToken) -> usize {
    let mut made = 0;
    while !stop.is_cancelled() {
        let name = format!("w{writer}-{made}");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let answer = api.send("POST", MAPS, Some(&map)).await.unwrap();
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        made += 1;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_member_of_etcd_fails_no_write_of_any_control_plane() {
    let mut etcd = Etcd::start(3).unwrap();
    let pki = tempfile::tempdir().unwrap();
    let nodes =
        ["one", "two"].map(|name| Node::start_with(&options(&etcd, name, pki.path())).unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let mut writers = Vec::new();
    for (writer, node) in nodes.iter().enumerate() {
        let api = Api::open(node).await.unwrap();
        writers.push(tokio::spawn(write(api, writer, stop.clone())));
    }
    let count = |node: usize| {
        let node = &nodes[node];
        async move {
            let list = objects::get(node, MAPS).await.unwrap();
            list["items"].as_array().unwrap().len()
        }
    };
    for round in 0..2 {
        let member = match round {
            0 => etcd.leader().unwrap(),
            _ => (etcd.leader().unwrap() + 1) % 3,
        };
        let before = count(0).await;
        etcd.kill(member).unwrap();
        until("writes go on", Duration::from_secs(60), || async {
            Ok((count(1).await > before + 40).then_some(()))
        })
        .await
        .unwrap();
        etcd.restart(member).unwrap();
    }
    stop.cancel();
    let mut made = 0;
    for writer in writers {
        made += writer.await.unwrap();
    }
    for node in [0, 1] {
        // Each namespace has the authority in a map of its own.
        assert!([made, made + 1].contains(&count(node).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--store", "etcd://127.0.0.1:1"]
        .map(str::to_owned)
        .to_vec();
    let options = Options {
        args,
        ..Options::default()
    };
    let output = osier_tests::node::refused(folder.path(), &options).unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    for word in ["etcd://127.0.0.1:1", "does not answer", "majority"] {
        assert!(told.contains(word), "{told}");
    }
}
