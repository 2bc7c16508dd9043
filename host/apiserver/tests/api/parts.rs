//! Subresources, and what is special about services.

use serde_json::{Value, json};

use crate::server::{PODS, Server, controller, pod};

const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";
const SERVICES: &str = "/api/v1/namespaces/default/services";

fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["ports"] = json!([{"port": 80}]);
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn scale_reads_and_writes_the_replica_count() {
    let server = Server::new().await;
    server.post(CONTROLLERS, controller("rc")).await.good();
    let path = format!("{CONTROLLERS}/rc/scale");
    let scale = server.get(&path).await.good();
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"]),
        (&json!("Scale"), &json!(1))
    );
    assert_eq!(scale["status"]["selector"], "app=x");
    assert_eq!(
        server
            .merge(&path, json!({"spec": {"replicas": 4}}))
            .await
            .good()["spec"]["replicas"],
        4
    );
    let stored = server.get(&format!("{CONTROLLERS}/rc")).await.good();
    assert_eq!(
        (
            &stored["spec"]["replicas"],
            &stored["metadata"]["generation"]
        ),
        (&json!(4), &json!(2))
    );
    assert_eq!(
        server.put(&path, scale).await.code,
        409,
        "it was read before the change"
    );
    assert_eq!(
        server
            .merge(&path, json!({"spec": {"replicas": "x"}}))
            .await
            .code,
        400
    );
    assert_eq!(
        server
            .merge(&path, json!({"spec": {"replicas": -1}}))
            .await
            .code,
        422
    );
    assert_eq!(server.get(&format!("{PODS}/p/scale")).await.code, 404);
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.good();
    let path = format!("{PODS}/p/binding");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n1"}});
    assert_eq!(server.post(&path, binding.clone()).await.code, 201);
    let bound = server.get(&format!("{PODS}/p")).await.good();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let again = server.post(&path, binding).await;
    assert_eq!(again.code, 409);
    assert!(
        again
            .message()
            .ends_with("pod p is already assigned to node \"n1\""),
        "{}",
        again.message()
    );
    assert_eq!(server.post(&path, json!({"target": {}})).await.code, 422);
}

#[tokio::test]
async fn a_scheduler_binds_by_the_collection_too() {
    const BINDINGS: &str = "/api/v1/namespaces/default/bindings";
    let server = Server::new().await;
    let made = server.post(PODS, pod("p")).await.good();
    let binding = |uid: &Value| {
        json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p", "uid": uid},
            "target": {"kind": "Node", "name": "n1"}})
    };
    let other = server.post(BINDINGS, binding(&json!("other"))).await;
    assert_eq!(other.code, 409, "{}", other.message());
    let own = binding(&made["metadata"]["uid"]);
    assert_eq!(server.post(BINDINGS, own.clone()).await.code, 201);
    let bound = server.get(&format!("{PODS}/p")).await.good();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    assert_eq!(server.post(BINDINGS, own).await.code, 409);
    assert_eq!(server.get(BINDINGS).await.code, 405);
    let nobody = json!({"metadata": {"name": "q"}, "target": {"name": "n1"}});
    assert_eq!(server.post(BINDINGS, nobody).await.code, 404);
    let unnamed = json!({"metadata": {}, "target": {"name": "n1"}});
    assert_eq!(server.post(BINDINGS, unnamed).await.code, 422);
}

