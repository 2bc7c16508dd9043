//! What pods are granted beyond WASI's own: buckets, configuration and a log; and what is told where something is not granted.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{component, example};
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// A pod of the example, with these annotations.
const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "NAME", "annotations": {ANNOTATIONS}}, "spec": {
    "containers": [{"name": "main", "image": "IMAGE"}],
    "volumes": [{"name": "visits", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "none", "optional": true}}]}}"#;
const ALL: &str = r#""osier.dev/keyvalue": "visits", "osier.dev/config": "settings", "osier.dev/logging": "info""#;

fn pod(name: &str, image: &str, annotations: &str) -> String {
    POD.replace("NAME", name)
        .replace("IMAGE", image)
        .replace("ANNOTATIONS", annotations)
}

struct Site {
    node: Node,
    kubectl: Kubectl,
}

impl Site {
    fn start() -> Self {
        let (node, kubectl) = (Node::start().unwrap(), installed().unwrap());
        Self { node, kubectl }
    }

    fn import(&self) {
        let visits = component("visits").unwrap();
        self.node.import("visits:1.0", &visits).unwrap();
    }

    /// What kubectl says besides what it did.
    fn applied(&self, object: &str) -> String {
        let line = ["apply", "-f", "-"];
        let output = self
            .kubectl
            .run(&self.node.kubeconfig(), &line, Some(object))
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn refused(&self, object: &str) -> String {
        let line = ["apply", "-f", "-"];
        let config = self.node.kubeconfig();
        self.kubectl.fails(&config, &line, Some(object)).unwrap()
    }

    fn done(&self, line: &[&str]) -> String {
        let config = self.node.kubeconfig();
        self.kubectl.ok(&config, line, None).unwrap()
    }

    /// The answer of the example, by the gateway.
    async fn visit(&self) -> anyhow::Result<String> {
        let gateway = self.node.address("gateway")?;
        let answer = http::get(&gateway, "/visits").await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(answer.text().trim().to_owned())
    }

    async fn waits_with(&self, name: &str, words: &str) {
        let path = format!("/api/v1/namespaces/default/pods/{name}");
        let waits = || async {
            let pod = objects::get(&self.node, &path).await?;
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            let told = waiting["message"].as_str().unwrap_or_default();
            anyhow::ensure!(told.contains(words), "{waiting}");
            Ok(Some(()))
        };
        until(words, LIMIT, waits).await.unwrap();
    }

    async fn runs(&self, name: &str) {
        let path = format!("/api/v1/namespaces/default/pods/{name}");
        let runs = || async {
            let pod = objects::get(&self.node, &path).await?;
            let ready = objects::condition(&pod, "Ready") == Some("True");
            anyhow::ensure!(ready, "{}", pod["status"]);
            Ok(Some(()))
        };
        until(name, LIMIT, runs).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_counts_across_instances_pods_and_restarts() {
    let mut site = Site::start();
    site.import();
    site.node.apply(&example("visits/visits.yaml")).unwrap();
    objects::ready(&site.node, "app=visits", 2).await.unwrap();
    let first = until("it answers", LIMIT, || async {
        Ok(Some(site.visit().await?))
    });
    let first = first.await.unwrap();
    assert_eq!(first, "Welcome, visitor 1");
    let calls = (0..20).map(|_| site.visit());
    let mut counts: Vec<u64> = Vec::new();
    for answer in futures::future::join_all(calls).await {
        let answer = answer.unwrap();
        counts.push(answer.rsplit(' ').next().unwrap().parse().unwrap());
    }
    counts.sort_unstable();
    assert_eq!(
        counts,
        (2..=21).collect::<Vec<_>>(),
        "none is lost or told twice"
    );
    let log = objects::log(&site.node, "app=visits").await.unwrap();
    assert!(
        log.contains("INFO visits: /visits was seen 1 times"),
        "{log}"
    );

    let map = "/api/v1/namespaces/default/configmaps/visits";
    let patch = json!({"data": {"greeting": "Hello, number"}});
    objects::merge(&site.node, map, &patch).await.unwrap();
    let follows = || async {
        Ok(site
            .visit()
            .await?
            .starts_with("Hello, number")
            .then_some(()))
    };
    until("the greeting follows", LIMIT, follows).await.unwrap();

    let before: u64 = site
        .visit()
        .await
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    site.done(&["delete", "pods", "--selector", "app=visits"]);
    objects::ready(&site.node, "app=visits", 2).await.unwrap();
    let goes_on = || async { Ok(Some(site.visit().await?)) };
    let after = until("it goes on", LIMIT, goes_on).await.unwrap();
    assert_eq!(after, format!("Hello, number {}", before + 1));
    site.node.kill().unwrap();
    site.node.restart().unwrap();
    objects::ready(&site.node, "app=visits", 2).await.unwrap();
    let goes_on = || async { Ok(Some(site.visit().await?)) };
    let after = until("it goes on", LIMIT, goes_on).await.unwrap();
    assert_eq!(after, format!("Hello, number {}", before + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_said_when_it_is_applied() {
    let site = Site::start();
    site.import();
    let line = ["image", "inspect", "visits:1.0"];
    let shown = site.node.osier(&line).unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let remedy = &shown["grants"]["wasi:logging/logging@0.1.0-draft"];
    assert!(
        remedy.as_str().unwrap().contains("osier.dev/logging"),
        "{shown}"
    );
    assert_eq!(site.applied(&pod("granted", "visits:1.0", ALL)), "");
    let told = site.applied(&pod("bare", "visits:1.0", ""));
    for words in [
        "spec.containers[0].image \"visits:1.0\"",
        "wasi:keyvalue/",
        "osier.dev/keyvalue: VOLUME",
        "osier.dev/config: VOLUME",
        "osier.dev/logging: info",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(told.matches("Warning: ").count(), 3, "{told}");
    site.runs("granted").await;
    site.waits_with("bare", "osier.dev/").await;
    let grant = |name, value: &str| site.done(&["annotate", "pod", name, value]);
    grant("bare", "osier.dev/keyvalue=visits");
    grant("bare", "osier.dev/config=settings");
    grant("bare", "osier.dev/logging=warn");
    site.runs("bare").await;

    let template = pod(
        "x",
        "visits:1.0",
        r#""osier.dev/keyvalue": "visits", "osier.dev/logging": "info""#,
    );
    let template = template.replace(r#""name": "x","#, r#""labels": {"app": "many"},"#);
    let deployment = format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "many"}}, "spec": {{
            "selector": {{"matchLabels": {{"app": "many"}}}}, "template": {template}}}}}"#
    );
    let deployment = deployment.replace(r#""apiVersion": "v1", "kind": "Pod", "#, "");
    let told = site.applied(&deployment);
    assert!(
        told.contains("spec.template.spec.containers[0].image")
            && told.contains("(in spec.template.metadata.annotations)")
            && told.matches("Warning: ").count() == 1,
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_here_yet_is_told_of_by_the_pod() {
    let site = Site::start();
    let bare = pod("later", "visits:1.0", "");
    assert_eq!(site.applied(&bare), "");
    site.waits_with("later", "osier image import").await;
    site.import();
    site.waits_with("later", "osier.dev/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_image_of_another_node_imports_is_told_once_that_node_has_run_it() {
    let mut site = Site::start();
    let second = site.node.joined("second").unwrap();
    second
        .import("visits:1.0", &component("visits").unwrap())
        .unwrap();
    let there = |name: &str| {
        let pod = pod(name, "visits:1.0", "");
        pod.replace(r#""containers""#, r#""nodeName": "second", "containers""#)
    };
    assert_eq!(
        site.applied(&there("first")),
        "",
        "nobody has looked into it yet"
    );
    site.waits_with("first", "osier.dev/").await;
    let knows = || async {
        let path = "/api/v1/nodes/second";
        let node = objects::get(&site.node, path).await?;
        let told = node["metadata"]["annotations"]["osier.dev/image-imports"].as_str();
        Ok(told
            .is_some_and(|told| told.contains("visits:1.0"))
            .then_some(()))
    };
    until("the node has told", LIMIT, knows).await.unwrap();
    let said = |site: &Site, name: &str| {
        let told = site.applied(&there(name));
        told.contains("osier.dev/keyvalue: VOLUME").then_some(told)
    };
    let again = || async { Ok(said(&site, &format!("again-{}", uuid()))) };
    let told = until("the next apply warns", LIMIT, again).await.unwrap();
    assert!(
        told.contains("spec.containers[0].image \"visits:1.0\""),
        "{told}"
    );
    // What was told outlives the control plane.
    site.node.terminate().unwrap();
    site.node.restart().unwrap();
    let again = || async { Ok(said(&site, &format!("later-{}", uuid()))) };
    until("it is known after a restart", LIMIT, again)
        .await
        .unwrap();
}

/// Something that no other pod is called by.
fn uuid() -> u128 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.unwrap().as_nanos()
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_that_grant_nothing_are_refused() {
    let site = Site::start();
    for (annotation, words) in [
        (
            r#""osier.dev/keyvalue": "sessions""#,
            "it has visits, settings",
        ),
        (r#""osier.dev/keyvalue": "settings""#, "cannot be written"),
        (r#""osier.dev/config": "visits""#, "is not configuration"),
        (r#""osier.dev/logging": "loud""#, "trace, debug, info"),
    ] {
        let told = site.refused(&pod("wrong", "visits:1.0", annotation));
        let field = annotation.split('"').nth(1).unwrap();
        let field = format!("metadata.annotations[{field}]");
        assert!(told.contains(&field) && told.contains(words), "{told}");
    }
}
