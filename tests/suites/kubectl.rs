//! What people type, with every kubectl that can be had here: the oldest that Debian ships to the newest of this machine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use osier_tests::artifacts::component;
use osier_tests::deadline::until_blocking;
use osier_tests::kubectl::{Kubectl, all};
use osier_tests::{Node, node};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const OBJECTS: &str = include_str!("manifests/kubectl.yaml");
const LIMIT: Duration = Duration::from_secs(60);

/// One kubectl with one node.
struct Person {
    kubectl: Kubectl,
    node: Node,
}

impl Person {
    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.kubectl
            .ok(&self.node.kubeconfig(), &args, None)
            .unwrap()
    }

    fn ok_with(&self, line: &str, stdin: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.kubectl
            .ok(&self.node.kubeconfig(), &args, Some(stdin))
            .unwrap()
    }

    fn fails(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.kubectl
            .fails(&self.node.kubeconfig(), &args, None)
            .unwrap()
    }

    /// Starts a command that follows something, and hands over its lines as they come.
    fn follow(&self, line: &str) -> Followed {
        let mut child = self
            .kubectl
            .command(&self.node.kubeconfig())
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Followed { child, lines }
    }
}

/// A kubectl that keeps printing; ended when dropped.
struct Followed {
    child: Child,
    lines: Receiver<String>,
}

