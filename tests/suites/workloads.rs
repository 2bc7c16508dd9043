//! What keeps pods running, as people drive it: rolled out under load, looked at, undone, paused, scaled and deleted with kubectl.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::load::Plan;
use osier_tests::{Node, http, objects, until};
use serde_json::Value;
use std::time::Duration;

const DEPLOYMENT: &str = include_str!("manifests/deployment.yaml");
const LIMIT: Duration = Duration::from_secs(60);
const ECHO: &str = "/apis/apps/v1/namespaces/default/deployments/echo";

/// A node and the kubectl that drives it.
struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    /// Two images of the same component under two names; the Deployment is not applied yet.
    fn new() -> Self {
        let node = Node::start().unwrap();
        for name in ["echo:1.0", "echo:2.0"] {
            node.import(name, &component("tests/echo").unwrap())
                .unwrap();
        }
        let command = component("tests/fixture-command").unwrap();
        node.import("command:1.0", &command).unwrap();
        let kubectl = installed().unwrap();
        Self { kubectl, node }
    }

    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None).unwrap()
    }

    fn ok_with(&self, line: &str, stdin: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.node.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, Some(stdin)).unwrap()
    }

    /// One field of an object, by its JSON path.
    fn field(&self, object: &str, path: &str) -> String {
        self.ok(&format!("get {object} -o jsonpath={{{path}}}"))
    }
}

