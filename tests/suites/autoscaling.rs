//! Replicas by what pods use and are asked: HorizontalPodAutoscalers as people make them with kubectl, under real load.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::load::Plan;
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const HPA: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/echo";

/// A node with the Deployment `echo` of one pod behind the gateway, and the kubectl that drives it.
struct Person {
    node: Node,
    kubectl: Kubectl,
}

impl Person {
    fn new() -> Self {
        let node = Node::start().unwrap();
        node.import("echo:1.0", &component("tests/echo").unwrap())
            .unwrap();
        let kubectl = installed().unwrap();
        let this = Self { node, kubectl };
        let manifest = include_str!("manifests/deployment.yaml");
        let manifest = manifest.replace("replicas: 3", "replicas: 1").replace(
            "image: echo:1.0",
            "image: echo:1.0\n        resources: {requests: {cpu: 1m}}",
        );
        this.node.apply_text(&manifest).unwrap();
        this.ok("rollout status deployment/echo --timeout=90s");
        this
    }

    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None).unwrap()
    }

    async fn until_replicas(&self, wanted: u64) {
        let path = "/apis/apps/v1/namespaces/default/deployments/echo";
        let there = || async {
            let deployment = objects::get(&self.node, path).await?;
            let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
            let shall = deployment["spec"]["replicas"].as_u64();
            let hpa = objects::get(&self.node, HPA).await?;
            ensure!(
                (shall, ready) == (Some(wanted), wanted),
                "{shall:?} wanted, {ready} ready: {}",
                hpa["status"]
            );
            Ok(Some(()))
        };
        until(&format!("{wanted} replicas"), LIMIT, there)
            .await
            .unwrap();
    }

    /// Waits until a condition of the autoscaler has this status and reason.
    async fn until_told(&self, kind: &str, status: &str, reason: &str) {
        let told = || async {
            let hpa = objects::get(&self.node, HPA).await?;
            let all = hpa["status"]["conditions"].as_array();
            let is = |one: &Value| {
                one["type"] == kind && one["status"] == status && one["reason"] == reason
            };
            ensure!(
                all.is_some_and(|all| all.iter().any(is)),
                "{}",
                hpa["status"]
            );
            Ok(Some(()))
        };
        until("the condition holds", LIMIT, told).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_autoscalers_of_one_target_leave_it_alone() {
    let person = Person::new();
    let hpa = |name: &str, least: u32| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "echo"},
            "minReplicas": least, "maxReplicas": 4}})
        .to_string()
    };
    person.node.apply_text(&hpa("echo", 1)).unwrap();
    person.node.apply_text(&hpa("other", 3)).unwrap();
    person
        .until_told("ScalingActive", "False", "AmbiguousSelector")
        .await;
    let events = person.ok("get events --field-selector=reason=AmbiguousSelector");
    assert!(events.contains("delete one of them"), "{events}");
    person.ok("delete hpa other");
    person
        .until_told("ScalingActive", "True", "ValidMetricFound")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_autoscale_keeps_the_bounds_and_follows_the_cpu() {
    let person = Person::new();
    person.ok("autoscale deployment/echo --cpu-percent=200 --min=2 --max=4");
    person.until_replicas(2).await;
    let events = person.ok("get events --field-selector=reason=SuccessfulRescale");
    let why = "New size: 2; reason: Current number of replicas below Spec.MinReplicas";
    assert!(events.contains(why), "{events}");
    person
        .until_told("ScalingActive", "True", "ValidMetricFound")
        .await;
    let shown = person.ok("get hpa");
    let columns = [
        "NAME",
        "REFERENCE",
        "TARGETS",
        "MINPODS",
        "MAXPODS",
        "REPLICAS",
        "AGE",
    ];
    let head = shown.lines().next().unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), columns);
    assert!(
        shown.contains("Deployment/echo") && shown.contains("%/200%"),
        "{shown}"
    );

    // Both versions are served, whichever kubectl made it by.
    let old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/echo";
    let v1 = objects::get(&person.node, old).await.unwrap();
    assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], 200, "{v1}");
    let v2 = objects::get(&person.node, HPA).await.unwrap();
    assert_eq!(
        v2["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 200,
        "{v2}"
    );
    let percent = json!({"spec": {"targetCPUUtilizationPercentage": 300}});
    let merged = objects::merge(&person.node, old, &percent);
    assert_eq!(
        merged.await.unwrap()["spec"]["targetCPUUtilizationPercentage"],
        300
    );

    // Four callers take more than three thousandths of a processor of each pod.
    let gateway = person.node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 4).start();
    person.until_replicas(4).await;
    person
        .until_told("ScalingLimited", "True", "TooManyReplicas")
        .await;
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    assert!(failed.is_empty(), "of {}: {failed:?}", outcome.total());
    let described = person.ok("describe hpa echo");
    assert!(
        described.contains("cpu") && described.contains("SuccessfulRescale"),
        "{described}"
    );
}

