//! Create, replace, patch.

use serde_json::{Value, json};

use crate::server::{MAPS, PODS, Server, controller, map, pod, request};

const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";

#[tokio::test]
async fn the_server_sets_what_is_its_own() {
    let server = Server::new().await;
    let mut body = pod("p");
    body["status"] = json!({"phase": "Running"});
    body["metadata"]["uid"] = json!("mine");
    body["metadata"]["generation"] = json!(7);
    body["metadata"]["managedFields"] = json!([]);
    let made = server.post(PODS, body).await;
    assert_eq!(made.code, 201);
    let made = made.json();
    assert_eq!(
        made["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );
    assert_ne!(made["metadata"]["uid"], "mine");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["metadata"]["namespace"], "default");
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "admin");
    assert!(
        made["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(server.get(&format!("{PODS}/p")).await.good(), made);
}

#[tokio::test]
async fn a_name_is_taken_once_and_generated_when_asked() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    let again = server.post(MAPS, map("m")).await;
    assert_eq!(
        (again.code, again.message().as_str()),
        (409, "configmaps \"m\" already exists")
    );
    let generated = json!({"metadata": {"generateName": "job-"}});
    let (one, two) = (
        server.post(MAPS, generated.clone()).await.good(),
        server.post(MAPS, generated).await.good(),
    );
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[tokio::test]
async fn bodies_must_fit_their_url() {
    let server = Server::new().await;
    let wrong = |field: &str, value: Value| {
        let mut body = map("m");
        *body.pointer_mut(field).unwrap() = value;
        body
    };
    let kind = server.post(MAPS, wrong("/kind", json!("Pod"))).await;
    assert_eq!(kind.code, 400);
    let version = server.post(MAPS, wrong("/apiVersion", json!("v2"))).await;
    assert_eq!(
        version.message(),
        "the API version in the data (v2) does not match the expected API version (v1)"
    );
    let namespace = server
        .post(
            MAPS,
            wrong("/metadata", json!({"name": "m", "namespace": "other"})),
        )
        .await;
    assert_eq!(
        namespace.message(),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    server.post(MAPS, map("m")).await.good();
    let renamed = server.put(&format!("{MAPS}/m"), map("n")).await;
    assert_eq!(
        renamed.message(),
        "the name of the object (n) does not match the name on the URL (m)"
    );
    assert_eq!(server.post(MAPS, json!([])).await.code, 400);
    assert_eq!(server.post("/api/v1/configmaps", map("m")).await.code, 405);
}

#[tokio::test]
async fn a_stale_write_is_refused_and_an_unversioned_one_is_not() {
    let server = Server::new().await;
    let first = server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    let mut second = first.clone();
    second["data"]["a"] = json!("2");
    server.put(&path, second).await.good();
    let mut stale = first.clone();
    stale["data"]["a"] = json!("3");
    let refused = server.put(&path, stale.clone()).await;
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (409, Some("Conflict"))
    );
    assert_eq!(
        refused.message(),
        "Operation cannot be fulfilled on configmaps \"m\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    stale["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    assert_eq!(
        server.put(&path, stale.clone()).await.good()["data"]["a"],
        "3"
    );
    stale["metadata"]["uid"] = json!("another");
    assert_eq!(server.put(&path, stale).await.code, 409);
    assert_eq!(
        server.put(&format!("{MAPS}/none"), map("none")).await.code,
        404
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_revision() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    assert_eq!(server.put(&path, made.clone()).await.good(), made);
    assert_eq!(
        server
            .merge(&path, json!({"data": {"a": "1"}}))
            .await
            .good(),
        made
    );
    assert_eq!(server.get(&path).await.good(), made);
}

#[tokio::test]
async fn generation_counts_wanted_states_and_status_has_its_own_path() {
    let server = Server::new().await;
    let made = server.post(CONTROLLERS, controller("rc")).await.good();
    let path = format!("{CONTROLLERS}/rc");
    let labelled = server
        .merge(&path, json!({"metadata": {"labels": {"x": "y"}}}))
        .await
        .good();
    assert_eq!(labelled["metadata"]["generation"], 1);
    assert_eq!(
        server
            .merge(&path, json!({"spec": {"replicas": 2}}))
            .await
            .good()["metadata"]["generation"],
        2
    );
    let ignored = server
        .merge(&path, json!({"status": {"replicas": 9}}))
        .await
        .good();
    assert_eq!(ignored["status"], made["status"]);
    let status = json!({"spec": {"replicas": 9}, "status": {"replicas": 2}, "metadata": {"labels": {"x": "z"}}});
    let status = server.merge(&format!("{path}/status"), status).await.good();
    assert_eq!(status["status"]["replicas"], 2);
    assert_eq!(
        (
            &status["spec"]["replicas"],
            &status["metadata"]["labels"]["x"]
        ),
        (&json!(2), &json!("y"))
    );
    assert_eq!(status["metadata"]["generation"], 2);
}

#[tokio::test]
async fn unknown_and_repeated_fields() {
    let server = Server::new().await;
    let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"bogus":1,"data":{"a":"1","a":"2"}}"#;
    let send = |query: &str| {
        server.send(request(
            "POST",
            &format!("{MAPS}?dryRun=All{query}"),
            "application/json",
            text,
        ))
    };
    let strict = send("&fieldValidation=Strict").await;
    assert_eq!(strict.code, 400);
    assert_eq!(
        strict.message(),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"bogus\", \
         duplicate field \"data.a\""
    );
    let warned = send("").await;
    let warnings = [
        "299 - \"unknown field \\\"bogus\\\"\"",
        "299 - \"duplicate field \\\"data.a\\\"\"",
    ];
    assert_eq!(warned.warnings(), warnings);
    assert_eq!(
        (&warned.good()["bogus"], &warned.good()["data"]["a"]),
        (&Value::Null, &json!("2"))
    );
    assert!(send("&fieldValidation=Ignore").await.warnings().is_empty());
    assert_eq!(send("&fieldValidation=Maybe").await.code, 400);
}

#[tokio::test]
async fn wrong_types_are_refused_in_every_mode() {
    let server = Server::new().await;
    let mut body = map("m");
    body["data"]["a"] = json!(1);
    let refused = server
        .post(&format!("{MAPS}?fieldValidation=Ignore"), body)
        .await;
    assert_eq!(refused.code, 400);
    assert!(
        refused.message().contains("data.a"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn faults_are_named_all_at_once() {
    let server = Server::new().await;
    let refused = server
        .post(
            PODS,
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{}]}}),
        )
        .await;
    assert_eq!(refused.code, 422, "{}", refused.text);
    let details = &refused.json()["details"];
    let fields: Vec<&str> = details["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert!(fields.contains(&"spec.containers[0].name"), "{fields:?}");
    assert_eq!(
        (&details["name"], &details["kind"]),
        (&json!("p"), &json!("Pod"))
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_keeps_nothing() {
    let server = Server::new().await;
    let would = server.post(&format!("{MAPS}?dryRun=All"), map("m")).await;
    assert_eq!(
        (would.code, would.json()["data"]["a"].as_str()),
        (201, Some("1"))
    );
    assert_eq!(server.get(&format!("{MAPS}/m")).await.code, 404);
    let made = server.post(MAPS, map("m")).await.good();
    server
        .merge(&format!("{MAPS}/m?dryRun=All"), json!({"data": {"a": "2"}}))
        .await
        .good();
    assert_eq!(
        server
            .delete(&format!("{MAPS}/m?dryRun=All"), json!({}))
            .await
            .code,
        200
    );
    assert_eq!(server.get(&format!("{MAPS}/m")).await.good(), made);
}

#[tokio::test]
async fn patches_of_each_kind() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    let patch = |media: &str, text: &str| server.send(request("PATCH", &path, media, text));
    let json = patch(
        "application/json-patch+json",
        r#"[{"op":"add","path":"/data/b","value":"2"}]"#,
    )
    .await
    .good();
    assert_eq!(json["data"], json!({"a": "1", "b": "2"}));
    let merge = patch("application/merge-patch+json", r#"{"data":{"a":null}}"#)
        .await
        .good();
    assert_eq!(merge["data"], json!({"b": "2"}));
    let strategic = r#"{"data":{"$patch":"replace","c":"3"}}"#;
    let strategic = patch("application/strategic-merge-patch+json", strategic)
        .await
        .good();
    assert_eq!(strategic["data"], json!({"c": "3"}));
    let failed = patch(
        "application/json-patch+json",
        r#"[{"op":"test","path":"/data/c","value":"x"}]"#,
    )
    .await;
    assert_eq!(
        (failed.code, failed.json()["reason"].as_str()),
        (422, Some("Invalid"))
    );
    assert_eq!(patch("application/json-patch+json", "{").await.code, 400);
    assert_eq!(patch("text/plain", "{}").await.code, 415);
    let stale = patch(
        "application/merge-patch+json",
        r#"{"metadata":{"resourceVersion":"1"}}"#,
    )
    .await;
    assert_eq!(stale.code, 409);
}

#[tokio::test]
async fn many_patches_at_once_all_count() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    let path = format!("{MAPS}/m");
    let patches =
        (0..20).map(|number| server.merge(&path, json!({"data": {format!("k{number}"): "x"}})));
    for answer in futures::future::join_all(patches).await {
        answer.good();
    }
    assert_eq!(
        server.get(&path).await.good()["data"]
            .as_object()
            .unwrap()
            .len(),
        21
    );
}

#[tokio::test]
async fn admission_changes_refuses_and_warns() {
    let server = Server::new().await;
    let with = |label: &str| {
        let mut body = map(label);
        body["metadata"]["labels"] = json!({"doorman": label});
        body
    };
    let refused = server.post(MAPS, with("refuse")).await;
    assert_eq!(
        (refused.code, refused.message().as_str()),
        (
            403,
            "configmaps \"refuse\" is forbidden: the doorman says no"
        )
    );
    let changed = server.post(MAPS, with("change")).await;
    assert_eq!(changed.warnings(), ["299 - \"the doorman changed it\""]);
    assert_eq!(
        changed.good()["metadata"]["annotations"]["seen-by"],
        "admin"
    );
}

#[tokio::test]
async fn a_write_needs_a_living_namespace() {
    let server = Server::new().await;
    let nowhere = server
        .post("/api/v1/namespaces/nowhere/configmaps", map("m"))
        .await;
    assert_eq!(
        (nowhere.code, nowhere.message().as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
    server
        .post("/api/v1/namespaces", json!({"metadata": {"name": "blue"}}))
        .await
        .good();
    server
        .delete("/api/v1/namespaces/blue", json!({}))
        .await
        .good();
    let late = server
        .post("/api/v1/namespaces/blue/configmaps", map("m"))
        .await;
    assert_eq!(
        (late.code, late.message().as_str()),
        (
            403,
            "configmaps \"m\" is forbidden: unable to create new content in namespace blue because it is being terminated"
        )
    );
}

#[tokio::test]
async fn a_node_brings_its_status_along() {
    let server = Server::new().await;
    let node = json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "4"}}});
    assert_eq!(
        server.post("/api/v1/nodes", node).await.good()["status"]["capacity"]["cpu"],
        "4"
    );
}

#[tokio::test]
async fn other_versions_are_the_same_object() {
    let server = Server::new().await;
    let old = "/apis/networking.istio.io/v1beta1/namespaces/default/gateways";
    let body = json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway", "metadata": {"name": "g"},
        "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
    });
    assert_eq!(
        server.post(old, body).await.good()["apiVersion"],
        "networking.istio.io/v1beta1"
    );
    let new = server
        .get("/apis/networking.istio.io/v1/namespaces/default/gateways/g")
        .await
        .good();
    assert_eq!(new["apiVersion"], "networking.istio.io/v1");
    let list = server
        .get("/apis/networking.istio.io/v1alpha3/gateways")
        .await
        .good();
    assert_eq!(
        list["items"][0]["apiVersion"],
        "networking.istio.io/v1alpha3"
    );
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = Server::new().await;
    let made = server.post(MAPS, map("m")).await.good();
    server.api.close().await.unwrap();
    assert_eq!(server.post(MAPS, map("late")).await.code, 503);
    let Server { api, folder, .. } = server;
    drop(api);
    let server = Server::at(folder).await;
    assert_eq!(server.get(&format!("{MAPS}/m")).await.good(), made);
}
