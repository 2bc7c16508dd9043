//! A kind that a person defines with kubectl, of every age that can be had here, and then uses like any other.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::Node;
use osier_tests::artifacts::binary;
use osier_tests::deadline::until_blocking;
use osier_tests::kubectl::{Kubectl, all};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "crontab/my-new-cron-object";

fn manifest(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("suites/manifests");
    folder.join(name).display().to_string()
}

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

    fn fails(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.kubectl
            .fails(&self.node.kubeconfig(), &args, None)
            .unwrap()
    }

    fn apply(&self, text: &str) -> String {
        let args = ["apply", "-f", "-"];
        self.kubectl
            .ok(&self.node.kubeconfig(), &args, Some(text))
            .unwrap()
    }

    fn refused(&self, text: &str) -> String {
        let args = ["apply", "-f", "-"];
        self.kubectl
            .fails(&self.node.kubeconfig(), &args, Some(text))
            .unwrap()
    }

    /// Defines the kind, and waits as scripts do.
    fn define(&self) {
        self.ok(&format!("apply -f {}", manifest("crontabs.yaml")));
        self.ok("wait --for=condition=Established --timeout=60s crd/crontabs.stable.example.com");
    }

    fn create(&self) {
        let told = self.ok(&format!("apply -f {}", manifest("my-crontab.yaml")));
        contains(
            &told,
            &["crontab.stable.example.com/my-new-cron-object created"],
        );
    }

    fn gone(&self, line: &str) {
        let args: Vec<&str> = line.split_whitespace().collect();
        let asked = || {
            let output = self.kubectl.run(&self.node.kubeconfig(), &args, None)?;
            let told = String::from_utf8_lossy(&output.stderr);
            Ok(told.contains("NotFound").then_some(()))
        };
        until_blocking(line, LIMIT, asked).unwrap();
    }

    /// What our own program prints.
    fn osier(&self, line: &str) -> String {
        let output = Command::new(binary().unwrap())
            .env("KUBECONFIG", self.node.kubeconfig())
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "osier {line}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
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
        let node = Node::start().unwrap();
        scenario(&Person { kubectl, node });
    }
}

#[test]
fn a_kind_is_defined_explained_and_used() {
    with_every_kubectl(|person| {
        person.define();
        contains(
            &person.ok("api-resources --api-group=stable.example.com"),
            &["crontabs", "ct", "CronTab", "true"],
        );
        contains(
            &person.ok("explain crontab"),
            &["CronTab", "CronTab runs an image at times."],
        );
        contains(
            &person.ok("explain ct.spec.cronSpec"),
            &["cronSpec", "When it runs."],
        );
        person.create();
        let table = person.ok("get ct");
        contains(
            &table,
            &[
                "NAME",
                "SPEC",
                "REPLICAS",
                "AGE",
                "my-new-cron-object",
                "* * * * */5",
            ],
        );
        assert!(!table.contains("IMAGE"), "{table}");
        contains(
            &person.ok("get ct -o wide"),
            &["IMAGE", "my-awesome-cron-image"],
        );
        contains(
            &person.ok("get all -l app=cron"),
            &["crontab.stable.example.com/my-new-cron-object"],
        );
        let yaml = person.ok(&format!("get {NAME} -o yaml"));
        contains(&yaml, &["kind: CronTab", "replicas: 1", "- two"]);
        contains(
            &person.ok(&format!("describe {NAME}")),
            &["Cron Spec:", "* * * * */5"],
        );
        for file in ["crontabs.yaml", "my-crontab.yaml"] {
            let file = manifest(file);
            let again = person.ok(&format!("apply -f {file}"));
            contains(&again, &["unchanged"]);
            assert_eq!(person.ok(&format!("diff -f {file}")), "");
        }
    });
}

