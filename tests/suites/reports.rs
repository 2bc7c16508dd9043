//! Reports as a user meets them: what plugins write and count about ended calls, what is lost and said, and what is refused.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, ensure};
use osier_tests::artifacts::component;
use osier_tests::http::{get, get_with};
use osier_tests::kubectl;
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const REPORTS: &str = include_str!("manifests/reports.yaml");
const PLUGINS: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";
const POLICIES: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies";
const LIMIT: Duration = Duration::from_secs(20);

async fn echo() -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, answers).await.unwrap();
    (node, gateway)
}

/// The lines that plugins wrote into a stream, as JSON.
fn lines(node: &Node, stream: &str) -> Vec<Value> {
    let mark = format!("stream=\"{stream}\"");
    let log = node.log();
    let ours = log
        .lines()
        .filter(|line| line.contains("osier::log") && line.contains(&mark));
    ours.filter_map(|line| {
        let json = line.get(line.find('{')?..=line.rfind('}')?)?;
        serde_json::from_str(json).ok()
    })
    .collect()
}

/// The value of the first series of a metric whose labels have all of these.
fn value(metrics: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        line.split(['{', ' ']).next() == Some(name)
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn metrics(node: &Node) -> anyhow::Result<String> {
    Ok(get(&node.address("admin")?, "/metrics").await?.text())
}

/// The line about a path, once it is there.
async fn line_of(node: &Node, gateway: &str, headers: &[(&str, &str)], path: &str) -> Value {
    let told = || async {
        get_with(gateway, path, headers).await?;
        Ok(lines(node, "access")
            .into_iter()
            .find(|line| line["path"] == path))
    };
    until(&format!("a line about {path}"), LIMIT, told)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_hear_how_calls_ended() {
    let (node, gateway) = echo().await;
    node.apply_text(REPORTS).unwrap();
    let line = line_of(&node, &gateway, &[], "/a?b=c").await;
    assert_eq!(
        (&line["status"], &line["log"]),
        (&json!(200), &json!("calls"))
    );
    assert_eq!(line["severity"], "Info");
    assert!(line["to"].as_str().unwrap().starts_with("echo-"), "{line}");
    assert!(
        line.get("why").is_none() && line["took"].is_string(),
        "{line}"
    );

    let counted = || async {
        let shown = metrics(&node).await?;
        let labels = ["code=\"200\"", "to=\"echo\"", "side=\"inbound\""];
        let calls = value(&shown, "shop_calls_total", &labels).context("no calls yet")?;
        let timed = value(&shown, "shop_seconds_count", &[]).context("no times yet")?;
        let sent = ["default/log", "outcome=\"delivered\""];
        let delivered = value(&shown, "osier_plugin_reports_total", &sent);
        ensure!(calls >= 1.0 && timed >= 1.0, "{calls} {timed}");
        ensure!(delivered.is_some_and(|count| count >= 1.0), "{delivered:?}");
        Ok(Some(()))
    };
    until("metrics of a plugin", LIMIT, counted).await.unwrap();

    let spans = lines(&node, "traces");
    let span = &spans.first().unwrap()["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().unwrap().len(), 32, "{span}");
    assert_eq!(span["kind"], 2, "told at the destination: {span}");

    let refused = line_of(&node, &gateway, &[("x-user", "mallory")], "/m").await;
    assert_eq!(refused["status"], 403, "{refused}");
    assert_eq!(refused["severity"], "Warning");
    assert!(
        refused["why"].as_str().unwrap().contains("list"),
        "{refused}"
    );

    get(&gateway, "/quiet").await.unwrap();
    line_of(&node, &gateway, &[], "/after").await;
    let quiet = lines(&node, "access")
        .iter()
        .any(|line| line["path"] == "/quiet");
    assert!(!quiet, "match says which calls are told");
    objects::delete(&node, &format!("{POLICIES}/told"))
        .await
        .unwrap();
    let gone = || async {
        let before = metrics(&node).await?;
        for _ in 0..5 {
            get(&gateway, "/gone").await?;
        }
        let labels = ["code=\"200\"", "side=\"inbound\""];
        let of = |shown: &str| value(shown, "shop_calls_total", &labels);
        Ok((of(&before) == of(&metrics(&node).await?)).then_some(()))
    };
    until("nothing is told any more", LIMIT, gone)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_counted_and_said() {
    let (node, gateway) = echo().await;
    node.apply_text(REPORTS).unwrap();
    line_of(&node, &gateway, &[], "/first").await;
    let short = json!({"spec": {"actions": [{"plugin": "log", "template": "logentry",
        "fields": {"name": "'x'", "variables": "{'path': request.path}"}, "queue": {"limit": 1}}]}});
    objects::merge(&node, &format!("{POLICIES}/told"), &short)
        .await
        .unwrap();
    let dropped = || async {
        for _ in 0..10 {
            ensure!(get(&gateway, "/burst").await?.status == 200);
        }
        let labels = ["default/log", "outcome=\"dropped\""];
        let counted = value(
            &metrics(&node).await?,
            "osier_plugin_reports_total",
            &labels,
        );
        let plugin = objects::get(&node, &format!("{PLUGINS}/log")).await?;
        let mine = &plugin["status"]["nodes"][0];
        let said = mine["error"].as_str().unwrap_or_default();
        ensure!(counted.is_some_and(|count| count > 0.0), "{counted:?}");
        ensure!(mine["droppedReports"].as_i64() > Some(0), "{mine}");
        ensure!(said.contains("queue.limit"), "{said}");
        Ok(Some(()))
    };
    until("dropped reports are seen", LIMIT, dropped)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_or_means_nothing_is_refused() {
    let kubectl = kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    node.apply_text(REPORTS).unwrap();
    let head = "apiVersion: policy.osier.dev/v1alpha1\nmetadata: {name: bad}\n";
    let told = "{plugin: log, template: logentry, fields: {name: '\"a\"'}";
    for (object, parts) in [
        (
            "kind: Plugin\nspec: {image: builtin://access-log}".to_owned(),
            &["osier:policy/log", "spec.grants.logs"][..],
        ),
        (
            "kind: Plugin\nspec: {image: builtin://metrics, grants: {metrics: [istio_requests]}, config: {metrics: []}}".to_owned(),
            &["spec.grants.metrics", "the host's own"],
        ),
        (
            format!("kind: Policy\nspec: {{actions: [{told}, queue: {{limit: 0}}}}]}}"),
            &["spec.actions[0].queue.limit"],
        ),
        (
            format!("kind: Policy\nspec: {{failurePolicy: Ignore, actions: [{told}}}]}}"),
            &["spec.failurePolicy"],
        ),
        (
            "kind: Policy\nspec: {actions: [{plugin: guests, template: listentry, fields: {value: request.path}, queue: {limit: 9}}]}".to_owned(),
            &["spec.actions[0].queue", "only reports"],
        ),
        (
            "kind: Policy\nspec: {actions: [{plugin: log, template: logentry, fields: {variables: request.path}}]}".to_owned(),
            &["spec.actions[0].fields.name", "spec.actions[0].fields.variables"],
        ),
    ] {
        let said = kubectl
            .fails(
                &node.kubeconfig(),
                &["create", "-f", "-"],
                Some(&format!("{head}{object}\n")),
            )
            .unwrap();
        for part in parts {
            assert!(said.contains(part), "{object}: {part}: {said}");
        }
    }
}
