//! Several nodes: machines join by a token, pods run on all of them, calls between them go over mutual TLS as the caller.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::{binary, component};
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::load::Plan;
use osier_tests::namespace::Namespace;
use osier_tests::{Node, Options, http, objects, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// `echo` with two pods on two nodes, behind the gateway.
fn echo(extra: &Value) -> String {
    let mut pod = json!({
        "terminationGracePeriodSeconds": 5,
        "containers": [{"name": "echo", "image": "echo:1.0", "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}],
    });
    for (key, value) in extra.as_object().unwrap() {
        pod[key] = value.clone();
    }
    let labels = json!({"app": "echo"});
    let all = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo"}, "spec": {
            "replicas": 4, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"}, "spec": {
            "selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "web"}, "spec": {
            "servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "echo"}, "spec": {
            "hosts": ["*"], "gateways": ["web"], "http": [{"route": [{"destination": {"host": "echo"}}]}]}}),
    ];
    all.map(|object| object.to_string()).join("\n---\n")
}

/// A control plane and one joined node.
struct Pair {
    control: Node,
    joined: Node,
    kubectl: Kubectl,
}

impl Pair {
    fn start() -> Self {
        let control = Node::start().unwrap();
        control
            .import("echo:1.0", &component("tests/echo").unwrap())
            .unwrap();
        let joined = control.joined("second").unwrap();
        Self {
            control,
            joined,
            kubectl: installed().unwrap(),
        }
    }

    fn ok(&self, line: &str) -> String {
        self.tried(line).unwrap()
    }

    /// What kubectl says, which may fail for a while.
    fn tried(&self, line: &str) -> Result<String> {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.control.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None)
    }

    /// The names of the pods that answer through the gateway, seen in some requests.
    async fn answering(&self) -> Result<BTreeSet<String>> {
        let gateway = self.control.address("gateway")?;
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let answer = http::get(&gateway, "/").await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            seen.extend(answer.json()?["pod"].as_str().map(ToOwned::to_owned));
        }
        Ok(seen)
    }
}