#[tokio::test]
async fn a_pod_gets_what_built_in_admission_gives() {
    const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
    let server = Server::new().await;
    let made = server.post(PODS, pod("plain")).await.good();
    assert_eq!(made["spec"]["priority"], 0);
    assert_eq!(made["spec"]["preemptionPolicy"], "PreemptLowerPriority");
    let bears: Vec<&Value> = made["spec"]["tolerations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["tolerationSeconds"])
        .collect();
    assert_eq!(bears, [300, 300]);
    let mut critical = pod("critical");
    critical["spec"]["priorityClassName"] = json!("system-node-critical");
    let critical = server.post(PODS, critical).await.good();
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let mut robot = pod("robot");
    robot["spec"]["serviceAccountName"] = json!("robot");
    let refused = server.post(PODS, robot.clone()).await;
    assert_eq!(refused.code, 403);
    let words = "serviceaccount \"robot\" not found";
    assert!(refused.message().ends_with(words), "{}", refused.message());
    let account = json!({"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "key"}]});
    server.post(ACCOUNTS, account).await.good();
    let robot = server.post(PODS, robot).await.good();
    assert_eq!(robot["spec"]["imagePullSecrets"][0]["name"], "key");
}

#[tokio::test]
async fn an_eviction_is_a_delete() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.good();
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    assert_eq!(
        server
            .post(&format!("{PODS}/p/eviction"), eviction)
            .await
            .code,
        201
    );
    assert_eq!(server.get(&format!("{PODS}/p")).await.code, 404);
}

#[tokio::test]
async fn an_eviction_is_spent_from_the_budget_of_the_pod() {
    let server = Server::new().await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {}}});
    server.post(budgets, budget).await.good();
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    for name in ["p", "q"] {
        server.post(PODS, pod(name)).await.good();
        server
            .merge(&format!("{PODS}/{name}/status"), running.clone())
            .await
            .good();
    }
    let evict = async |name: &str, options: Value| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options});
        server
            .post(&format!("{PODS}/{name}/eviction"), eviction)
            .await
    };
    let early = evict("p", Value::Null).await;
    assert_eq!(
        (early.code, early.headers["retry-after"].to_str().unwrap()),
        (429, "10"),
        "nobody has counted yet"
    );
    let counted = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}});
    server
        .merge(&format!("{budgets}/b/status"), counted)
        .await
        .good();
    assert_eq!(evict("p", json!({"dryRun": ["All"]})).await.code, 201);
    assert_eq!(evict("p", Value::Null).await.code, 201);
    let status = server.get(&format!("{budgets}/b")).await.json()["status"].clone();
    assert_eq!(status["disruptionsAllowed"], 0, "{status}");
    assert!(status["disruptedPods"]["p"].is_string(), "{status}");
    let late = evict("q", Value::Null).await;
    assert_eq!((late.code, late.headers.get("retry-after")), (429, None));
    let cause = late.json()["details"]["causes"][0]["message"].clone();
    assert_eq!(
        cause,
        "The disruption budget b needs 1 healthy pods and has 2 currently"
    );
    assert_eq!(server.get(&format!("{PODS}/q")).await.code, 200);
}

#[tokio::test]
async fn logs_are_opened_for_the_right_container() {
    let server = Server::new().await;
    let mut body = pod("p");
    body["spec"]["nodeName"] = json!("n1");
    server.post(PODS, body.clone()).await.good();
    let log = server
        .get(&format!(
            "{PODS}/p/log?follow=true&tailLines=3&timestamps=true&limitBytes=9"
        ))
        .await;
    assert!(
        log.text
            .starts_with("p c LogOptions { follow: true, tail_lines: Some(3)"),
        "{}",
        log.text
    );
    assert_eq!(log.headers["content-type"], "text/plain");
    let wrong = server.get(&format!("{PODS}/p/log?container=x")).await;
    assert_eq!(
        (wrong.code, wrong.message().as_str()),
        (400, "container x is not valid for pod p")
    );
    assert_eq!(
        server
            .get(&format!("{PODS}/p/log?sinceTime=yesterday"))
            .await
            .code,
        400
    );
    body["metadata"]["name"] = json!("two");
    body["spec"]["containers"] = json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]);
    server.post(PODS, body).await.good();
    let unsaid = server.get(&format!("{PODS}/two/log")).await;
    assert_eq!(
        unsaid.message(),
        "a container name must be specified for pod two, choose one of: [a b]"
    );
}

#[tokio::test]
async fn every_service_gets_an_address_of_its_own() {
    let server = Server::new().await;
    let one = server
        .post(SERVICES, service("one", json!({})))
        .await
        .good();
    let two = server
        .post(SERVICES, service("two", json!({})))
        .await
        .good();
    assert_eq!(
        (&one["spec"]["clusterIP"], &two["spec"]["clusterIP"]),
        (&json!("10.96.0.2"), &json!("10.96.0.3"))
    );
    assert_eq!(one["spec"]["clusterIPs"], json!(["10.96.0.2"]));
    let taken = server
        .post(
            SERVICES,
            service("three", json!({"clusterIP": "10.96.0.2"})),
        )
        .await;
    assert_eq!(taken.code, 422);
    assert!(
        taken.message().contains("provided IP is already allocated"),
        "{}",
        taken.message()
    );
    assert_eq!(
        server
            .post(SERVICES, service("three", json!({"clusterIP": "10.1.0.2"})))
            .await
            .code,
        422
    );
}

