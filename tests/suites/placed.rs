//! Pods with a place of their own, as people drive them with kubectl: StatefulSets by number, DaemonSets by node, and drains that
//! leave enough of both.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::load::Plan;
use osier_tests::{Node, http, objects, until};
use serde_json::Value;
use std::time::Duration;

const STATEFUL: &str = include_str!("manifests/stateful.yaml");
const DAEMON: &str = include_str!("manifests/daemon.yaml");
const LIMIT: Duration = Duration::from_secs(90);

/// A node and the kubectl that drives it.
struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    /// Two images of the same component under two names.
    fn new() -> Self {
        let node = Node::start().unwrap();
        for name in ["echo:1.0", "echo:2.0"] {
            node.import(name, &component("tests/echo").unwrap())
                .unwrap();
        }
        let kubectl = installed().unwrap();
        Self { kubectl, node }
    }

    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None).unwrap()
    }

    fn apply(&self, manifest: &str) -> String {
        let kubeconfig = self.node.kubeconfig();
        self.kubectl
            .ok(&kubeconfig, &["apply", "-f", "-"], Some(manifest))
            .unwrap()
    }

    fn refused(&self, line: &str, stdin: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.fails(&kubeconfig, &args, Some(stdin)).unwrap()
    }

    /// Waits until there are these many pods with the label and says what `path` is of each.
    async fn each(&self, label: &str, count: usize, path: &str) -> Vec<String> {
        let settled = || async {
            let pods = objects::pods(&self.node, label).await?;
            ensure!(pods.len() == count, "{}", objects::states(&pods));
            let of = |pod: &Value| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
            Ok(Some(
                pods.iter()
                    .map(|pod| of(pod).unwrap_or_default())
                    .collect::<Vec<_>>(),
            ))
        };
        let mut found = until("the pods are there", LIMIT, settled).await.unwrap();
        found.sort();
        found
    }
}