/// Names of the pods on a node.
async fn pods_on(node: &Node, name: &str) -> Result<BTreeSet<String>> {
    let pods = objects::pods(node, "app=echo").await?;
    let there = pods.iter().filter(|pod| pod["spec"]["nodeName"] == name);
    let names = there.filter_map(|pod| pod["metadata"]["name"].as_str());
    Ok(names.map(ToOwned::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_two_nodes_answer_through_the_gateway() {
    let pair = Pair::start();
    let nodes = pair.ok("get nodes");
    assert!(nodes.contains("second"), "{nodes}");
    assert_eq!(nodes.matches(" Ready ").count(), 2, "{nodes}");
    pair.control.apply_text(&echo(&json!({}))).unwrap();
    pair.ok("rollout status deployment/echo --timeout=90s");
    let there = pods_on(&pair.control, "second").await.unwrap();
    assert!(!there.is_empty(), "{}", pair.ok("get pods -o wide"));
    let addresses = pair.ok("get pods -l app=echo -o jsonpath={.items[*].status.podIP}");
    let different: BTreeSet<&str> = addresses.split_whitespace().collect();
    assert_eq!(different.len(), 4, "{addresses}");
    let all = || async {
        let seen = pair.answering().await?;
        ensure!(seen.len() == 4, "{seen:?}");
        Ok(Some(()))
    };
    until("pods of both nodes answer", LIMIT, all)
        .await
        .unwrap();
    // What the pods saw is in the access log of the node that has them, as a call from the gateway. Lines wait a moment for company.
    let arrived = || async {
        let log = pair.joined.log();
        let mut lines = log.lines().filter(|line| line.contains("osier::access"));
        Ok(lines
            .any(|line| there.iter().any(|pod| line.contains(pod.as_str())))
            .then_some(()))
    };
    until("the joined node logs the calls", LIMIT, arrived)
        .await
        .unwrap();
}

/// A pod of this name on the joined node.
fn placed(name: &str, image: &str, args: &[&str], env: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeName": "second", "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": image, "args": args, "env": env}]}})
    .to_string()
}

/// Thousandths of a processor of a pod, as `top` shows them.
fn millicores(top: &str, pod: &str) -> Option<u32> {
    let row = top.lines().find(|line| line.starts_with(pod))?;
    let shown = row.split_whitespace().nth(1)?;
    shown.strip_suffix('m')?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_a_joined_node_tells_logs_use_and_decisions() {
    let pair = Pair::start();
    let (ticker, command) = ("ticker:1.0", "command:1.0");
    for (name, folder) in [(ticker, "tests/ticker"), (command, "tests/fixture-command")] {
        let built = component(folder).unwrap();
        pair.control.import(name, &built).unwrap();
    }
    let three = json!([{"name": "TICKS", "value": "3"}]);
    let few = placed("few", ticker, &[], &three);
    let busy = placed("busy", command, &["spin"], &json!([]));
    let objects = [few, busy, echo(&json!({}))].join("\n---\n");
    pair.control.apply_text(&objects).unwrap();
    pair.ok("wait --for=jsonpath={.status.phase}=Succeeded pod/few --timeout=90s");
    let log = pair.ok("logs -f few");
    assert!(
        log.contains("tick 0\n") && log.contains("tick 2\n"),
        "{log}"
    );
    let last = pair.ok("logs few --tail=1");
    assert_eq!(last, "done\n");

    // It loops: whatever the machine gives it is far more than what a pod at rest takes.
    let measured = || async {
        let top = pair.tried("top pods")?;
        let busy = millicores(&top, "busy").filter(|used| *used >= 50);
        Ok(busy.map(|_| top))
    };
    let top = until("the pod that loops is measured", LIMIT, measured)
        .await
        .unwrap();
    let idle = millicores(&top, "echo-").unwrap();
    assert!(idle < 20, "{top}");
    assert!(millicores(&top, "few").is_none(), "it has ended:\n{top}");
    let nodes = || async {
        let told = pair.tried("top nodes")?;
        Ok((told.lines().filter(|line| line.contains("Mi")).count() == 2).then_some(told))
    };
    until("both nodes are measured", LIMIT, nodes)
        .await
        .unwrap();

    let served = || async {
        pair.answering().await?;
        let log = pair.joined.log();
        let line = log.lines().find(|line| line.contains("osier::access"));
        let id = line.and_then(|line| line.split("request_id=\"").nth(1)?.split('"').next());
        Ok(id.map(ToOwned::to_owned))
    };
    let id = until("the joined node serves a call", LIMIT, served)
        .await
        .unwrap();
    let kubeconfig = pair.control.kubeconfig();
    let output = Command::new(binary().unwrap())
        .args(["why", &id, "--node", "second", "--kubeconfig"])
        .arg(&kubeconfig)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(&id) && told.contains("to   pod"), "{told}");
    // A node is not the API server, whatever it asks of the other.
    for node in [&pair.control, &pair.joined] {
        let told = asked_as_node(&pair.joined, &node.address("mesh").unwrap());
        assert!(told.ends_with("403") && !told.contains("podRef"), "{told}");
    }
}

/// What the agent behind a mesh address answers to a node, and the status of that.
fn asked_as_node(node: &Node, mesh: &str) -> String {
    let pki = node.data_dir().join("pki");
    let output = Command::new("curl")
        .args([
            "--silent",
            "--insecure",
            "--max-time",
            "20",
            "--write-out",
            "%{http_code}",
            "--cert",
        ])
        .arg(pki.join("node.crt"))
        .arg("--key")
        .arg(pki.join("node.key"))
        .arg(format!("https://{mesh}/stats/summary"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_under_load_costs_only_what_was_under_way() {
    let mut pair = Pair::start();
    pair.control.apply_text(&echo(&json!({}))).unwrap();
    pair.ok("rollout status deployment/echo --timeout=90s");
    let all = || async { Ok((pair.answering().await?.len() == 4).then_some(())) };
    until("pods of both nodes answer", LIMIT, all)
        .await
        .unwrap();
    let gateway = pair.control.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 4).start();
    pair.joined.kill().unwrap();
    let here = pods_on(&pair.control, "second").await.unwrap();
    let only_here = || async {
        let seen = pair.answering().await?;
        ensure!(seen.is_disjoint(&here), "{seen:?}");
        Ok(Some(()))
    };
    until("only living pods answer", LIMIT, only_here)
        .await
        .unwrap();
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    // A request that had begun there may have had its effect, and is not repeated.
    assert!(failed.len() <= 4, "of {}: {failed:?}", outcome.total());
}

/// A node in a network of its own, whose cable is pulled under load and plugged in again.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_cable_costs_what_was_under_way_and_no_pod() {
    // Namespaces are the system's to give: whoever runs the suites without the right to make one sees here why it is skipped.
    let namespace = match Namespace::make() {
        Ok(namespace) => namespace,
        Err(error) if !rustix::process::geteuid().is_root() => {
            return eprintln!("skipped, for it needs root: {error:#}");
        }
        Err(error) if Command::new("ip").arg("-V").output().is_err() => {
            return eprintln!("skipped, for there is no ip: {error:#}");
        }
        Err(error) => panic!("a network namespace: {error:#}"),
    };
    let at = |address: &str, flags: [&str; 2]| {
        flags
            .map(|flag| [flag.to_owned(), format!("{address}:0")])
            .concat()
    };
    let control = Node::start_with(&Options {
        args: at(&namespace.outer, ["--api-listen", "--mesh-listen"]),
        ..Options::default()
    })
    .unwrap();
    control
        .import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    let mut args = control.invitation().unwrap();
    args.extend(["--node-name", "second"].map(ToOwned::to_owned));
    args.extend(at(&namespace.inner, ["--mesh-listen", "--admin-listen"]));
    let joined = Node::start_with(&Options {
        args,
        wrapper: namespace.inside(),
        joins: true,
        ..Options::default()
    })
    .unwrap();
    let pair = Pair {
        control,
        joined,
        kubectl: installed().unwrap(),
    };
    pair.control.apply_text(&echo(&json!({}))).unwrap();
    pair.ok("rollout status deployment/echo --timeout=90s");
    let all = || async { Ok((pair.answering().await?.len() == 4).then_some(())) };
    until("pods of both nodes answer", LIMIT, all)
        .await
        .unwrap();
    let there = pods_on(&pair.control, "second").await.unwrap();
    let gateway = pair.control.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", 4).start();
    namespace.link(false).unwrap();
    let only_here = || async {
        let seen = pair.answering().await?;
        ensure!(seen.is_disjoint(&there), "{seen:?}");
        Ok(Some(()))
    };
    until("only pods that are reached answer", LIMIT, only_here)
        .await
        .unwrap();
    namespace.link(true).unwrap();
    until("all answer again", LIMIT, all).await.unwrap();
    assert_eq!(pods_on(&pair.control, "second").await.unwrap(), there);
    let outcome = load.finish().await;
    let failed = outcome.unexpected(&[200]);
    // What was under way, and what its callers sent again before they were told that the link has ended.
    assert!(failed.len() <= 8, "of {}: {failed:?}", outcome.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_without_a_token_and_a_node_reads_only_what_its_pods_need() {
    let control = Node::start().unwrap();
    let words = control.invitation().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let join = |change: &dyn Fn(&str) -> String| {
        let args: Vec<String> = words.iter().map(|word| change(word)).collect();
        let output = Command::new(binary().unwrap())
            .arg("node")
            .args(args)
            .args(["--node-name", "third", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // The secret of the token, then the pin of the authority.
    let told = join(&|word| match word.split_once('.') {
        Some((id, secret)) if secret.len() == 16 => format!("{id}.{}", "a".repeat(16)),
        _ => word.to_owned(),
    });
    assert!(told.contains("Unauthorized"), "{told}");
    let told = join(&|word| match word.starts_with("sha256:") {
        true => format!("sha256:{}", "0".repeat(64)),
        false => word.to_owned(),
    });
    assert!(told.contains("UnknownIssuer"), "{told}");
    drop(folder);

    let joined = control.joined("second").unwrap();
    let kubectl = installed().unwrap();
    let kubeconfig = member(&control, &joined);
    let refused = |line: &str| {
        let args: Vec<&str> = line.split_whitespace().collect();
        let output = kubectl.run(&kubeconfig, &args, None).unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{line}");
        told
    };
    let told = refused("get secrets -n kube-system");
    assert!(told.contains("no pod bound to node \"second\""), "{told}");
    let told = refused("delete node second");
    assert!(told.contains("forbidden"), "{told}");
    let other = objects::get(&control, "/api/v1/nodes").await.unwrap();
    let names = other["items"].as_array().unwrap().iter();
    let names = names.filter_map(|node| node["metadata"]["name"].as_str());
    let other = names.filter(|name| *name != "second").collect::<Vec<_>>()[0].to_owned();
    let told = refused(&format!("annotate node {other} a=b"));
    assert!(told.contains("may write only its own Node"), "{told}");
    let told = refused("annotate --overwrite lease -n kube-node-lease x a=b");
    assert!(told.contains("its own Lease"), "{told}");
}

/// A kubeconfig with a node's own certificate.
fn member(control: &Node, joined: &Node) -> std::path::PathBuf {
    let pki = joined.data_dir().join("pki");
    let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "n",
        "clusters": [{"name": "n", "cluster": {
            "server": format!("https://{}", control.address("api").unwrap()),
            "certificate-authority": pki.join("ca.crt")}}],
        "contexts": [{"name": "n", "context": {"cluster": "n", "user": "n"}}],
        "users": [{"name": "n", "user": {
            "client-certificate": pki.join("node.crt"), "client-key": pki.join("node.key")}}]});
    let path = joined.data_dir().join("as-node.json");
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_has_its_pods_and_runs_none_twice() {
    let mut pair = Pair::start();
    pair.control.apply_text(&echo(&json!({}))).unwrap();
    pair.ok("rollout status deployment/echo --timeout=90s");
    let before = pods_on(&pair.control, "second").await.unwrap();
    pair.joined.terminate().unwrap();
    // Without a token: the certificate is enough.
    let api = pair.control.address("api").unwrap();
    let args = ["--join", &format!("https://{api}"), "--node-name", "second"];
    pair.joined
        .restart_with(&Options {
            args: args.map(ToOwned::to_owned).to_vec(),
            joins: true,
            ..Options::default()
        })
        .unwrap();
    let all = || async {
        let seen = pair.answering().await?;
        ensure!(before.is_subset(&seen), "{seen:?}");
        Ok(Some(()))
    };
    until("its pods answer again", LIMIT, all).await.unwrap();
    assert_eq!(pods_on(&pair.control, "second").await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_lost_and_its_pods_are_replaced_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("osier.yaml");
    std::fs::write(&config, "nodeGraceSeconds: 15\n").unwrap();
    let control = Node::start_with(&Options {
        args: vec!["--config".to_owned(), config.to_string_lossy().into_owned()],
        ..Options::default()
    })
    .unwrap();
    let component = component("tests/echo").unwrap();
    control.import("echo:1.0", &component).unwrap();
    let joined = control.joined("second").unwrap();
    let mut pair = Pair {
        control,
        joined,
        kubectl: installed().unwrap(),
    };
    let soon = json!({"tolerations": [{"key": "node.kubernetes.io/unreachable", "operator": "Exists",
        "effect": "NoExecute", "tolerationSeconds": 1}]});
    pair.control.apply_text(&echo(&soon)).unwrap();
    pair.ok("rollout status deployment/echo --timeout=90s");
    let lost = pods_on(&pair.control, "second").await.unwrap();
    assert!(!lost.is_empty());
    pair.joined.kill().unwrap();
    let replaced = || async {
        let seen = pair.answering().await?;
        ensure!(seen.len() == 4 && seen.is_disjoint(&lost), "{seen:?}");
        Ok(Some(()))
    };
    until("four pods answer here", LIMIT, replaced)
        .await
        .unwrap();
    let nodes = pair.ok("get nodes");
    assert!(nodes.contains("NotReady"), "{nodes}");
    // It comes back: its former pods end, and none runs twice.
    let api = pair.control.address("api").unwrap();
    let args = ["--join", &format!("https://{api}"), "--node-name", "second"];
    pair.joined
        .restart_with(&Options {
            args: args.map(ToOwned::to_owned).to_vec(),
            joins: true,
            ..Options::default()
        })
        .unwrap();
    pair.ok("wait node/second --for=condition=Ready --timeout=90s");
    let gone = || async {
        let there = pods_on(&pair.control, "second").await?;
        ensure!(there.is_disjoint(&lost), "{there:?}");
        let taints = pair.ok("get node second -o jsonpath={.spec.taints}");
        ensure!(taints.is_empty(), "{taints}");
        Ok(Some(()))
    };
    until(
        "the pods that left are gone and the node is clean",
        LIMIT,
        gone,
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_node_that_is_not_there_is_told_so_and_fails() {
    let control = Node::start().unwrap();
    // The finalizer keeps it there to be looked at.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost", "finalizers": ["example.com/kept"]},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "main", "image": "echo:1.0"}]}});
    control.apply_text(&pod.to_string()).unwrap();
    let told = async |reason: &'static str, words: &'static str| {
        let found = || async {
            let events = objects::get(&control, "/api/v1/namespaces/default/events").await?;
            let mut all = events["items"].as_array().into_iter().flatten();
            let said = |event: &&Value| {
                let message = event["message"].as_str().unwrap_or_default();
                event["reason"] == reason && message.contains(words)
            };
            Ok(all
                .find(said)
                .map(|event| event["involvedObject"]["name"].clone()))
        };
        until(reason, LIMIT, found).await.unwrap()
    };
    let about = told("NodeNotFound", "unless it comes within 40 s").await;
    assert_eq!(about, "lost");
    told("DeletionByPodGC", "nowhere").await;
    let failed = || async {
        let pod = objects::get(&control, "/api/v1/namespaces/default/pods/lost").await?;
        let conditions = pod["status"]["conditions"].as_array().cloned();
        let why = conditions.into_iter().flatten();
        let mut why = why.filter(|one| one["type"] == "DisruptionTarget");
        let gone = !pod["metadata"]["deletionTimestamp"].is_null();
        ensure!(gone && pod["status"]["phase"] == "Failed", "{pod}");
        Ok(why.next())
    };
    let why = until("it fails and is deleted", LIMIT, failed)
        .await
        .unwrap();
    assert_eq!(why["reason"], "DeletionByPodGC", "{why}");
    assert_eq!(why["message"], "PodGC: node no longer exists");
}
