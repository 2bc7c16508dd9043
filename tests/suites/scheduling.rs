//! Where pods go on several nodes, as people say it with taints, affinity, spreading and priorities, through real kubectl.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// A control plane called `first` and two joined nodes, in two zones.
struct Three {
    control: Node,
    _joined: [Node; 2],
    kubectl: Kubectl,
}

/// A Deployment of the component `echo`, of which each pod asks for the CPU.
fn deployment(name: &str, replicas: u32, cpu: &str, pod: &Value) -> String {
    let labels = json!({"app": name});
    let mut spec = json!({"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "echo", "image": "echo:1.0", "resources": {"requests": {"cpu": cpu}}}]});
    for (key, value) in pod.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec}}})
    .to_string()
}

/// Pods of one Deployment keep away from each other.
fn apart(name: &str) -> Value {
    let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": name}}});
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

impl Three {
    fn start() -> Self {
        let args = ["--node-name", "first"].map(ToOwned::to_owned).to_vec();
        let options = osier_tests::Options {
            args,
            ..osier_tests::Options::default()
        };
        let control = Node::start_with(&options).unwrap();
        control
            .import("echo:1.0", &component("tests/echo").unwrap())
            .unwrap();
        let joined = ["second", "third"].map(|name| control.joined(name).unwrap());
        let three = Self {
            control,
            _joined: joined,
            kubectl: installed().unwrap(),
        };
        three.ok("label nodes first second zone=x");
        three.ok("label nodes third zone=y");
        three
    }

    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let kubeconfig = self.control.kubeconfig();
        self.kubectl.ok(&kubeconfig, &args, None).unwrap()
    }

    fn apply(&self, manifest: &str) {
        self.control.apply_text(manifest).unwrap();
    }

    fn ready(&self, name: &str) {
        self.ok(&format!("rollout status deployment/{name} --timeout=90s"));
    }

    /// The nodes of the pods of a Deployment, in order; `-` for one without.
    async fn nodes(&self, name: &str) -> Vec<String> {
        let selector = format!("app={name}");
        let pods = objects::pods(&self.control, &selector).await.unwrap();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let node = |pod: &Value| pod["spec"]["nodeName"].as_str().unwrap_or("-").to_owned();
        let mut nodes: Vec<String> = pods.iter().filter(stays).map(node).collect();
        nodes.sort();
        nodes
    }

    async fn until_on(&self, name: &str, wanted: &[&str]) {
        let there = || async {
            let nodes = self.nodes(name).await;
            ensure!(nodes == wanted, "{name}: {nodes:?}");
            Ok(Some(()))
        };
        until("the pods are where they shall be", LIMIT, there)
            .await
            .unwrap();
    }

    /// Waits until a pod with the label is told why it has no node.
    async fn told(&self, name: &str, words: &str) {
        let told = || async {
            let pods = objects::pods(&self.control, &format!("app={name}")).await?;
            let messages: Vec<String> = pods
                .iter()
                .flat_map(|pod| pod["status"]["conditions"].as_array().cloned())
                .flatten()
                .filter(|condition| condition["reason"] == "Unschedulable")
                .filter_map(|condition| condition["message"].as_str().map(ToOwned::to_owned))
                .collect();
            ensure!(messages.iter().any(|one| one == words), "{messages:?}");
            Ok(Some(()))
        };
        until("the pod is told why", LIMIT, told).await.unwrap();
    }

    /// Waits until there is an event of the reason whose message has the words.
    async fn event(&self, reason: &str, words: &str) {
        let seen = || async {
            let path = "/api/v1/namespaces/default/events";
            let events = objects::get(&self.control, path).await?;
            let mut all = events["items"].as_array().into_iter().flatten();
            let is = |event: &Value| {
                let message = event["message"].as_str().unwrap_or_default();
                event["reason"] == reason && message.contains(words)
            };
            ensure!(all.any(is), "no event {reason}");
            Ok(Some(()))
        };
        until("the event is there", LIMIT, seen).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_are_kept_apart_brought_together_and_spread() {
    let three = Three::start();
    three.apply(&deployment("apart", 4, "10m", &apart("apart")));
    three
        .until_on("apart", &["-", "first", "second", "third"])
        .await;
    let words = "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
    three.told("apart", words).await;
    three.event("FailedScheduling", words).await;
    let pending = three.ok("get pods -l app=apart --field-selector=status.phase=Pending");
    assert_eq!(pending.matches("Pending").count(), 1, "{pending}");
    three.ok("scale deployment/apart --replicas=3");
    three.ready("apart");

    // A follower waits for somebody to follow, and comes as soon as that one is there.
    let near = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "leader"}}});
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}}});
    three.apply(&deployment("follower", 2, "10m", &near));
    let words = "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    three.told("follower", words).await;
    three.apply(&deployment(
        "leader",
        1,
        "10m",
        &json!({"nodeSelector": {"zone": "y"}}),
    ));
    three.until_on("follower", &["third", "third"]).await;

    let even = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "even"}}}]});
    three.apply(&deployment("even", 6, "10m", &even));
    three.ready("even");
    let nodes = three.nodes("even").await;
    let in_y = nodes.iter().filter(|node| *node == "third").count();
    assert_eq!((nodes.len(), in_y), (6, 3), "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn taints_keep_away_put_off_and_drive_out() {
    let three = Three::start();
    three.ok("taint nodes third gpu=yes:NoSchedule");
    three.ok("taint nodes second slow=yes:PreferNoSchedule");
    three.apply(&deployment("web", 3, "10m", &json!({})));
    three.until_on("web", &["first", "first", "first"]).await;
    three.apply(&deployment(
        "gpu",
        1,
        "10m",
        &json!({"nodeSelector": {"kubernetes.io/hostname": "third"}}),
    ));
    let words = "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    three.told("gpu", words).await;
    three.ok("taint nodes third gpu-");
    three.ready("gpu");

    // Three on the node bear what comes for ever, for a while, and not at all.
    let on = |name: &str, tolerations: &Value| {
        let pod = json!({"nodeSelector": {"kubernetes.io/hostname": "third"}, "tolerations": tolerations});
        deployment(name, 1, "10m", &pod)
    };
    let bears = json!({"key": "upkeep", "operator": "Exists", "effect": "NoExecute"});
    let mut while_ = bears.clone();
    while_["tolerationSeconds"] = json!(3);
    three.apply(&on("forever", &json!([bears])));
    three.apply(&on("while", &json!([while_])));
    for name in ["forever", "while"] {
        three.ready(name);
    }
    let name = |label: &str| three.ok(&format!("get pods -l app={label} -o name"));
    let (forever, short) = (name("forever"), name("while"));
    three.ok("taint nodes third upkeep=now:NoExecute");
    three
        .event(
            "TaintManagerEviction",
            "Marking for deletion Pod default/gpu-",
        )
        .await;
    three.until_on("gpu", &["-"]).await;
    // It may come again while the taint is borne, and leaves again: another pod each time.
    three
        .event(
            "TaintManagerEviction",
            "Marking for deletion Pod default/while-",
        )
        .await;
    assert_ne!(name("while"), short);
    assert_eq!(name("forever"), forever);
    three.ok("taint nodes third upkeep-");
    three.until_on("gpu", &["third"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_gates_waits_until_they_are_gone_and_is_ready_when_others_say_so() {
    let three = Three::start();
    let gates = json!({"schedulingGates": [{"name": "acme.com/held"}], "readinessGates": [{"conditionType": "acme.com/open"}]});
    three.apply(&deployment("held", 1, "10m", &gates));
    let shown = || async {
        Ok(three
            .ok("get pods -l app=held")
            .contains("SchedulingGated")
            .then_some(()))
    };
    until("it is gated", LIMIT, shown).await.unwrap();
    let pod = three.ok("get pods -l app=held -o name");
    let words = three.ok(&format!(
        "get {pod} -o jsonpath={{.status.conditions[0].message}}"
    ));
    assert_eq!(
        words,
        "Scheduling is blocked due to non-empty scheduling gates"
    );
    three.ok(&format!(
        r#"patch {pod} --type=json -p [{{"op":"remove","path":"/spec/schedulingGates"}}]"#
    ));
    let closed = || async {
        let said = three.ok(&format!(
            "get {pod} -o jsonpath={{.status.conditions[?(@.type==\"Ready\")].reason}}"
        ));
        Ok((said == "ReadinessGatesNotReady").then_some(()))
    };
    until("it runs behind its gate", LIMIT, closed)
        .await
        .unwrap();
    three.ok(&format!(
        r#"patch {pod} --subresource=status -p {{"status":{{"conditions":[{{"type":"acme.com/open","status":"True"}}]}}}}"#
    ));
    three.ready("held");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_have_besides_is_counted_and_what_others_say_of_pods_stays() {
    let args = ["--extended-resource", "acme.com/gpu=2"].map(str::to_owned);
    let options = osier_tests::Options {
        args: args.to_vec(),
        ..osier_tests::Options::default()
    };
    let mut node = Node::start_with(&options).unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    let (kubectl, config) = (installed().unwrap(), node.kubeconfig());
    let ok = |line: &str| {
        let args: Vec<&str> = line.split_whitespace().collect();
        kubectl.ok(&config, &args, None).unwrap()
    };
    let name = ok("get nodes -o jsonpath={.items[0].metadata.name}");
    let limits = json!({"acme.com/gpu": "1", "ephemeral-storage": "1Mi"});
    let gpu = json!({"containers": [{"name": "echo", "image": "echo:1.0", "resources": {"limits": limits}}]});
    node.apply_text(&deployment("gpu", 3, "10m", &gpu)).unwrap();
    let waits = || async {
        let words = ok(
            "get pods -l app=gpu -o jsonpath={.items[*].status.conditions[?(@.reason==\"Unschedulable\")].message}",
        );
        Ok(words.contains("1 Insufficient acme.com/gpu").then_some(()))
    };
    until("the third waits for what nobody has", LIMIT, waits)
        .await
        .unwrap();
    ok("scale deployment gpu --replicas=2");
    let pods = objects::ready(&node, "app=gpu", 2).await.unwrap();
    let pod = objects::name(&pods[0]);
    ok(&format!(
        r#"patch pod {pod} --subresource=status -p {{"status":{{"conditions":[{{"type":"acme.com/seen","status":"True"}}]}}}}"#
    ));
    // What is written into a node's capacity is offered; what the node says itself counts.
    ok(&format!(
        r#"patch node {name} --subresource=status -p {{"status":{{"capacity":{{"acme.com/gpu":"3","acme.com/disk":"1"}}}}}}"#
    ));
    let has = || async {
        let words = ok(&format!(
            "get node {name} -o jsonpath={{.status.allocatable}}"
        ));
        let disk = words.contains(r#""acme.com/disk":"1""#);
        Ok((disk && words.contains(r#""acme.com/gpu":"2""#)).then_some(()))
    };
    until("the node offers what was written", LIMIT, has)
        .await
        .unwrap();
    // It tells of its pods anew, and leaves what others said.
    node.terminate().unwrap();
    node.restart().unwrap();
    let told = || async {
        let path = format!("/api/v1/namespaces/default/pods/{pod}");
        let pod = objects::get(&node, &path).await?;
        let again = pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0);
        let ready = objects::condition(&pod, "Ready") == Some("True");
        Ok((again && ready).then_some(pod))
    };
    let pod = until("it runs again", LIMIT, told).await.unwrap();
    let seen = objects::condition(&pod, "acme.com/seen");
    assert_eq!(seen, Some("True"), "{}", pod["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_important_push_out_the_unimportant_and_drained_pods_find_a_place() {
    let three = Three::start();
    three.ok("create priorityclass high --value=1000 --description=first");
    three.ok("create priorityclass polite --value=900 --preemption-policy=Never");
    let cpu = three.ok("get node second -o jsonpath={.status.allocatable.cpu}");
    let whole: u64 = cpu.strip_suffix('m').map_or_else(
        || cpu.parse::<u64>().unwrap() * 1000,
        |milli| milli.parse().unwrap(),
    );
    // Most of each node: two do not fit side by side.
    let most = format!("{}m", whole * 6 / 10);
    three.apply(&deployment("low", 3, &most, &json!({})));
    three.ready("low");
    three.apply(&deployment(
        "polite",
        1,
        &most,
        &json!({"priorityClassName": "polite"}),
    ));
    let words = "0/3 nodes are available: 3 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.";
    three.told("polite", words).await;
    three.apply(&deployment(
        "high",
        1,
        &most,
        &json!({"priorityClassName": "high", "nodeSelector": {"zone": "y"}}),
    ));
    three.ready("high");
    three.until_on("high", &["third"]).await;
    three.event("Preempted", "Preempted by pod ").await;
    three.until_on("low", &["-", "first", "second"]).await;
    three.until_on("polite", &["-"]).await;
    // What a drain takes away comes back elsewhere, the more important first.
    three.ok("delete deployment high");
    three.until_on("polite", &["third"]).await;
    three.ok("delete deployment polite");
    three.until_on("low", &["first", "second", "third"]).await;
    three.apply(&deployment(
        "small",
        4,
        "10m",
        &json!({"topologySpreadConstraints": [{"maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "small"}}}]}),
    ));
    three.ready("small");
    let nodes = three.nodes("small").await;
    assert!(nodes.contains(&"second".to_owned()), "{nodes:?}");
    three.ok("drain second --timeout=60s");
    three.ready("small");
    let nodes = three.nodes("small").await;
    assert!(!nodes.contains(&"second".to_owned()), "{nodes:?}");
    let words = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.";
    three.told("low", words).await;
    three.ok("uncordon second");
    three.ready("low");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_has_a_say_in_where_pods_run() {
    let three = Three::start();
    // By the rules alone three pods go to three nodes.
    three.apply(&deployment("spread", 3, "10m", &json!({})));
    three.ready("spread");
    three
        .until_on("spread", &["first", "second", "third"])
        .await;
    three.ok("delete deployment spread");
    three.until_on("spread", &[]).await;
    let plugin = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "pack"},
        "spec": {"image": "builtin://bin-pack", "config": {"by": "cpu", "maxSiblings": 2}}});
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "pack"},
        "spec": {"actions": [{"plugin": "pack", "hook": "schedule"}]}});
    three.apply(&plugin.to_string());
    three.apply(&policy.to_string());
    three.ok("wait policy/pack --for=condition=Ready --timeout=60s");
    // One that stands somewhere draws the others, as many as may stand together.
    let anchor = json!({"nodeSelector": {"kubernetes.io/hostname": "third"}});
    three.apply(&deployment("anchor", 1, "50m", &anchor));
    three.ready("anchor");
    three.apply(&deployment("packed", 2, "10m", &json!({})));
    three.ready("packed");
    three.until_on("packed", &["third", "third"]).await;
    three.ok("scale deployment packed --replicas=7");
    let words = "0/3 nodes are available: 3 node(s) had 2 pods of the same controller.";
    let told = || async {
        let pods = objects::pods(&three.control, "app=packed").await?;
        let text = serde_json::to_string(&pods)?;
        ensure!(text.contains(words), "{text}");
        Ok(Some(()))
    };
    until("the seventh is told why it waits", LIMIT, told)
        .await
        .unwrap();
    three.ok("delete policy pack");
    three.ready("packed");
}
