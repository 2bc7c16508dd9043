//! Delete: at once, gracefully, with finalizers, many.

use serde_json::{Value, json};

use crate::server::{MAPS, PODS, Server, controller, map, pod};

#[tokio::test]
async fn a_plain_object_is_gone_at_once() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    let gone = server
        .delete(&path, json!({"propagationPolicy": "Background"}))
        .await
        .good();
    assert_eq!(
        (&gone["status"], &gone["kind"]),
        (&json!("Success"), &json!("Status"))
    );
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
    assert_eq!(
        server.get(&path).await.message(),
        "configmaps \"m\" not found"
    );
    assert_eq!(server.delete(&path, Value::Null).await.code, 404);
}

#[tokio::test]
async fn preconditions_hold() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    let refused = server
        .delete(&path, json!({"preconditions": {"uid": "another"}}))
        .await;
    assert_eq!(refused.code, 409);
    assert!(
        refused.message().contains("UID in precondition: another"),
        "{}",
        refused.message()
    );
    assert_eq!(
        server
            .delete(&path, json!({"preconditions": {"resourceVersion": "1"}}))
            .await
            .code,
        409
    );
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    server.delete(&path, right).await.good();
}

#[tokio::test]
async fn a_pod_nobody_runs_is_gone_at_once_and_a_placed_one_has_its_grace() {
    let server = Server::new().await;
    server.post(PODS, pod("waiting")).await.good();
    // Upstream shows who deletes a pod the pod, and whoever deletes a map a Status.
    let gone = server.delete(&format!("{PODS}/waiting"), json!({})).await;
    assert_eq!(gone.good()["metadata"]["name"], "waiting");
    let mut body = pod("placed");
    body["spec"]["nodeName"] = json!("n1");
    let made = server.post(PODS, body).await.good();
    let path = format!("{PODS}/placed");
    let marked = server.delete(&path, json!({})).await.good();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(
        server
            .delete(&path, json!({"gracePeriodSeconds": 60}))
            .await
            .good(),
        marked,
        "only shorter counts"
    );
    let shorter = server
        .delete(&path, json!({"gracePeriodSeconds": 5}))
        .await
        .good();
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    let agent = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": made["metadata"]["uid"]}});
    assert_eq!(server.delete(&path, agent).await.good()["kind"], "Pod");
    assert_eq!(server.get(&path).await.code, 404);
}

#[tokio::test]
async fn finalizers_keep_an_object_until_the_last_is_off() {
    let server = Server::new().await;
    let mut body = map("m");
    body["metadata"]["finalizers"] = json!(["osier.dev/one", "osier.dev/two"]);
    server.post(MAPS, body).await.good();
    let path = format!("{MAPS}/m");
    let marked = server.delete(&path, json!({})).await.good();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let more = server
        .merge(
            &path,
            json!({"metadata": {"finalizers": ["osier.dev/one", "osier.dev/new"]}}),
        )
        .await;
    assert_eq!(more.code, 422);
    assert!(
        more.message().contains("no new finalizers can be added"),
        "{}",
        more.message()
    );
    server
        .merge(
            &path,
            json!({"metadata": {"finalizers": ["osier.dev/two"]}}),
        )
        .await
        .good();
    assert_eq!(server.get(&path).await.code, 200);
    server
        .merge(&path, json!({"metadata": {"finalizers": null}}))
        .await
        .good();
    assert_eq!(server.get(&path).await.code, 404);
}

#[tokio::test]
async fn orphan_and_foreground_are_finalizers() {
    let server = Server::new().await;
    let controllers = "/api/v1/namespaces/default/replicationcontrollers";
    for (policy, finalizer) in [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")] {
        let name = policy.to_lowercase();
        server.post(controllers, controller(&name)).await.good();
        let marked = server
            .delete(
                &format!("{controllers}/{name}"),
                json!({"propagationPolicy": policy}),
            )
            .await
            .good();
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
    }
    let unknown = server
        .delete(
            &format!("{controllers}/orphan"),
            json!({"propagationPolicy": "Maybe"}),
        )
        .await;
    assert_eq!(unknown.code, 422);
}

#[tokio::test]
async fn a_namespace_goes_when_its_finalizer_is_off() {
    let server = Server::new().await;
    server
        .post("/api/v1/namespaces", json!({"metadata": {"name": "blue"}}))
        .await
        .good();
    let marked = server
        .delete("/api/v1/namespaces/blue", json!({}))
        .await
        .good();
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert_eq!(marked["spec"]["finalizers"], json!(["kubernetes"]));
    let mut body = marked.clone();
    body["spec"]["finalizers"] = json!([]);
    let main = server
        .put("/api/v1/namespaces/blue", body.clone())
        .await
        .good();
    assert_eq!(
        main["spec"]["finalizers"],
        json!(["kubernetes"]),
        "only /finalize takes it off"
    );
    server
        .put("/api/v1/namespaces/blue/finalize", body)
        .await
        .good();
    assert_eq!(server.get("/api/v1/namespaces/blue").await.code, 404);
    let kept = server.delete("/api/v1/namespaces/default", json!({})).await;
    assert_eq!(
        kept.message(),
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::new().await;
    for (name, color) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        let mut body = map(name);
        body["metadata"]["labels"] = json!({"color": color});
        server.post(MAPS, body).await.good();
    }
    let red = format!("{MAPS}?labelSelector=color%3Dred");
    let deleted = server.delete(&red, json!({})).await.good();
    assert_eq!(deleted["kind"], "ConfigMapList");
    let names = deleted["items"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    let left = server.get(MAPS).await.good();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
    assert_eq!(
        server.delete("/api/v1/namespaces", json!({})).await.code,
        405
    );
}

#[tokio::test]
async fn options_that_cannot_be_meant_are_invalid() {
    let server = Server::new().await;
    server.post(MAPS, map("a")).await.good();
    let path = format!("{MAPS}/a");
    let refused = [
        (
            json!({"propagationPolicy": "Sideways"}),
            "propagationPolicy: Unsupported value: \"Sideways\"",
        ),
        (
            json!({"propagationPolicy": "Foreground", "orphanDependents": true}),
            "cannot be both set",
        ),
    ];
    for (options, words) in refused {
        let answer = server.delete(&path, options).await;
        assert_eq!(answer.code, 422);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    assert_eq!(server.get(&path).await.code, 200);
}
