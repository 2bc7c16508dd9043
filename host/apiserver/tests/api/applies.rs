//! Server-side apply over HTTP: creation, merge, conflicts, what is given up, who is recorded for other writes.

use serde_json::{Value, json};

use crate::server::{Answer, MAPS, PODS, Server, map, pod, request};

const APPLY: &str = "application/apply-patch+yaml";

async fn apply(server: &Server, path: &str, options: &str, config: Value) -> Answer {
    let path = format!("{path}?{options}");
    server
        .send(request("PATCH", &path, APPLY, &config.to_string()))
        .await
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

/// Manager and operation of every entry.
fn managers(object: &Value) -> Vec<(&str, &str)> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("manager"), text("operation"))
        })
        .collect()
}

#[tokio::test]
async fn an_apply_creates_merges_and_gives_up() {
    let server = Server::new().await;
    let path = format!("{MAPS}/m");
    let created = apply(
        &server,
        &path,
        "fieldManager=a",
        config(json!({"x": "1", "y": "1"})),
    )
    .await;
    assert_eq!(created.code, 201, "{}", created.text);
    assert_eq!(managers(&created.json()), [("a", "Apply")]);
    let other = apply(&server, &path, "fieldManager=b", config(json!({"z": "1"}))).await;
    assert_eq!(
        (other.code, &other.json()["data"]),
        (200, &json!({"x": "1", "y": "1", "z": "1"}))
    );
    let less = apply(&server, &path, "fieldManager=a", config(json!({"x": "2"})))
        .await
        .good();
    assert_eq!(less["data"], json!({"x": "2", "z": "1"}));
    let again = apply(&server, &path, "fieldManager=a", config(json!({"x": "2"})))
        .await
        .good();
    assert_eq!(again, less, "a second apply of the same writes nothing");
}

#[tokio::test]
async fn conflicts_have_causes_and_force_takes_over() {
    let server = Server::new().await;
    let path = format!("{MAPS}/m");
    let created = request(
        "POST",
        &format!("{MAPS}?fieldManager=creator"),
        "application/json",
        &map("m").to_string(),
    );
    server.send(created).await.good();
    let refused = apply(&server, &path, "fieldManager=b", config(json!({"a": "2"}))).await;
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (409, Some("Conflict"))
    );
    assert_eq!(
        refused.json()["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"creator\" using v1", "field": ".data.a"}])
    );
    let forced = apply(
        &server,
        &path,
        "fieldManager=b&force=true",
        config(json!({"a": "2"})),
    )
    .await
    .good();
    assert_eq!(forced["data"]["a"], "2");
    assert_eq!(managers(&forced), [("b", "Apply"), ("creator", "Update")]);
}

#[tokio::test]
async fn other_writes_take_what_they_change() {
    let server = Server::new().await;
    let path = format!("{MAPS}/m");
    apply(&server, &path, "fieldManager=a", config(json!({"x": "1"})))
        .await
        .good();
    let mut patch = request(
        "PATCH",
        &path,
        "application/merge-patch+json",
        r#"{"data":{"x":"2"}}"#,
    );
    patch
        .headers_mut()
        .insert("user-agent", "tool/1.0 (linux)".parse().unwrap());
    let patched = server.send(patch).await.good();
    assert_eq!(managers(&patched), [("tool", "Update")]);
    let refused = apply(&server, &path, "fieldManager=a", config(json!({"x": "1"}))).await;
    assert!(
        refused
            .message()
            .contains("conflict with \"tool\" using v1: .data.x"),
        "{}",
        refused.text
    );
    let status = json!({"status": {"phase": "Running"}});
    server.post(PODS, pod("p")).await.good();
    let running = server
        .merge(&format!("{PODS}/p/status"), status)
        .await
        .good();
    let entry = &running["metadata"]["managedFields"][1];
    assert_eq!(
        (&entry["subresource"], &entry["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:phase": {}}}))
    );
}