/// Scales by requests, and down at once.
fn by_requests(target: &str, each: &str) -> String {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "echo"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, "minReplicas": 1, "maxReplicas": 3,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": "istio_requests_per_second"},
            "target": {"type": "AverageValue", "averageValue": each}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_follow_the_requests_of_the_mesh_without_a_failed_one() {
    let person = Person::new();
    person.node.apply_text(&by_requests("echo", "2")).unwrap();
    let gateway = person.node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 2).start();
    person.until_replicas(3).await;
    let raw = "get --raw /apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/istio_requests_per_second";
    let told: Value = serde_json::from_str(&person.ok(raw)).unwrap();
    assert_eq!(told["kind"], "MetricValueList");
    let items = told["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["value"] != "0"), "{told}");
    let listed = person.ok("get --raw /apis/custom.metrics.k8s.io/v1beta2");
    assert!(
        listed.contains("\"pods/istio_requests_per_second\""),
        "{listed}"
    );
    let shown = person.ok("get hpa echo");
    assert!(shown.contains("/2 "), "{shown}");
    let outcome = load.finish().await;
    // Probes are no requests of the mesh: nobody calls, and one pod is enough.
    person.until_replicas(1).await;
    let failed = outcome.unexpected(&[200]);
    assert!(failed.is_empty(), "of {}: {failed:?}", outcome.total());
    let events = person.ok("get events --field-selector=reason=SuccessfulRescale");
    assert!(
        events.contains("pods metric istio_requests_per_second above target"),
        "{events}"
    );
    assert!(events.contains("All metrics below target"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_scaled_or_measured_is_told() {
    let person = Person::new();
    let strange = by_requests("echo", "2").replace("istio_requests_per_second", "queue_length");
    let file = person.node.data_dir().join("strange.json");
    std::fs::write(&file, &strange).unwrap();
    let line = ["apply", "-f", &file.to_string_lossy()];
    let applied = person
        .kubectl
        .run(&person.node.kubeconfig(), &line, None)
        .unwrap();
    let warned = String::from_utf8_lossy(&applied.stderr);
    let words = "Warning: spec.metrics[0].pods: no metric \"queue_length\" is served";
    assert!(warned.contains(words), "{warned}");
    person
        .until_told("ScalingActive", "False", "FailedGetPodsMetric")
        .await;
    let events = person.ok("get events --field-selector=reason=FailedGetPodsMetric");
    assert!(events.contains("use istio_requests_per_second"), "{events}");
    let nobody = by_requests("nobody", "2");
    person.node.apply_text(&nobody).unwrap();
    person
        .until_told("AbleToScale", "False", "FailedGetScale")
        .await;
}

/// The same for a target that may sleep.
fn sleeper(hold: &str) -> String {
    let mut hpa: Value = serde_json::from_str(&by_requests("echo", "20")).unwrap();
    hpa["spec"]["minReplicas"] = json!(0);
    hpa["metadata"]["annotations"] = json!({"autoscaling.osier.dev/hold": hold});
    hpa.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_calls_sleeps_and_wakes_for_a_call_that_does_not_fail() {
    let person = Person::new();
    person.node.apply_text(&sleeper("60s")).unwrap();
    let gateway = person.node.address("gateway").unwrap();
    for _ in 0..2 {
        person.until_replicas(0).await;
        let gone = || async {
            let pods = objects::pods(&person.node, "app=echo").await?;
            ensure!(pods.is_empty(), "{}", objects::states(&pods));
            Ok(Some(()))
        };
        until("no pod is left", LIMIT, gone).await.unwrap();
        let service = person.ok("get service echo -o jsonpath={.metadata.annotations}");
        assert!(
            service.contains(r#""autoscaling.osier.dev/hold":"60s""#),
            "{service}"
        );
        // Many at once: all are held, one pod is made, and all are answered.
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let gateway = gateway.clone();
                tokio::spawn(async move { http::get(&gateway, "/").await })
            })
            .collect();
        for call in calls {
            let answer = call.await.unwrap().unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let replicas = person.ok("get deployment echo -o jsonpath={.spec.replicas}");
        assert_eq!(replicas, "1");
    }
    let events = person.ok("get events --field-selector=reason=SuccessfulRescale");
    assert!(
        events.contains("New size: 1; reason: calls wait for a pod"),
        "{events}"
    );
    assert!(
        events.contains("New size: 0; reason: All metrics below target"),
        "{events}"
    );
    let node = person.ok("get nodes -o jsonpath={.items[0].metadata.annotations}");
    assert!(!node.contains("autoscaling.osier.dev/held"), "{node}");
    // Nobody would wake what sleeps when its autoscaler goes, so that it is woken.
    person.until_replicas(0).await;
    person.ok("delete hpa echo");
    person.ok("wait deployment/echo --for=jsonpath={.spec.replicas}=1 --timeout=60s");
    person.ok("rollout status deployment/echo --timeout=60s");
    let events = person.ok("get events --field-selector=reason=SuccessfulRescale");
    assert!(events.contains("nobody else would wake it"), "{events}");
    // Without the autoscaler nothing is held.
    person.ok("scale deployment/echo --replicas=0");
    let refused = || async {
        let answer = http::get(&gateway, "/").await?;
        ensure!(answer.status == 503, "{}", answer.status);
        ensure!(answer.text().contains("no ready pod"), "{}", answer.text());
        Ok(Some(()))
    };
    until("calls are refused at once", LIMIT, refused)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_held_no_longer_than_is_said_and_told_why_it_failed() {
    let person = Person::new();
    let by_cpu = sleeper("2s").replace("\"type\":\"Pods\"", "\"type\":\"Resource\"");
    let refused = person.node.apply_text(&by_cpu).unwrap_err().to_string();
    assert!(refused.contains("scaling to zero"), "{refused}");
    person.node.apply_text(&sleeper("2s")).unwrap();
    person.until_replicas(0).await;
    // The next pod cannot start.
    person.ok("set image deployment/echo echo=missing:1.0");
    let gateway = person.node.address("gateway").unwrap();
    let late = || async {
        let answer = http::get(&gateway, "/").await?;
        ensure!(answer.status == 503, "{}", answer.status);
        let text = answer.text();
        ensure!(
            text.contains("it sleeps (scaled to zero), and no pod of it was ready in time"),
            "{text}"
        );
        Ok(Some(()))
    };
    until("the call is refused in time", LIMIT, late)
        .await
        .unwrap();
    let replicas = person.ok("get deployment echo -o jsonpath={.spec.replicas}");
    assert_eq!(replicas, "1", "it was called");
    // When it can start it answers.
    person.ok("set image deployment/echo echo=echo:1.0");
    let answers = || async {
        let answer = http::get(&gateway, "/").await?;
        Ok((answer.status == 200).then_some(()))
    };
    until("it answers", LIMIT, answers).await.unwrap();
}
