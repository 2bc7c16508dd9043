//! Several servers on one etcd: what one acknowledged the others know, and what is one in the cluster stays one.

use std::collections::BTreeSet;

use futures::future::join_all;
use osier_access::User;
use osier_tests::etcd::Etcd;
use serde_json::{Value, json};

use crate::custom::{DEFINITIONS, TABS, definition, tab};
use crate::server::{MAPS, Server, map, request};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

async fn two(etcd: &Etcd) -> [Server; 2] {
    let (one, other) = tokio::join!(Server::on(etcd), Server::on(etcd));
    [one, other]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_acknowledged_the_other_shows() {
    let etcd = Etcd::start(1).unwrap();
    let servers = two(&etcd).await;
    for round in 0..20 {
        let (writer, reader) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let name = format!("m{round}");
        let made = writer.post(MAPS, map(&name)).await.good();
        let seen = reader.get(&format!("{MAPS}/{name}")).await.good();
        assert_eq!(seen["metadata"], made["metadata"]);
        // The version of one server means the same to the other.
        let revision = made["metadata"]["resourceVersion"].as_str().unwrap();
        let path = format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
        let list = reader.get(&path).await.good();
        assert_eq!(list["items"].as_array().unwrap().len(), round + 1);
        let mut changed = seen.clone();
        changed["data"]["a"] = json!("2");
        reader
            .put(&format!("{MAPS}/{name}"), changed.clone())
            .await
            .good();
        changed["data"]["a"] = json!("3");
        let late = writer.put(&format!("{MAPS}/{name}"), changed).await;
        assert_eq!(late.code, 409, "{}", late.text);
    }
    let [one, _] = servers;
    one.api.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_hears_what_was_written_through_another_server() {
    let etcd = Etcd::start(1).unwrap();
    let [one, other] = two(&etcd).await;
    let list = one.get(MAPS).await.good();
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    other.post(MAPS, map("a")).await.good();
    other
        .merge(&format!("{MAPS}/a"), json!({"data": {"a": "2"}}))
        .await
        .good();
    other.delete(&format!("{MAPS}/a"), json!({})).await.good();
    let path = format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={revision}");
    let heard = one.get(&path).await;
    let kinds: Vec<Value> = heard
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_services_get_one_address() {
    let etcd = Etcd::start(1).unwrap();
    let servers = two(&etcd).await;
    let creations = (0..16).map(|number: usize| {
        let service =
            json!({"metadata": {"name": format!("s{number}")}, "spec": {"ports": [{"port": 80}]}});
        servers[number % 2].post(SERVICES, service)
    });
    let mut addresses = BTreeSet::new();
    for answer in join_all(creations).await {
        let service = answer.good();
        let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
        assert!(
            addresses.insert(address),
            "{}",
            service["spec"]["clusterIP"]
        );
    }
    let wanted = addresses.first().unwrap();
    let service = json!({"metadata": {"name": "late"}, "spec": {"ports": [{"port": 80}], "clusterIP": wanted}});
    let refused = servers[1].post(SERVICES, service.clone()).await;
    assert!(
        refused.message().contains("already allocated"),
        "{}",
        refused.text
    );
    // What one server frees the other gives out.
    let all = servers[0].get(SERVICES).await.good();
    let holder = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["spec"]["clusterIP"] == **wanted);
    let name = holder.unwrap()["metadata"]["name"].as_str().unwrap();
    servers[0]
        .delete(&format!("{SERVICES}/{name}"), json!({}))
        .await
        .good();
    servers[1].post(SERVICES, service).await.good();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_holds_however_many_servers_ask() {
    let etcd = Etcd::start(1).unwrap();
    let servers = two(&etcd).await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "5"}}});
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    servers[0].post(quotas, quota).await.good();
    let tries =
        (0..16).map(|number: usize| servers[number % 2].post(MAPS, map(&format!("m{number}"))));
    let answers = join_all(tries).await;
    let made = answers.iter().filter(|answer| answer.code == 201).count();
    let refused = answers.iter().filter(|answer| answer.code == 403).count();
    assert_eq!(
        (made, refused),
        (5, 11),
        "{:?}",
        answers.iter().map(|one| &one.text).collect::<Vec<_>>()
    );
    let quota = servers[1].get(&format!("{quotas}/q")).await.good();
    assert_eq!(quota["status"]["used"]["count/configmaps"], "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_and_kinds_of_one_server_are_those_of_the_other() {
    let etcd = Etcd::start(1).unwrap();
    let [one, other] = two(&etcd).await;
    let anna = User::new("anna", ["people"]);
    let asks = || request("GET", MAPS, "", "");
    assert_eq!(other.send_as(&anna, asks()).await.code, 403);
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]);
    one.post(
        ROLES,
        json!({"metadata": {"name": "reads"}, "rules": rules}),
    )
    .await
    .good();
    let binding = json!({"metadata": {"name": "reads"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"}]});
    one.post(BINDINGS, binding).await.good();
    other.send_as(&anna, asks()).await.good();
    one.delete(&format!("{BINDINGS}/reads"), json!({}))
        .await
        .good();
    assert_eq!(other.send_as(&anna, asks()).await.code, 403);

    one.post(DEFINITIONS, definition()).await.good();
    // The other server hears of the kind a moment later, as every watcher does.
    let found = osier_tests::until("the kind", std::time::Duration::from_secs(20), || async {
        let made = other.post(TABS, tab("a")).await;
        Ok((made.code == 201).then(|| made.json()))
    });
    let made = found.await.unwrap();
    let seen = one.get(&format!("{TABS}/a")).await.good();
    assert_eq!(seen["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_again_finds_what_was_there() {
    let etcd = Etcd::start(1).unwrap();
    let one = Server::on(&etcd).await;
    one.post(MAPS, map("a")).await.good();
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let first = one.post(SERVICES, service.clone()).await.good();
    one.api.close().await.unwrap();
    let again = Server::on(&etcd).await;
    again.get(&format!("{MAPS}/a")).await.good();
    let mut taken = service;
    taken["metadata"]["name"] = json!("t");
    let second = again.post(SERVICES, taken).await.good();
    assert_ne!(first["spec"]["clusterIP"], second["spec"]["clusterIP"]);
}