#[tokio::test]
async fn the_status_is_applied_through_its_own_path_only() {
    let server = Server::new().await;
    let config = |status: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"message": status}})
    };
    let path = format!("{PODS}/p");
    let created = apply(&server, &path, "fieldManager=a", config("x"))
        .await
        .good();
    assert_eq!(created["status"].get("message"), None);
    let part = format!("{path}/status");
    let applied = apply(&server, &part, "fieldManager=s", config("y"))
        .await
        .good();
    assert_eq!(applied["status"]["message"], "y");
    let absent = format!("{PODS}/q/status");
    let missing = apply(
        &server,
        &absent,
        "fieldManager=s",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}, "status": {"message": "z"}}),
    );
    assert_eq!(missing.await.code, 404);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = Server::new().await;
    let path = format!("{MAPS}/m");
    let good = config(json!({"x": "1"}));
    let cases = [
        (
            "",
            good.clone(),
            422,
            "fieldManager: Required value: is required for apply patch",
        ),
        (
            "fieldManager=a&force=maybe",
            good.clone(),
            422,
            "force: Invalid value",
        ),
        (
            "fieldManager=a",
            json!({"kind": "ConfigMap"}),
            400,
            "must have apiVersion",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "Pod"}),
            400,
            "does not match the kind",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"managedFields": [{"manager": "x"}]}}),
            400,
            "metadata.managedFields must be nil",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "spec": 1}),
            400,
            "(default/m; v1, Kind=ConfigMap): .spec: field not declared in schema",
        ),
        (
            "fieldManager=a&fieldValidation=Strict",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "spec": 1}),
            400,
            "unknown field \"spec\"",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}),
            400,
            "does not match the name on the URL",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"uid": "u"}}),
            409,
            "uid mismatch",
        ),
    ];
    for (options, config, code, words) in cases {
        let answer = apply(&server, &path, options, config).await;
        assert_eq!(answer.code, code, "{words}: {}", answer.text);
        assert!(
            answer.message().contains(words),
            "{words}: {}",
            answer.message()
        );
    }
    let patch = request(
        "PATCH",
        &format!("{path}?force=true"),
        "application/merge-patch+json",
        "{}",
    );
    let answer = server.send(patch).await;
    assert!(
        answer.code == 422 && answer.message().contains("non-apply patch"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let server = Server::new().await;
    let path = format!("{MAPS}/m");
    let shown = apply(
        &server,
        &path,
        "fieldManager=a&dryRun=All",
        config(json!({"x": "1"})),
    )
    .await;
    assert_eq!((shown.code, managers(&shown.good()).len()), (201, 1));
    assert_eq!(server.get(&path).await.code, 404);
}

#[tokio::test]
async fn an_applied_scale_owns_the_replica_count_and_nothing_else() {
    let server = Server::new().await;
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    let deployment = |replicas: Option<u32>| {
        let labels = json!({"app": "web"});
        let mut config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}});
        if let Some(replicas) = replicas {
            config["spec"]["replicas"] = json!(replicas);
        }
        config
    };
    let scale = |spec: Value| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": spec});
    let part = format!("{path}/scale");
    let five = scale(json!({"replicas": 5}));
    let early = apply(&server, &part, "fieldManager=auto", five.clone()).await;
    assert_eq!(early.code, 404, "what is not there is not scaled");
    apply(&server, path, "fieldManager=ann", deployment(Some(2)))
        .await
        .good();

    let refused = apply(&server, &part, "fieldManager=auto", five.clone()).await;
    assert_eq!(refused.code, 409);
    assert_eq!(
        refused.message(),
        "Apply failed with 1 conflict: conflict with \"ann\": .spec.replicas"
    );
    let forced = apply(&server, &part, "fieldManager=auto&force=true", five)
        .await
        .good();
    assert_eq!(
        (&forced["kind"], &forced["spec"]["replicas"]),
        (&json!("Scale"), &json!(5))
    );
    let stored = server.get(path).await.good();
    assert_eq!(stored["spec"]["replicas"], 5);
    let entries = stored["metadata"]["managedFields"].as_array().unwrap();
    let auto = entries.iter().find(|entry| entry["manager"] == "auto");
    let auto = auto.unwrap();
    assert_eq!(auto["subresource"], "scale");
    assert_eq!(auto["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));

    let kept = apply(&server, path, "fieldManager=ann", deployment(None))
        .await
        .good();
    assert_eq!(kept["spec"]["replicas"], 5, "the scaler's count stays");
    let back = apply(&server, path, "fieldManager=ann", deployment(Some(2))).await;
    assert_eq!(back.code, 409);
    assert!(
        back.message()
            .contains("conflict with \"auto\" with subresource \"scale\": .spec.replicas"),
        "{}",
        back.message()
    );

    let wrong = [
        (
            deployment(Some(1)),
            "does not match the expected apiVersion (autoscaling/v1)",
        ),
        (
            scale(json!({"replicas": 1, "x": 1})),
            ".spec.x: field not declared in schema",
        ),
        (
            scale(json!({"replicas": "many"})),
            ".spec.replicas: expected an integer",
        ),
        (scale(json!({})), ".spec.replicas: expected an integer"),
    ];
    for (config, words) in wrong {
        let refused = apply(&server, &part, "fieldManager=auto", config).await;
        assert_eq!(refused.code, 400, "{}", refused.text);
        assert!(refused.message().contains(words), "{}", refused.message());
    }
}
