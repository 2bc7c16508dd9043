//! Mistakes that people make: each is answered with the object, the field and the remedy, and harms nothing that runs.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::api::Api;
use osier_tests::artifacts::component;
use osier_tests::bookinfo::{deploy, manifest};
use osier_tests::http::get;
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/namespaces/default/pods";
const POLICIES: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies";
const PLUGINS: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";

/// Sends text and expects a refusal that names every part.
async fn refused(
    node: &Node,
    path: &str,
    (kind, body): (&str, &str),
    (code, parts): (u16, &[&str]),
) -> Value {
    let answer = Api::open(node)
        .await
        .unwrap()
        .send_as("POST", path, kind, body.to_owned())
        .await
        .unwrap();
    assert_eq!(answer.status, code, "{}", answer.text());
    let status = answer.json().unwrap();
    assert_eq!(
        (status["kind"].as_str(), status["status"].as_str()),
        (Some("Status"), Some("Failure")),
        "{status:#}"
    );
    let message = status["message"].as_str().unwrap();
    for part in parts {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_read_are_named() {
    let node = Node::start().unwrap();
    refused(
        &node,
        PODS,
        ("application/json", "{\"kind\": "),
        (400, &["line", "column"]),
    )
    .await;
    refused(
        &node,
        PODS,
        ("application/yaml", "kind: Pod\n  name: [\n"),
        (400, &["line"]),
    )
    .await;
    refused(
        &node,
        PODS,
        ("text/plain", "hello"),
        (415, &["unknown format", "application/json"]),
    )
    .await;
    refused(
        &node,
        PODS,
        (
            "application/json",
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#,
        ),
        (400, &["Secret", "Pod"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named_at_once() {
    let node = Node::start().unwrap();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "Not_A_Name"},
        "spec": {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 99999}]}, {"name": "a"}], "restartPolicy": "Sometimes"}});
    let parts = [
        "metadata.name",
        "spec.containers[0].ports[0].containerPort",
        "spec.containers[1].name",
        "spec.restartPolicy",
    ];
    let status = refused(
        &node,
        PODS,
        ("application/json", &pod.to_string()),
        (422, &parts),
    )
    .await;
    assert!(
        status["details"]["causes"].as_array().unwrap().len() >= 4,
        "{status:#}"
    );
    let typed = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": "none"}});
    refused(
        &node,
        PODS,
        ("application/json", &typed.to_string()),
        (400, &["spec.containers"]),
    )
    .await;
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dat": {"a": "b"}});
    let strict = "/api/v1/namespaces/default/configmaps?fieldValidation=Strict";
    refused(
        &node,
        strict,
        ("application/json", &unknown.to_string()),
        (400, &["unknown field", "dat"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_cannot_run_say_why() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.wasm");
    std::fs::write(&text, "these are notes, not a component").unwrap();
    let output = node
        .osier(&["image", "import", "notes:1", &text.to_string_lossy()])
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("notes.wasm"),
        "{said}"
    );
    node.import("plugin:1", &component("plugins/denier").unwrap())
        .unwrap();
    for (name, image, parts) in [
        ("absent", "nowhere:1", ["nowhere:1", "osier image import"]),
        ("plugin", "plugin:1", ["plugin:1", "wasi:http"]),
    ] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": image}]}});
        let created = Api::open(&node)
            .await
            .unwrap()
            .send("POST", PODS, Some(&pod))
            .await
            .unwrap();
        assert_eq!(created.status, 201, "{}", created.text());
        let waiting = || async {
            let pod = objects::get(&node, &format!("{PODS}/{name}")).await?;
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            Ok(waiting["message"].as_str().map(str::to_owned))
        };
        let message = until(&format!("{name} says why it waits"), LIMIT, waiting)
            .await
            .unwrap();
        parts
            .iter()
            .for_each(|part| assert!(message.contains(part), "{part} is missing in: {message}"));
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> String {
    let version = "policy.osier.dev/v1alpha1";
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_checked_when_they_are_applied_and_harm_nothing() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    node.apply(&manifest("policy-deny")).unwrap();
    wrong_policies(&node).await;
    wrong_plugins(&node).await;
    let gateway = node.address("gateway").unwrap();
    let reviews = get(&gateway, "/api/v1/products/0/reviews").await.unwrap();
    assert_eq!(
        reviews.status,
        403,
        "the policy that was there is in force: {}",
        reviews.text()
    );
    let details = get(&gateway, "/api/v1/products/0").await.unwrap();
    assert_eq!(details.status, 200, "{}", details.text());
}

async fn wrong_policies(node: &Node) {
    let action = |plugin: &str, template: &str| json!([{"plugin": plugin, "template": template}]);
    let matching = |text: &str| json!({"match": text, "actions": action("denier", "checknothing")});
    for (spec, parts) in [
        (
            matching("request.size == 'big'"),
            ["spec.match", "request.size"],
        ),
        (
            matching("request.colour == 'red'"),
            ["spec.match", "request.colour"],
        ),
        (
            json!({"actions": action("denier", "nonsense")}),
            ["spec.actions[0].template", "nonsense"],
        ),
    ] {
        let policy = object("Policy", "wrong", &spec);
        refused(node, POLICIES, ("application/json", &policy), (422, &parts)).await;
    }
}

async fn wrong_plugins(node: &Node) {
    for image in ["builtin://nonsense", "bookinfo/details:1.0", "nowhere:1"] {
        let plugin = object("Plugin", "wrong", &json!({"image": image}));
        refused(
            node,
            PLUGINS,
            ("application/json", &plugin),
            (422, &["wrong", "spec.image"]),
        )
        .await;
    }
    let spec = json!({"image": "builtin://denier", "config": {"stauts": 404}});
    let plugin = object("Plugin", "wrong", &spec);
    refused(
        node,
        PLUGINS,
        ("application/json", &plugin),
        (422, &["spec.config", "stauts"]),
    )
    .await;
}