async fn deployed() -> Person {
    let person = Person::new();
    person.ok_with("apply -f -", DEPLOYMENT);
    person.ok("rollout status deployment/echo --timeout=60s");
    let gateway = person.node.address("gateway").unwrap();
    let answers = || async { Ok((http::get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, answers).await.unwrap();
    person
}

/// Waits until exactly these many pods of the Deployment are there, and says which images they run.
async fn images(node: &Node, count: usize) -> Vec<String> {
    let settled = || async {
        let pods = objects::pods(node, "app=echo").await?;
        ensure!(pods.len() == count, "{}", objects::states(&pods));
        let image = |pod: &Value| pod["spec"]["containers"][0]["image"].to_string();
        Ok(Some(pods.iter().map(image).collect()))
    };
    until("the old pods are gone", LIMIT, settled)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_rolled_out_and_undone_under_load_without_a_failed_request() {
    let person = deployed().await;
    let gateway = person.node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 8).start();
    person.ok("set image deployment/echo echo=echo:2.0");
    person.ok("rollout status deployment/echo --timeout=60s");
    assert_eq!(images(&person.node, 3).await, ["\"echo:2.0\""; 3]);
    let history = person.ok("rollout history deployment/echo");
    assert!(
        history.contains("\n1 ") && history.contains("\n2 "),
        "{history}"
    );
    person.ok("rollout undo deployment/echo");
    person.ok("rollout status deployment/echo --timeout=60s");
    assert_eq!(images(&person.node, 3).await, ["\"echo:1.0\""; 3]);
    person.ok("rollout restart deployment/echo");
    person.ok("rollout status deployment/echo --timeout=60s");
    images(&person.node, 3).await;
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    assert!(failed.is_empty(), "of {}: {failed:?}", outcome.total());
    assert!(outcome.total() > 100, "{}", outcome.total());
    assert_eq!(
        person.field(
            "deployment/echo",
            ".metadata.annotations.deployment\\.kubernetes\\.io/revision"
        ),
        "4"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_scaled_up_down_and_to_nothing() {
    let person = deployed().await;
    for replicas in [1, 40, 0, 2] {
        person.ok(&format!("scale deployment/echo --replicas={replicas}"));
        person.ok("rollout status deployment/echo --timeout=60s");
        images(&person.node, replicas).await;
    }
    let shown = person.ok("get deployment,replicaset -o wide");
    assert!(
        shown.contains("2/2") && shown.contains("echo:1.0"),
        "{shown}"
    );
    let described = person.ok("describe deployment echo");
    for words in [
        "NewReplicaSetAvailable",
        "ScalingReplicaSet",
        "MinimumReplicasAvailable",
    ] {
        assert!(described.contains(words), "no {words} in:\n{described}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_one_rolls_out_when_it_is_resumed() {
    let person = deployed().await;
    person.ok("rollout pause deployment/echo");
    person.ok("set image deployment/echo echo=echo:2.0");
    let seen = || async {
        let deployment = objects::get(&person.node, ECHO).await?;
        let (status, meta) = (&deployment["status"], &deployment["metadata"]);
        Ok((status["observedGeneration"] == meta["generation"]).then(|| status.clone()))
    };
    let status = until("the change is seen", LIMIT, seen).await.unwrap();
    assert_eq!(status["updatedReplicas"], 0, "{status}");
    assert_eq!(images(&person.node, 3).await, ["\"echo:1.0\""; 3]);
    person.ok("rollout resume deployment/echo");
    person.ok("rollout status deployment/echo --timeout=60s");
    assert_eq!(images(&person.node, 3).await, ["\"echo:2.0\""; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_owns_goes_with_it_or_stays_as_asked() {
    let person = deployed().await;
    person.ok("delete deployment echo --cascade=orphan");
    let sets = person.ok("get replicasets -o name");
    assert_eq!(sets.lines().count(), 1, "{sets}");
    let owners = person.ok("get replicasets -o jsonpath={.items[0].metadata.ownerReferences}");
    assert_eq!(owners, "", "an empty list is none");
    person.ok_with("apply -f -", DEPLOYMENT);
    person.ok("rollout status deployment/echo --timeout=60s");
    assert_eq!(
        person.ok("get replicasets -o name"),
        sets,
        "the orphan is adopted"
    );
    person.ok("delete deployment echo --cascade=foreground");
    images(&person.node, 0).await;
    assert_eq!(person.ok("get replicasets -o name"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_shows_what_stands_behind_it() {
    let person = deployed().await;
    let shown = person.ok("describe service echo");
    let endpoints = shown.lines().find(|line| line.starts_with("Endpoints:"));
    assert_eq!(endpoints.unwrap().matches(":8080").count(), 3, "{shown}");
    let slices = person.ok("get endpointslices -l kubernetes.io/service-name=echo");
    assert!(
        slices.contains("IPv4") && slices.contains("8080"),
        "{slices}"
    );
    person.ok("delete service echo");
    let gone = || async {
        let slices = person.ok("get endpointslices -o name -l kubernetes.io/service-name=echo");
        Ok(slices.is_empty().then_some(()))
    };
    until("its slices go with it", LIMIT, gone).await.unwrap();
}

const SUM: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: sum}
spec:
  completions: 4
  parallelism: 2
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      containers: [{name: sum, image: 'command:1.0', args: [print]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_until_all_of_it_is_done() {
    let person = Person::new();
    person.ok_with("apply -f -", SUM);
    person.ok("wait --for=condition=complete job/sum --timeout=60s");
    assert_eq!(person.field("job/sum", ".status.completedIndexes"), "0-3");
    assert_eq!(person.field("job/sum", ".status.succeeded"), "4");
    let logs = person.ok("logs -l batch.kubernetes.io/job-name=sum --tail=-1");
    for index in 0..4 {
        let line = format!("env JOB_COMPLETION_INDEX={index}");
        assert!(logs.contains(&line), "no {line} in:\n{logs}");
    }
    let shown = person.ok("get jobs");
    assert!(
        shown.contains("Complete") && shown.contains("4/4"),
        "{shown}"
    );
    person.ok("delete job sum");
    let gone = || async {
        Ok(objects::pods(&person.node, "job-name=sum")
            .await?
            .is_empty()
            .then_some(()))
    };
    until("its pods go with it", LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_too_often_or_takes_too_long_is_given_up() {
    let person = Person::new();
    let limit = |job: &str, field: &str, args: &str| {
        let job = SUM.replace("sum", job).replace("completions: 4", field);
        let job = job.replace("completionMode: Indexed", "completions: 1");
        job.replace("[print]", args)
    };
    person.ok_with(
        "apply -f -",
        &limit("bad", "backoffLimit: 0", "[exit, '3']"),
    );
    person.ok_with(
        "apply -f -",
        &limit("slow", "activeDeadlineSeconds: 2", "[sleep]"),
    );
    for (job, reason) in [
        ("bad", "BackoffLimitExceeded"),
        ("slow", "DeadlineExceeded"),
    ] {
        person.ok(&format!(
            "wait --for=condition=failed job/{job} --timeout=60s"
        ));
        let found = person.field(
            &format!("job/{job}"),
            ".status.conditions[?(@.type==\"Failed\")].reason",
        );
        assert_eq!(found, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_pods_mean_what_their_job_says() {
    let person = Person::new();
    let job = |name: &str, more: &str, code: &str| {
        let job = SUM.replace("name: sum", &format!("name: {name}"));
        let job = job.replace("parallelism: 2", &format!("parallelism: 4\n{more}"));
        person.ok_with(
            "apply -f -",
            &job.replace("[print]", &format!("[exit, '{code}']")),
        );
    };
    let ended = |name: &str, how: &str| {
        person.ok(&format!(
            "wait --for=condition={how} job/{name} --timeout=60s"
        ));
        let path = format!(".status.conditions[?(@.type==\"{how}\")].reason");
        person.field(&format!("job/{name}"), &path)
    };
    // WASI 0.2 knows an end that is well and one that is not: every other code is 1.
    let rule =
        "{action: FailJob, onExitCodes: {containerName: fatal, operator: In, values: [1, 42]}}";
    job(
        "fatal",
        &format!("  podFailurePolicy: {{rules: [{rule}]}}"),
        "42",
    );
    // Each index ends with its own number: 0 succeeds, the others fail.
    let own = "$(JOB_COMPLETION_INDEX)";
    job("each", "  backoffLimitPerIndex: 0", own);
    job(
        "most",
        "  successPolicy: {rules: [{succeededIndexes: '0', succeededCount: 1}]}\n  backoffLimit: 100",
        own,
    );
    assert_eq!(ended("fatal", "Failed"), "PodFailurePolicy");
    let told = person.field("job/fatal", ".status.conditions[0].message");
    assert!(
        told.contains("failed with exit code 1 matching FailJob rule at index 0"),
        "{told}"
    );
    assert_eq!(ended("each", "Failed"), "FailedIndexes");
    assert_eq!(person.field("job/each", ".status.failedIndexes"), "1-3");
    assert_eq!(person.field("job/each", ".status.completedIndexes"), "0");
    assert_eq!(ended("most", "Complete"), "SuccessPolicy");
    let refused = SUM.replace("completions: 4", "completions: 4\n  podFailurePolicy: {rules: [{action: FailIndex, onPodConditions: [{type: x}]}]}");
    let config = person.node.kubeconfig();
    let told = person
        .kubectl
        .fails(&config, &["apply", "-f", "-"], Some(&refused))
        .unwrap();
    assert!(
        told.contains("requires the use of backoffLimitPerIndex"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_starts_jobs_by_the_clock_and_by_hand() {
    let person = Person::new();
    person.ok("create deployment typed --image=echo:1.0 --replicas=0");
    assert_eq!(person.field("deployment/typed", ".spec.replicas"), "0");
    person.ok("create cronjob tick --image=command:1.0 --schedule=@yearly --restart=Never");
    person.ok("create job now --from=cronjob/tick");
    person.ok("wait --for=condition=complete job/now --timeout=60s");
    person.ok_with(
        "patch cronjob tick --type=merge --patch-file=/dev/stdin",
        "{\"spec\":{\"schedule\":\"@every 1s\"}}",
    );
    let started = || async {
        let last = person.field("cronjob/tick", ".status.lastSuccessfulTime");
        Ok((!last.is_empty()).then_some(()))
    };
    until("a Job of the clock succeeded", LIMIT, started)
        .await
        .unwrap();
    let shown = person.ok("get cronjob tick");
    assert!(shown.contains("@every 1s"), "{shown}");
    let refused = person.kubectl.fails(
        &person.node.kubeconfig(),
        &[
            "create",
            "cronjob",
            "bad",
            "--image=x",
            "--schedule=61 * * * *",
        ],
        None,
    );
    assert!(refused.unwrap().contains("expected numbers from 0 to 59"));
}
