//! Mistakes that people make: each is answered with the object, the field and the remedy, and harms nothing that runs.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::api::Api;
use osier_tests::artifacts::{binary, component};
use osier_tests::bookinfo::{deploy, manifest};
use osier_tests::http::get;
use osier_tests::objects;
use osier_tests::{Node, Options, until};
use serde_json::{Value, json};
use std::process::Command;
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
    let remove = |args: &[&str]| {
        let output = node.osier(&[&["image", "remove", "plugin:1"], args].concat());
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (removed, said) = remove(&[]);
    assert!(!removed && said.contains("pod default/plugin"), "{said}");
    assert!(remove(&["--force"]).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_component_is_not_imported() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.wasm");
    let whole = std::fs::read(component("plugins/denier").unwrap()).unwrap();
    for bytes in [
        &b"\0asm"[..],
        b"\0asm\x0d\0\x01\0",
        &whole[..whole.len() / 2],
    ] {
        std::fs::write(&file, bytes).unwrap();
        let output = node.osier(&["image", "import", "cut:1", &file.to_string_lossy()]);
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("cut.wasm"),
            "{said}"
        );
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

/// A bound on the size of files is met like the end of the disk, and needs no rights: the signal that goes with it is ignored.
fn on_a_disk_that_may_fill(store: &str) -> Options {
    let ignoring = ["sh", "-c", r#"trap "" XFSZ; exec "$0" "$@""#];
    Options {
        wrapper: ignoring.map(str::to_owned).to_vec(),
        args: vec!["--store".to_owned(), store.to_owned()],
        ..Options::default()
    }
}

/// No file of the node may grow beyond this.
fn bound(node: &Node, bytes: &str) {
    let pid = node.pid().unwrap().to_string();
    let bounded = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:")])
        .status();
    assert!(bounded.unwrap().success());
}

/// The size of the largest file of the store.
fn store_file(node: &Node, store: &str) -> u64 {
    let files = std::fs::read_dir(node.data_dir().join("store").join(store)).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    sizes.max().unwrap()
}

/// Writes an object that is large enough to be noticed.
async fn written(node: &Node, number: u32) -> (u16, String) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{number}")},
        "data": {"a": "x".repeat(200_000)}});
    let path = "/api/v1/namespaces/default/configmaps";
    let mut api = Api::open(node).await.unwrap();
    let answer = api.send("POST", path, Some(&map)).await.unwrap();
    (answer.status.into(), answer.text())
}

async fn a_full_disk_harms_nothing_that_runs(store: &str) {
    let options = on_a_disk_that_may_fill(store);
    let mut node = Node::start_with(&options).unwrap();
    deploy(&node).await.unwrap();
    node.apply(&manifest("policy-deny")).unwrap();
    bound(&node, &store_file(&node, store).to_string());
    let mut number = 0;
    let refusal = loop {
        number += 1;
        let (status, text) = written(&node, number).await;
        if status != 201 {
            break (status, text);
        }
        assert!(number < 200, "the disk is never full");
    };
    assert_eq!(refusal.0, 503, "{}", refusal.1);
    let place = node.data_dir().join("store").display().to_string();
    for part in ["takes no writes", place.as_str(), "Make room on that disk"] {
        assert!(refusal.1.contains(part), "{}", refusal.1);
    }
    serves_on(&node).await;
    bound(&node, "unlimited");
    let again = until("writes are taken again", LIMIT, || async {
        let (status, text) = written(&node, number).await;
        // A write that was refused may turn out to have been made.
        Ok(matches!(status, 201 | 409).then_some(text))
    });
    again.await.unwrap();
    let mut api = Api::open(&node).await.unwrap();
    let healthy = api.send("GET", "/readyz", None).await.unwrap();
    assert_eq!(healthy.status, 200, "{}", healthy.text());
    assert_eq!(
        node.terminate().unwrap().code(),
        Some(0),
        "{}",
        node.log_tail(20)
    );
    node.restart_with(&options).unwrap();
    for kept in 1..=number {
        let path = format!("/api/v1/namespaces/default/configmaps/m{kept}");
        objects::get(&node, &path).await.unwrap();
    }
}