async fn stateful() -> Person {
    let person = Person::new();
    person.apply(STATEFUL);
    person.ok("rollout status statefulset/web --timeout=90s");
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_stateful_set_have_names_that_stay() {
    let person = stateful().await;
    let names = person.each("app=web", 3, "/metadata/name").await;
    assert_eq!(names, ["web-0", "web-1", "web-2"]);
    let hosts = person.each("app=web", 3, "/spec/hostname").await;
    assert_eq!(hosts, names);
    let shown = person.ok("get statefulset,controllerrevision");
    assert!(
        shown.contains("3/3") && shown.contains("statefulset.apps/web"),
        "{shown}"
    );
    // The VirtualService sends /one to the host name of the second pod.
    let gateway = person.node.address("gateway").unwrap();
    let second = || async {
        let answer = http::get(&gateway, "/one").await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(Some(answer.json()?["pod"].clone()))
    };
    for _ in 0..10 {
        assert_eq!(
            until("web-1 answers", LIMIT, second).await.unwrap(),
            "web-1"
        );
    }
    let before = person.ok("get pod web-1 -o jsonpath={.metadata.uid}");
    person.ok("delete pod web-1");
    person.ok("rollout status statefulset/web --timeout=90s");
    person.ok("wait --for=condition=ready pod/web-1 --timeout=60s");
    assert_ne!(
        person.ok("get pod web-1 -o jsonpath={.metadata.uid}"),
        before
    );
    assert_eq!(
        until("web-1 answers", LIMIT, second).await.unwrap(),
        "web-1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_set_is_scaled_from_its_end() {
    let person = stateful().await;
    person.ok("scale statefulset/web --replicas=5");
    person.ok("rollout status statefulset/web --timeout=90s");
    assert_eq!(
        person.each("app=web", 5, "/metadata/name").await[4],
        "web-4"
    );
    person.ok("scale statefulset/web --replicas=1");
    assert_eq!(person.each("app=web", 1, "/metadata/name").await, ["web-0"]);
    person.ok("delete statefulset web --cascade=orphan");
    assert_eq!(person.each("app=web", 1, "/metadata/name").await, ["web-0"]);
    person.apply(&STATEFUL.replace(
        "replicas: 3",
        "replicas: 4\n  podManagementPolicy: Parallel",
    ));
    person.ok("rollout status statefulset/web --timeout=90s");
    person.each("app=web", 4, "/metadata/name").await;
    person.ok("delete statefulset web");
    person.each("app=web", 0, "/metadata/name").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_set_is_rolled_out_by_parts_and_undone_under_load_without_a_failed_request() {
    let person = stateful().await;
    let gateway = person.node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 4).start();
    person.ok(
        r#"patch statefulset web -p {"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}"#,
    );
    person.ok("set image statefulset/web echo=echo:2.0");
    let told = person.ok("rollout status statefulset/web --timeout=90s");
    assert!(
        told.contains("partitioned roll out complete: 1 new pods"),
        "{told}"
    );
    let image = "/spec/containers/0/image";
    assert_eq!(
        person.each("app=web", 3, image).await,
        ["echo:1.0", "echo:1.0", "echo:2.0"]
    );
    person.ok(
        r#"patch statefulset web -p {"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}"#,
    );
    let told = person.ok("rollout status statefulset/web --timeout=90s");
    assert!(told.contains("roll out complete: 3 new pods"), "{told}");
    assert_eq!(person.each("app=web", 3, image).await, ["echo:2.0"; 3]);
    let history = person.ok("rollout history statefulset/web");
    assert!(
        history.contains("\n1 ") && history.contains("\n2 "),
        "{history}"
    );
    let first = person.ok("rollout history statefulset/web --revision=1");
    assert!(first.contains("echo:1.0"), "{first}");
    person.ok("rollout undo statefulset/web");
    person.ok("rollout status statefulset/web --timeout=90s");
    assert_eq!(person.each("app=web", 3, image).await, ["echo:1.0"; 3]);
    let history = person.ok("rollout history statefulset/web");
    assert!(
        !history.contains("\n1 ") && history.contains("\n3 "),
        "{history}"
    );
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    assert!(failed.is_empty(), "of {}: {failed:?}", outcome.total());
    assert!(outcome.total() > 100, "{}", outcome.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_has_a_pod_on_each_node_and_follows_its_template() {
    let person = Person::new();
    let _second = person.node.joined("second").unwrap();
    person.apply(DAEMON);
    person.ok("rollout status daemonset/log --timeout=90s");
    let nodes = person.each("app=log", 2, "/spec/nodeName").await;
    assert!(
        nodes[0] != nodes[1] && nodes.contains(&"second".to_owned()),
        "{nodes:?}"
    );
    person.ok("set image daemonset/log echo=echo:2.0");
    let told = person.ok("rollout status daemonset/log --timeout=90s");
    assert!(told.contains("successfully rolled out"), "{told}");
    let image = "/spec/containers/0/image";
    assert_eq!(person.each("app=log", 2, image).await, ["echo:2.0"; 2]);
    let history = person.ok("rollout history daemonset/log");
    assert!(
        history.contains("\n1 ") && history.contains("\n2 "),
        "{history}"
    );
    person.ok("rollout undo daemonset/log");
    person.ok("rollout status daemonset/log --timeout=90s");
    assert_eq!(person.each("app=log", 2, image).await, ["echo:1.0"; 2]);
    // A taint that is not tolerated drives its pod out; one that goes lets a new one come.
    person.ok("taint node second maintenance=yes:NoExecute");
    let left = person.each("app=log", 1, "/spec/nodeName").await;
    assert_ne!(left, ["second"]);
    person.ok("taint node second maintenance:NoExecute-");
    person.each("app=log", 2, "/spec/nodeName").await;
    person.ok("rollout status daemonset/log --timeout=90s");
    let shown = person.ok("get daemonset log");
    let numbers: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(numbers[..6], ["log", "2", "2", "2", "2", "2"], "{shown}");
    // By hand: a new template waits for somebody to delete the pods.
    person.ok(r#"patch daemonset log -p {"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}"#);
    person.ok("set image daemonset/log echo=echo:2.0");
    person.ok("delete pods -l app=log --field-selector spec.nodeName=second");
    person.ok("wait --for=jsonpath={.status.numberReady}=2 daemonset/log --timeout=60s");
    let images = person.each("app=log", 2, image).await;
    assert_eq!(images, ["echo:1.0", "echo:2.0"]);
}

const BUDGET: &str = r#"{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "echo"},
    "spec": {"minAvailable": 4, "selector": {"matchLabels": {"app": "echo"}}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_load_leaves_what_the_budget_asks_for_and_fails_no_request() {
    let person = Person::new();
    let _second = person.node.joined("second").unwrap();
    person.apply(&include_str!("manifests/deployment.yaml").replace("replicas: 3", "replicas: 4"));
    person.apply(DAEMON);
    person.apply(BUDGET);
    person.ok("rollout status deployment/echo --timeout=90s");
    person.ok("rollout status daemonset/log --timeout=90s");
    person.ok("wait --for=jsonpath={.status.currentHealthy}=4 pdb/echo --timeout=60s");
    let nodes = person.each("app=echo", 4, "/spec/nodeName").await;
    assert!(nodes.contains(&"second".to_owned()), "{nodes:?}");
    let gateway = person.node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 4).start();
    // All four are asked for: nobody may leave, and the node stays cordoned.
    let told = person.refused("drain second --ignore-daemonsets --timeout=6s", "");
    assert!(
        told.contains("Cannot evict pod as it would violate the pod's disruption budget"),
        "{told}"
    );
    let cordoned = person.ok("get node second");
    assert!(cordoned.contains("SchedulingDisabled"), "{cordoned}");
    assert_eq!(person.each("app=echo", 4, "/spec/nodeName").await, nodes);
    person.ok(r#"patch pdb echo -p {"spec":{"minAvailable":3}}"#);
    let shown = person.ok("get pdb echo");
    assert!(shown.contains("echo   3               N/A"), "{shown}");
    person.ok("drain second --ignore-daemonsets --timeout=90s");
    let left = person.each("app=echo", 4, "/spec/nodeName").await;
    assert!(!left.contains(&"second".to_owned()), "{left:?}");
    let daemons = person.each("app=log", 2, "/spec/nodeName").await;
    assert!(daemons.contains(&"second".to_owned()), "{daemons:?}");
    person.ok("uncordon second");
    person.ok("rollout status deployment/echo --timeout=90s");
    person.ok("scale deployment/echo --replicas=8");
    person.ok("rollout status deployment/echo --timeout=90s");
    let back = person.each("app=echo", 8, "/spec/nodeName").await;
    assert!(back.contains(&"second".to_owned()), "{back:?}");
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    assert!(failed.is_empty(), "of {}: {failed:?}", outcome.total());
    assert!(outcome.total() > 100, "{}", outcome.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_full_is_not_asked_again_and_again() {
    let person = Person::new();
    person.ok("create quota few --hard=pods=1");
    person.ok("create deployment web --image=echo:1.0 --replicas=3");
    person.ok("wait --for=condition=ReplicaFailure deployment/web --timeout=60s");
    let version =
        || person.ok("get replicaset -l app=web -o jsonpath={.items[0].metadata.resourceVersion}");
    let tries = || async {
        let events = objects::get(&person.node, "/api/v1/namespaces/default/events").await?;
        let failed = events["items"].as_array().unwrap().iter();
        let failed = failed.filter(|event| event["reason"] == "FailedCreate");
        Ok(Some(
            failed
                .filter_map(|event| event["count"].as_u64())
                .sum::<u64>(),
        ))
    };
    person.ok("wait --for=jsonpath={.status.readyReplicas}=1 deployment/web --timeout=60s");
    let (before, at) = (version(), std::time::Instant::now());
    // The back-off doubles: in the time of this wait, which nothing ends, there is room for a dozen tries and not for hundreds.
    let told = person.refused(
        "wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=8s",
        "",
    );
    assert!(told.contains("timed out"), "{told}");
    assert!(at.elapsed() >= Duration::from_secs(7));
    assert_eq!(version(), before, "the replica set is not written again");
    let tries = until("events", LIMIT, tries).await.unwrap();
    assert!((2..40).contains(&tries), "{tries} tries");
    person.ok("delete quota few");
    person.ok("rollout status deployment/web --timeout=90s");
}