#[test]
fn objects_are_checked_patched_scaled_and_deleted() {
    with_every_kubectl(|person| {
        person.define();
        person.create();
        let bad = std::fs::read_to_string(manifest("my-crontab.yaml")).unwrap();
        let refused = person.refused(&bad.replace("* * * * */5", "soon"));
        contains(&refused, &["is invalid", "spec.cronSpec", "should match"]);
        let unknown = person.refused(&bad.replace("  image:", "  imagee:"));
        contains(&unknown, &["unknown field", "imagee"]);
        contains(
            &person.apply(&bad.replace("cron-image", "other-image")),
            &["configured"],
        );
        person.ok(&format!(
            "patch {NAME} --type=merge -p {{\"spec\":{{\"port\":\"http\"}}}}"
        ));
        person.ok(&format!("patch {NAME} --type=json -p [{{\"op\":\"replace\",\"path\":\"/spec/port\",\"value\":80}}]"));
        let strategic = person.fails(&format!(
            "patch {NAME} --type=strategic -p {{\"spec\":{{}}}}"
        ));
        contains(&strategic.to_lowercase(), &["type"]);
        let field = |path: &str| person.ok(&format!("get {NAME} -o jsonpath={{{path}}}"));
        assert_eq!(field(".spec.port"), "80");
        person.ok(&format!("scale --replicas=3 {NAME}"));
        assert_eq!(field(".spec.replicas"), "3");
        contains(
            &person.fails(&format!("scale --replicas=30 {NAME}")),
            &["less than or equal to 10"],
        );
        person.ok(&format!("label {NAME} tier=one"));
        person.ok(&format!(
            "apply --server-side --force-conflicts -f {}",
            manifest("my-crontab.yaml")
        ));
        contains(
            &person.osier("get ct"),
            &["NAME", "SPEC", "my-new-cron-object   * * * * */5   3"],
        );
        person.ok(&format!("delete {NAME}"));
        assert_eq!(person.ok("get ct -o name"), "");
        person.gone(&format!("get {NAME}"));
    });
}

#[test]
fn a_definition_takes_its_objects_with_it() {
    with_every_kubectl(|person| {
        person.define();
        person.create();
        person.ok("create namespace other");
        person.ok(&format!(
            "apply -n other -f {}",
            manifest("my-crontab.yaml")
        ));
        // A namespace takes its objects with it, and an owner those that it owns, of whatever kind.
        person.ok("delete namespace other --timeout=60s");
        let uid = person.ok(&format!("get {NAME} -o jsonpath={{.metadata.uid}}"));
        let owner = serde_json::json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab",
            "name": "my-new-cron-object", "uid": uid});
        let owned = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "owned", "ownerReferences": [owner]}});
        person.apply(&owned.to_string());
        person.ok("delete crd crontabs.stable.example.com --timeout=60s");
        person.gone("get configmap owned");
        person.gone("get crd crontabs.stable.example.com");
        let none = person.ok("api-resources --api-group=stable.example.com -o name");
        assert_eq!(none, "");
        // What comes again begins anew.
        person.define();
        assert_eq!(person.ok("get crontabs -o name"), "");
    });
}

#[test]
fn kinds_and_objects_survive_kill_nine() {
    let kubectl = osier_tests::kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    let mut person = Person { kubectl, node };
    person.define();
    person.create();
    person.node.kill().unwrap();
    person.node.restart().unwrap();
    contains(&person.ok("get ct"), &["my-new-cron-object", "* * * * */5"]);
}

#[test]
fn rules_in_cel_are_told_in_the_words_of_their_author() {
    let kubectl = osier_tests::kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    let person = Person { kubectl, node };
    let rule = "            spec:\n              x-kubernetes-validations:\n              - {rule: \"self.replicas < 5 || has(self.image)\", message: many replicas need an image}\n";
    let text = include_str!("manifests/crontabs.yaml").replace("            spec:\n", rule);
    person.apply(&text);
    person.ok("wait --for=condition=Established --timeout=60s crd/crontabs.stable.example.com");
    person.create();
    person.ok(&format!("scale --replicas=7 {NAME}"));
    let patch = "[{\"op\":\"remove\",\"path\":\"/spec/image\"}]";
    let refused = person.fails(&format!("patch {NAME} --type=json -p {patch}"));
    contains(&refused, &["many replicas need an image"]);
    let wrong = text.replace("has(self.image)", "has(self.image");
    contains(&person.refused(&wrong), &["compilation failed"]);
}
