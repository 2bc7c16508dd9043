//! Who may call: the examples of `examples/access`, applied as they stand there and called as their README calls them.

#![expect(clippy::unwrap_used, reason = "tests")]

use http::{Method, Request};
use osier_tests::artifacts::{binary, component, example};
use osier_tests::http::{Answer, Connection};
use osier_tests::{Node, until};
use std::process::Command;
use std::time::Duration;

/// A token of bob, who is in group readers; valid until 2100.
const BOB: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImRlbW8ifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJib2IiLCJhdWQiOiJoZWxsbyIsImF6cCI6ImN1cmwiLCJpYXQiOjE3OTUwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiZ3JvdXBzIjoicmVhZGVycyIsImVtYWlsIjoiYm9iQGV4YW1wbGUuY29tIn0.X857V4bvF02klm0r7tXRuBkB-b9W7LHRnwzemN5NmLhulBlpOO0e_UvBONn5UAdGtzu0UUq5B-D_Y9NHD76BFw";
const LIMIT: Duration = Duration::from_secs(60);

/// A node that serves `examples/hello`, and the address of its gateway.
async fn hello() -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    node.apply(&example("hello/hello.yaml")).unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async {
        let answer = call(&gateway, "GET", "/hello", &[]).await?;
        Ok((answer.status == 200).then_some(()))
    };
    until("hello answers", LIMIT, answers).await.unwrap();
    (node, gateway)
}

async fn call(
    gateway: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(http_body_util::Full::default())?;
    Connection::open(gateway).await?.send(request).await
}

/// Waits until a call is answered with this status.
async fn answered(gateway: &str, status: u16, (method, path): (&str, &str), key: &str) -> Answer {
    let headers = [("x-api-key", key)];
    let asked = || async {
        let answer = call(gateway, method, path, &headers).await?;
        Ok((answer.status == status).then_some(answer))
    };
    let what = format!("{status} for {method} {path} with key {key}");
    until(&what, LIMIT, asked).await.unwrap()
}

