//! `osier why` as a user meets it: from the id on an answer to who decided, and why.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{binary, component};
use osier_tests::http::{Answer, get, get_with};
use osier_tests::kubectl;
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const REPORTS: &str = include_str!("manifests/reports.yaml");
const LIMIT: Duration = Duration::from_secs(20);

fn id(answer: &Answer) -> String {
    answer.headers["x-request-id"].to_str().unwrap().to_owned()
}

fn why(node: &Node, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary().unwrap());
    let command = command
        .arg("why")
        .args(args)
        .arg("--kubeconfig")
        .arg(node.kubeconfig());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_explained_by_its_id() {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    node.apply_text(REPORTS).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let refused = || async {
        let answer = get_with(&gateway, "/secret?a=b", &[("x-user", "mallory")]).await?;
        Ok((answer.status == 403).then_some(answer))
    };
    let refused = until("mallory is refused", LIMIT, refused).await.unwrap();

    let (found, told) = why(&node, &[&id(&refused)]);
    assert!(found, "{told}");
    for part in [
        &format!("request {}", id(&refused)),
        "/secret?a=b",
        "to   pod default/echo-",
        "inbound   policy default/no-mallory asks default/guests (listentry)",
        "deny: `mallory` is on the list",
        "status 403",
        "UAEX: a policy refused",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }

    get(&gateway, "/allowed").await.unwrap();
    let logged = || async {
        let log = node.log();
        let line = log.lines().find(|line| line.contains("path=\"/allowed\""));
        let id = line.and_then(|line| line.split("request_id=\"").nth(1)?.split('"').next());
        Ok(id.map(ToOwned::to_owned))
    };
    let allowed = until("a line about the call", LIMIT, logged).await.unwrap();
    let (found, json) = why(&node, &[&allowed, "-o", "json"]);
    assert!(found, "{json}");
    let calls: Value = serde_json::from_str(&json).unwrap();
    let call = &calls[0];
    assert_eq!(
        (&call["status"], &call["verdict"]),
        (&200.into(), &"allow".into())
    );
    let decision = &call["decisions"][0];
    assert_eq!(
        (&decision["policy"], &decision["outcome"]),
        (&"default/no-mallory".into(), &"allow".into()),
        "{call:#}"
    );
    assert!(decision["tookMicros"].as_f64() > Some(0.0), "{call:#}");
    assert!(call["durationMicros"].as_u64() >= call["answeredMicros"].as_u64());

    let (found, told) = why(&node, &["no-such-id"]);
    assert!(!found && told.contains("x-request-id"), "{told}");
    let line = || async {
        let log = node.log();
        let line = log.lines().find(|line| line.contains(&id(&refused)));
        Ok(line.map(ToOwned::to_owned))
    };
    let line = until("the access log names the id", LIMIT, line)
        .await
        .unwrap();
    assert!(line.contains("policy=\"default/no-mallory\""), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_says_which_nodes_it_knows() {
    let kubectl = kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    let raw = |path: &str| {
        let args = ["get", "--raw", path];
        kubectl.run(&node.kubeconfig(), &args, None).unwrap()
    };
    let names = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
    let name = kubectl.ok(&node.kubeconfig(), &names, None).unwrap();
    let known = raw(&format!("/api/v1/nodes/{name}/proxy/decisions/x"));
    let answer: Value = serde_json::from_slice(&known.stdout).unwrap();
    assert_eq!(answer["calls"], serde_json::json!([]), "{answer}");
    let unknown = raw("/api/v1/nodes/other/proxy/decisions/x");
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("not served here"));
}
