//! Examples of first-party plugins that other suites do not show, as their READMEs say it.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use http::Request;
use http_body_util::Full;
use osier_tests::artifacts::{component, example, workspace};
use osier_tests::http::{Answer, Connection, get, get_with};
use osier_tests::kubectl::installed;
use osier_tests::{Node, objects, until};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A node that serves `examples/hello`, and the address of its gateway.
async fn hello() -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    node.apply(&example("hello/hello.yaml")).unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/hello").await?.status == 200).then_some(())) };
    until("hello answers", LIMIT, answers).await.unwrap();
    (node, gateway)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The first commands of an example's README.
fn readme(name: &str) -> String {
    let text = std::fs::read_to_string(example(&format!("{name}/README.md"))).unwrap();
    let (_, rest) = text.split_once("```sh\n").unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_written_down_counted_and_traced() {
    let (node, gateway) = hello().await;
    node.apply(&example("observe/observe.yaml")).unwrap();
    let admin = node.address("admin").unwrap();
    let told = || async {
        get(&gateway, "/hello").await?;
        let metrics = get(&admin, "/metrics").await?.text();
        let counted = metrics.contains(r#"hello_calls_total{code="200",to="hello"}"#);
        ensure!(
            counted
                && metrics.contains("hello_seconds_count")
                && metrics.contains("hello_visits_total"),
            "{metrics}"
        );
        let edge = r#"hello_edges_total{source_workload="unknown",source_workload_namespace="unknown",destination_workload="hello""#;
        ensure!(metrics.contains(edge), "{metrics}");
        let log = node.log();
        let mut lines = log.lines().filter(|line| line.contains("osier::log"));
        let owner = "kubernetes://apis/apps/v1/namespaces/default/deployments/hello";
        let line = lines.any(|line| line.contains("stream=\"access\"") && line.contains(owner));
        ensure!(
            line && log.contains("stream=\"traces\""),
            "nothing is written"
        );
        Ok(Some(()))
    };
    until("calls are told", LIMIT, told).await.unwrap();
}

async fn send(gateway: &str, method: &str, path: &str) -> Result<Answer> {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Full::default())?;
    Connection::open(gateway).await?.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn testers_meet_the_new_version() {
    let (node, gateway) = hello().await;
    node.apply(&example("experiment/experiment.yaml")).unwrap();
    let tested = || async {
        let answer = get_with(&gateway, "/hello", &[("x-tester", "yes")]).await?;
        ensure!(
            header(&answer, "x-version") == "next",
            "{:?}",
            answer.headers
        );
        Ok(Some(()))
    };
    until("a tester meets the new version", LIMIT, tested)
        .await
        .unwrap();
    let old = get(&gateway, "/hello").await.unwrap();
    assert_eq!(header(&old, "x-version"), "");
    let cookie = header(&old, "set-cookie");
    assert!(cookie.starts_with("experiment=control"), "{cookie}");
    let cookie = [("cookie", "experiment=next")];
    let again = get_with(&gateway, "/hello", &cookie).await.unwrap();
    assert_eq!(header(&again, "x-version"), "next");
    let guarded =
        || async { Ok((send(&gateway, "DELETE", "/hello").await?.status == 405).then_some(())) };
    until("the guard stands", LIMIT, guarded).await.unwrap();
    let script = send(&gateway, "GET", "/hello?q=%3Cscript%3E")
        .await
        .unwrap();
    assert_eq!(script.status, 403, "{}", script.text());
    assert_eq!(get(&gateway, "/hello?q=script").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deploys_keeps_to_the_rules() {
    let Some(kubectl) = installed() else { return };
    let (node, _) = hello().await;
    let mut shell = Command::new("bash");
    let shell = shell
        .args(["-c", &readme("house-rules")])
        .current_dir(workspace());
    let output = shell.env("KUBECONFIG", node.kubeconfig()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        said.contains("label team is required") && said.contains("deployment.apps/rude created"),
        "{said}"
    );
    let labels = [
        "get",
        "deployment",
        "rude",
        "-o",
        "jsonpath={.metadata.labels}",
    ];
    let labels = kubectl.run(&node.kubeconfig(), &labels, None).unwrap();
    let labels = String::from_utf8_lossy(&labels.stdout).into_owned();
    assert!(labels.contains(r#""tier":"web""#), "{labels}");
    let waits = || async {
        let pods = objects::pods(&node, "app=rude").await?;
        let text = serde_json::to_string(&pods)?;
        ensure!(text.contains("2 pods of the same controller"), "{text}");
        Ok(Some(()))
    };
    until("the third waits and is told why", LIMIT, waits)
        .await
        .unwrap();
}