/// What `osier why` tells of a request.
fn why(node: &Node, id: &str) -> String {
    let mut command = Command::new(binary().unwrap());
    let command = command
        .args(["why", id, "--kubeconfig"])
        .arg(node.kubeconfig());
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_at_the_door_and_roles_at_the_service() {
    let (node, gateway) = hello().await;
    node.apply(&example("access/partners.yaml")).unwrap();
    let refused = answered(&gateway, 401, ("GET", "/hello"), "").await;
    assert!(refused.headers.contains_key("www-authenticate"));
    answered(&gateway, 200, ("GET", "/hello"), "hunter2").await;
    answered(&gateway, 403, ("POST", "/hello/notes/1"), "hunter2").await;
    answered(&gateway, 200, ("GET", "/hello/admin"), "secret").await;

    node.apply(&example("access/roles.yaml")).unwrap();
    answered(&gateway, 403, ("GET", "/hello/admin"), "secret").await;
    answered(&gateway, 200, ("POST", "/hello/notes/1"), "secret").await;
    answered(&gateway, 200, ("GET", "/hello"), "hunter2").await;
    // Nobody names a consumer but the plugin.
    let forged = [("x-api-key", "hunter2"), ("x-consumer", "acme")];
    let answer = call(&gateway, "POST", "/hello/notes/1", &forged)
        .await
        .unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
    let denied = answered(&gateway, 403, ("GET", "/hello/admin"), "secret").await;
    assert_eq!(denied.text(), "No role of yours allows that.\n");
    let id = denied.headers["x-request-id"].to_str().unwrap();
    let why = why(&node, id);
    assert!(
        why.contains("no role of acme allows GET /hello/admin of hello.default"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_says_is_known_behind_the_gateway() {
    let (node, gateway) = hello().await;
    node.apply(&example("access/tokens.yaml")).unwrap();
    let readme = std::fs::read_to_string(example("access/README.md")).unwrap();
    let alice = readme.split("\nalice=").nth(1).unwrap();
    let alice = format!("Bearer {}", alice.lines().next().unwrap());
    let refused = answered(&gateway, 401, ("GET", "/hello"), "").await;
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let asked = |method: &'static str, path: &'static str, token: String| {
        let gateway = gateway.clone();
        async move {
            let headers = [("authorization", token.as_str())];
            call(&gateway, method, path, &headers).await.unwrap()
        }
    };
    let answer = asked("POST", "/hello/notes/1", alice.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bob = format!("Bearer {BOB}");
    assert_eq!(asked("GET", "/hello", bob.clone()).await.status, 200);
    let denied = asked("POST", "/hello/notes/1", bob).await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    let id = denied.headers["x-request-id"].to_str().unwrap();
    let why = why(&node, id);
    assert!(
        why.contains("no role of https://id.example/bob allows POST"),
        "{why}"
    );
    let forged = asked("GET", "/hello", format!("{alice}A")).await;
    assert_eq!(forged.status, 401, "{}", forged.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_pays_for_what_it_used() {
    let (node, gateway) = hello().await;
    node.apply(&example("quota/bytes.yaml")).unwrap();
    let asked = || async { call(&gateway, "GET", "/hello", &[("x-team", "red")]).await };
    let counted = || async {
        let answer = asked().await?;
        Ok(answer.headers.contains_key("x-quota-limit").then_some(()))
    };
    until("the quota counts", LIMIT, counted).await.unwrap();
    // Each settled call costs its thirteen bytes: with less than fifty left no other passes.
    let mut left = 100;
    let spent = || async {
        let answer = asked().await?;
        Ok((answer.status == 429).then_some(answer))
    };
    for _ in 0..200 {
        let answer = until("a refusal", LIMIT, spent).await.unwrap();
        assert!(answer.headers.contains_key("retry-after"));
        left = answer.headers["x-quota-remaining"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        if left == 48 {
            break;
        }
        settled(&gateway, left).await;
    }
    assert_eq!(left, 48, "four calls of thirteen bytes");
}

/// Waits until a reservation has been settled: more is left than before, or a call passes.
async fn settled(gateway: &str, before: u64) {
    let asked = || async {
        let answer = call(gateway, "GET", "/hello", &[("x-team", "red")]).await?;
        let left = answer.headers["x-quota-remaining"]
            .to_str()?
            .parse::<u64>()?;
        Ok((answer.status == 200 || left != before).then_some(()))
    };
    until("a settlement", LIMIT, asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_generator_tells_is_an_attribute_of_the_call() {
    let (node, gateway) = hello().await;
    node.apply(&example("access/teams.yaml")).unwrap();
    let named = || async {
        let answer = call(&gateway, "GET", "/hello", &[]).await?;
        let team = answer.headers.get("x-team");
        Ok(team.is_some_and(|team| team == "local").then_some(()))
    };
    until("the caller's team is told", LIMIT, named)
        .await
        .unwrap();
    let refused = answered(&gateway, 403, ("POST", "/hello/notes/1"), "").await;
    assert_eq!(refused.text(), "Only teams that are known write here.\n");
    let id = refused.headers["x-request-id"].to_str().unwrap();
    let told = why(&node, id);
    assert!(
        told.contains("policy default/callers asks default/machines (kubernetes)"),
        "{told}"
    );
    assert!(told.contains("generate: caller.team"), "{told}");
    // A caller's own word is nobody's attribute, and a generator that has gone is a failure, not a hole.
    let unknown = "apiVersion: policy.osier.dev/v1alpha1\nkind: Policy\nmetadata: {name: wrong}\nspec:\n  actions:\n  - {plugin: machines, template: kubernetes, attributes: {caller.tema: 'output.source_owner', source.ip: 'origin.ip'}}\n";
    let error = format!("{:#}", node.apply_text(unknown).unwrap_err());
    for words in [
        "spec.actions[0].attributes[caller.tema]",
        "did you mean `caller.team`?",
        "which only the host states",
    ] {
        assert!(error.contains(words), "{error}");
    }
}