impl Followed {
    fn line_with(&self, text: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(LIMIT)
                .unwrap_or_else(|_| panic!("no line with {text} came"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _buried = self.child.wait();
    }
}

/// Runs a scenario with every kubectl, each on a node of its own.
fn with_every_kubectl(scenario: fn(&Person)) {
    let (found, skipped) = all();
    skipped
        .iter()
        .for_each(|reason| println!("skipped: {reason}"));
    for kubectl in found {
        println!("with kubectl {}", kubectl.version);
        let node = node::Node::start().unwrap();
        node.import("ticker:1.0", &component("tests/ticker").unwrap())
            .unwrap();
        scenario(&Person { kubectl, node });
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn looks_around() {
    with_every_kubectl(|person| {
        contains(&person.ok("get nodes"), &["NAME", "STATUS", "Ready"]);
        contains(
            &person.ok("get namespaces -o name"),
            &["namespace/default", "namespace/kube-system"],
        );
        let resources = person.ok("api-resources");
        contains(
            &resources,
            &[
                "pods",
                "replicationcontrollers",
                "services",
                "endpoints",
                "configmaps",
                "secrets",
                "events",
                "plugins",
                "policies",
                "policy.osier.dev",
            ],
        );
        contains(
            &person.ok("api-versions"),
            &["v1", "policy.osier.dev/v1alpha1", "networking.istio.io/v1"],
        );
        contains(&person.ok("version"), &["Server"]);
        contains(
            &person.fails("get pod nobody"),
            &["Error from server (NotFound)", "pods \"nobody\" not found"],
        );
        assert!(
            person.ok("get pods -A").contains("No resources found")
                || person.ok("get pods -A").is_empty()
        );
    });
}

#[test]
fn applies_gets_and_deletes() {
    with_every_kubectl(|person| {
        tells_what_it_changed(person);
        shows_in_every_form(person);
        labels_creates_and_deletes(person);
    });
}

fn tells_what_it_changed(person: &Person) {
    let created = person.ok_with("apply -f -", OBJECTS);
    contains(
        &created,
        &["configmap/settings created", "secret/key created"],
    );
    contains(
        &created,
        &[
            "service/clock created",
            "replicationcontroller/clock created",
        ],
    );
    let again = person.ok_with("apply -f -", OBJECTS);
    contains(
        &again,
        &[
            "configmap/settings unchanged",
            "replicationcontroller/clock unchanged",
        ],
    );
    let changed = person.ok_with(
        "apply -f -",
        &OBJECTS.replace("colour: green", "colour: blue"),
    );
    contains(
        &changed,
        &["configmap/settings configured", "service/clock unchanged"],
    );
}

fn shows_in_every_form(person: &Person) {
    let yaml = person.ok("get configmap settings -o yaml");
    contains(
        &yaml,
        &[
            "kind: ConfigMap",
            "colour: blue",
            "resourceVersion:",
            "uid:",
        ],
    );
    contains(
        &person.ok("get configmap settings -o json"),
        &["\"kind\": \"ConfigMap\""],
    );
    assert_eq!(
        person.ok("get cm settings -o jsonpath={.data.colour}"),
        "blue"
    );
    contains(
        &person.ok("get svc -o wide"),
        &["clock", "ClusterIP", "SELECTOR", "app=clock"],
    );
    let several = person.ok("get cm,secret,svc,rc -l app=clock");
    contains(&several, &["service/clock", "replicationcontroller/clock"]);
}

fn labels_creates_and_deletes(person: &Person) {
    contains(
        &person.ok("label configmap settings tier=front"),
        &["labeled"],
    );
    contains(
        &person.ok("get configmap -l tier=front -o name"),
        &["configmap/settings"],
    );
    contains(
        &person.ok("annotate configmap settings note=hello"),
        &["configmap/settings annotate"],
    );
    let create = "create configmap made --from-literal=a=b";
    contains(&person.ok(create), &["configmap/made created"]);
    contains(
        &person.fails(create),
        &["configmaps \"made\" already exists"],
    );
    contains(
        &person.ok("create namespace elsewhere"),
        &["namespace/elsewhere created"],
    );
    contains(
        &person.ok("get configmap -A"),
        &["NAMESPACE", "default", "settings"],
    );
    contains(
        &person.ok("delete configmap made"),
        &["configmap \"made\" deleted"],
    );
    let gone = person.ok("delete namespace elsewhere --wait=true --timeout=60s");
    contains(&gone, &["namespace \"elsewhere\" deleted"]);
    contains(&person.ok_with("delete -f -", OBJECTS), &["deleted"]);
}

#[test]
fn runs_pods() {
    with_every_kubectl(|person| {
        let watched = person.follow("get pods -w");
        person.ok_with("apply -f -", OBJECTS);
        let wait = "wait --for=condition=Ready pod -l app=clock --timeout=120s";
        until_blocking("a pod to wait for", LIMIT, || {
            Ok((!person.ok("get pods -l app=clock -o name").is_empty()).then_some(()))
        })
        .unwrap();
        contains(&person.ok(wait), &["condition met"]);
        watched.line_with("Running");
        describes(person);
        let log = person.ok("logs -l app=clock --tail=-1");
        contains(
            &log,
            &["SHOW_COLOUR=green", "SHOW_KEY=opensesame", "tick 0"],
        );
        person.follow("logs -f -l app=clock").line_with("tick 5");
        shows_use(person);
        contains(&person.ok("scale rc clock --replicas=3"), &["scaled"]);
        replicas(person, "3");
        contains(
            &person.ok("scale rc clock --current-replicas=3 --replicas=1"),
            &["scaled"],
        );
        replicas(person, "1");
        person.ok("delete rc clock");
        let none = || {
            Ok(person
                .ok("get pods -l app=clock -o name")
                .is_empty()
                .then_some(()))
        };
        until_blocking("no pods of a deleted controller", LIMIT, none).unwrap();
    });
}

/// `top` knows a pod after its second reading.
fn shows_use(person: &Person) {
    let pod = person.ok("get pods -l app=clock -o jsonpath={.items[0].metadata.name}");
    let measured = || {
        let args = ["top", "pods", "-l", "app=clock", "--containers"];
        let kubeconfig = person.node.kubeconfig();
        let output = person.kubectl.run(&kubeconfig, &args, None)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(told.contains(&pod).then_some(told))
    };
    let told = until_blocking("the pod is measured", LIMIT, measured).unwrap();
    contains(&told, &["POD", "CPU(cores)", "MEMORY(bytes)", "clock"]);
    let row = told.lines().find(|line| line.contains(&pod)).unwrap();
    let memory = row.split_whitespace().last().unwrap();
    let mebibytes: u32 = memory.strip_suffix("Mi").unwrap().parse().unwrap();
    // A guest has at least its first mebibyte, and this one nothing near its limit.
    assert!((1..64).contains(&mebibytes), "{told}");
    let nodes = person.ok("top nodes");
    contains(&nodes, &["NAME", "CPU(cores)", "MEMORY(bytes)", "Mi"]);
    contains(&person.ok("api-versions"), &["metrics.k8s.io/v1beta1"]);
}

fn describes(person: &Person) {
    let pods = person.ok("get pods -l app=clock -o wide");
    contains(
        &pods,
        &[
            "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "1/1", "Running",
        ],
    );
    let pod = person.ok("describe pod -l app=clock");
    contains(
        &pod,
        &[
            "Name:",
            "Status:",
            "Running",
            "ticker:1.0",
            "Events:",
            "Scheduled",
            "Started",
        ],
    );
    contains(
        &person.ok("describe rc clock"),
        &["Replicas:", "SuccessfulCreate"],
    );
    contains(
        &person.ok("describe service clock"),
        &["Selector:", "app=clock"],
    );
    contains(
        &person.ok("describe node"),
        &["Conditions:", "Ready", "Capacity:"],
    );
}

fn replicas(person: &Person, wanted: &str) {
    let ready = || {
        Ok((person.ok("get rc clock -o jsonpath={.status.readyReplicas}") == wanted).then_some(()))
    };
    until_blocking(&format!("{wanted} ready replicas"), LIMIT, ready).unwrap();
}