/// Reads, pods, the gateway and policies, while the store takes no writes.
async fn serves_on(node: &Node) {
    let gateway = node.address("gateway").unwrap();
    let details = get(&gateway, "/api/v1/products/0").await.unwrap();
    assert_eq!(details.status, 200, "{}", details.text());
    let reviews = get(&gateway, "/api/v1/products/0/reviews").await.unwrap();
    assert_eq!(reviews.status, 403, "{}", reviews.text());
    let mut api = Api::open(node).await.unwrap();
    for (path, status) in [(PODS, 200), ("/livez", 200), ("/readyz", 500)] {
        let answer = api.send("GET", path, None).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_harms_nothing_with_sled() {
    a_full_disk_harms_nothing_that_runs("sled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_harms_nothing_with_redb() {
    a_full_disk_harms_nothing_that_runs("redb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_osier_applies_is_checked_as_kubectl_has_it() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let kubeconfig = node.kubeconfig().display().to_string();
    let apply = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(binary().unwrap());
        command.args(["apply", "--kubeconfig", &kubeconfig, "-f"]);
        let output = command.arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (taken, said) =
        apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndat: {a: b}\n");
    assert!(!taken && said.contains("unknown field \"dat\""), "{said}");
    let (taken, said) = apply(
        "apiVersion: policy.osier.dev/v1alpha1\nkind: Policy\nmetadata: {name: lost}\n\
         spec: {targetRefs: [{kind: Service, name: nowhere}], actions: [{plugin: absent, template: checknothing}]}\n",
    );
    assert!(taken, "{said}");
    for part in [
        "Warning: there is no Service default/nowhere",
        "Warning: Plugin default/absent does not exist",
    ] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    // The name of all Gateways: it may come before the first of them.
    let (taken, said) = apply(
        "apiVersion: policy.osier.dev/v1alpha1\nkind: Policy\nmetadata: {name: edge}\n\
         spec: {targetRefs: [{kind: Gateway, name: gateway}], actions: [{plugin: absent, template: checknothing}]}\n",
    );
    assert!(taken && !said.contains("there is no Gateway"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_asked_is_not_deleted_in_silence() {
    let node = Node::start().unwrap();
    let plugin = object("Plugin", "closed", &json!({"image": "builtin://denier"}));
    let policy = json!({"selector": {"matchLabels": {"app": "nowhere"}},
        "actions": [{"plugin": "closed", "template": "checknothing"}]});
    let mut api = Api::open(&node).await.unwrap();
    for (path, body) in [
        (PLUGINS, plugin),
        (POLICIES, object("Policy", "p", &policy)),
    ] {
        let made = api.send_as("POST", path, "application/json", body).await;
        assert_eq!(made.unwrap().status, 201);
    }
    let lost = until(
        "the policy says that it concerns nothing",
        LIMIT,
        || async {
            let policy = objects::get(&node, &format!("{POLICIES}/p")).await?;
            let conditions = policy["status"]["conditions"].as_array().cloned();
            let found = conditions.into_iter().flatten();
            let mut found = found.filter(|one| one["reason"] == "TargetNotFound");
            Ok(found.next())
        },
    );
    let lost = lost.await.unwrap();
    assert!(
        lost["message"]
            .as_str()
            .unwrap()
            .contains("selects no pod in default"),
        "{lost}"
    );
    let deleted = api.send("DELETE", &format!("{PLUGINS}/closed"), None).await;
    let deleted = deleted.unwrap();
    let warning = deleted.headers.get("warning").unwrap().to_str().unwrap();
    assert!(warning.contains("Policy default/p"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_at_the_api_is_told_so() {
    let node = Node::start().unwrap();
    let answer = get(&node.address("api").unwrap(), "/").await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "Client sent an HTTP request to an HTTPS server.\n"
    );
}