#[tokio::test]
async fn addresses_are_given_back_and_kept_over_a_replace() {
    let server = Server::new().await;
    server
        .post(SERVICES, service("one", json!({})))
        .await
        .good();
    server
        .post(SERVICES, service("two", json!({})))
        .await
        .good();
    let headless = server
        .post(SERVICES, service("headless", json!({"clusterIP": "None"})))
        .await
        .good();
    assert_eq!(headless["spec"]["clusterIP"], "None");
    server
        .post(&format!("{SERVICES}?dryRun=All"), service("dry", json!({})))
        .await
        .good();
    server
        .delete(&format!("{SERVICES}/one"), json!({}))
        .await
        .good();
    let next = server
        .post(SERVICES, service("next", json!({})))
        .await
        .good();
    assert_eq!(next["spec"]["clusterIP"], "10.96.0.2", "given back");
    let kept = server
        .put(
            &format!("{SERVICES}/next"),
            service("next", json!({"selector": {"a": "b"}})),
        )
        .await
        .good();
    assert_eq!(kept["spec"]["clusterIP"], "10.96.0.2");
}

#[tokio::test]
async fn addresses_stay_taken_after_a_restart() {
    let server = Server::new().await;
    server
        .post(SERVICES, service("one", json!({})))
        .await
        .good();
    server.api.close().await.unwrap();
    let Server { api, folder, .. } = server;
    drop(api);
    let server = Server::at(folder).await;
    let two = server
        .post(SERVICES, service("two", json!({})))
        .await
        .good();
    assert_eq!(two["spec"]["clusterIP"], "10.96.0.3");
}

#[tokio::test]
async fn metrics_are_made_of_what_nodes_tell_when_they_are_asked() {
    const METRICS: &str = "/apis/metrics.k8s.io/v1beta1";
    let server = Server::new().await;
    for name in ["n1", "silent"] {
        let node = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"zone": name}}});
        server.post("/api/v1/nodes", node).await.good();
    }
    let all = server.get(&format!("{METRICS}/nodes")).await.good();
    assert_eq!(all["kind"], "NodeMetricsList");
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{all}");
    assert_eq!(items[0]["usage"], json!({"cpu": "5n", "memory": "2Ki"}));
    assert_eq!(items[0]["window"], "10.000s");
    let one = server.get(&format!("{METRICS}/nodes/n1")).await.good();
    assert_eq!(one["metadata"]["labels"], json!({"zone": "n1"}));
    let selected = format!("{METRICS}/nodes?labelSelector=zone%3Dsilent");
    let selected = server.get(&selected).await.good();
    assert_eq!(selected["items"], json!([]));
    let silent = server.get(&format!("{METRICS}/nodes/silent")).await;
    assert_eq!(silent.code, 404);
    let pods = format!("{METRICS}/namespaces/default/pods");
    assert_eq!(server.get(&pods).await.good()["items"], json!([]));
    assert_eq!(server.post(&pods, json!({})).await.code, 405);
}

#[tokio::test]
async fn ports_are_forwarded_only_of_pods_that_are_on_a_node() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.good();
    let path = format!("{PODS}/p/portforward");
    let refused = server.get(&path).await;
    assert_eq!(
        (refused.code, refused.message().as_str()),
        (400, "the pod does not have a host assigned")
    );
    assert_eq!(server.get(&format!("{PODS}/x/portforward")).await.code, 404);
}

#[tokio::test]
async fn commands_are_asked_of_the_node_of_the_pod() {
    let server = Server::new().await;
    let mut body = pod("p");
    server.post(PODS, body.clone()).await.good();
    let command = "command=cat&command=%2Fa&stdout=true&stdin=true";
    let nowhere = server.get(&format!("{PODS}/p/exec?{command}")).await;
    assert_eq!(
        (nowhere.code, nowhere.message().as_str()),
        (400, "the pod does not have a host assigned")
    );
    body["metadata"]["name"] = json!("q");
    body["spec"]["nodeName"] = json!("n1");
    server.post(PODS, body).await.good();
    for method in ["exec", "attach"] {
        let asked = server.get(&format!("{PODS}/q/{method}?{command}")).await;
        let told = asked.text;
        assert!(
            told.starts_with(&format!("{method} c ExecOptions")),
            "{told}"
        );
        assert!(told.contains(r#"["cat", "/a"]"#), "{told}");
        let nothing = server.get(&format!("{PODS}/q/{method}")).await;
        assert_eq!(nothing.code, 400);
        let other = format!("{PODS}/q/{method}?container=x&{command}");
        assert_eq!(server.get(&other).await.code, 400);
    }
    assert_eq!(
        server
            .get(&format!("{PODS}/q/exec?stdout=true"))
            .await
            .message(),
        "you must specify at least one command"
    );
    let debug = server.get(&format!("{PODS}/q/ephemeralcontainers")).await;
    assert_eq!(debug.code, 405);
    assert!(debug.message().contains("--copy-to"), "{}", debug.message());
}
