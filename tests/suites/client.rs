//! What people do who have no kubectl: get, wait, logs.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{binary, component};
use osier_tests::deadline::until_blocking;
use osier_tests::node::Node;
use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const OBJECTS: &str = include_str!("manifests/client.yaml");

struct Person(Node);

impl Person {
    fn start() -> Self {
        let node = Node::start().unwrap();
        let program = component("tests/fixture-command").unwrap();
        node.import("program:1.0", &program).unwrap();
        node.apply_text(OBJECTS).unwrap();
        Self(node)
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(binary().unwrap());
        command.env("KUBECONFIG", self.0.kubeconfig());
        command.args(line.split_whitespace()).output().unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "osier {line}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "osier {line} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn objects_are_shown_in_every_form() {
    let person = Person::start();
    person.ok("wait pod/server --for condition=Ready --timeout 90");
    let table = person.ok("get pods -l app=server");
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(!table.contains("NODE"), "{table}");
    let wide = person.ok("get po -A -o wide");
    assert!(wide.starts_with("NAMESPACE   NAME"), "{wide}");
    assert!(wide.contains("NODE"), "{wide}");
    assert_eq!(person.ok("get pods -l app=server -o name"), "pod/server\n");
    assert_eq!(person.ok("get deployments.apps -o name"), "");

    let json: Value = serde_json::from_str(&person.ok("get pod server -o json")).unwrap();
    let yaml = person.ok("get pod/server -o yaml");
    let yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(json["metadata"]["uid"], yaml["metadata"]["uid"]);
    assert_eq!(json["spec"], yaml["spec"], "YAML says the same as JSON");
    let list: Value = serde_saphyr::from_str(&person.ok("get pods -o yaml")).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);

    let refused = person.fails("get things");
    assert!(refused.contains("no such resource; one of"), "{refused}");
    let refused = person.fails("get pod/server -l app=server");
    assert!(refused.contains("exclude each other"), "{refused}");
}

#[test]
fn waits_end_with_what_they_wait_for() {
    let person = Person::start();
    let ready = person.ok("wait pod server --for condition=Ready --timeout 90");
    assert_eq!(ready, "pod/server condition met\n");
    let late = person.fails("wait pod/server --for condition=Ready=False --timeout 1");
    assert!(
        late.contains("timed out waiting for the condition on pods/server"),
        "{late}"
    );
    let missing = person.fails("wait pod/nobody --for condition=Ready");
    assert!(missing.contains("pods \"nobody\" not found"), "{missing}");
    assert!(person.fails("wait pod --for delete").contains("pod/NAME"));
    let wrong = person.fails("wait pod/server --for ready");
    assert!(wrong.contains("write condition=NAME"), "{wrong}");

    let path = person.0.kubeconfig();
    let mut waits = Command::new(binary().unwrap())
        .env("KUBECONFIG", &path)
        .args(["wait", "pod/server", "--for", "delete", "--timeout", "90"])
        .spawn()
        .unwrap();
    let manifest = person.0.data_dir().join("server.yaml");
    let server = "{apiVersion: v1, kind: Pod, metadata: {name: server}}";
    std::fs::write(&manifest, server).unwrap();
    person.ok(&format!("delete -f {}", manifest.display()));
    assert!(waits.wait().unwrap().success());
    let gone = person.ok("wait pod/server --for delete");
    assert_eq!(gone, "pod/server condition met\n", "it is gone already");
}

#[test]
fn logs_are_followed_to_the_end_of_the_container() {
    let person = Person::start();
    // There is no log before there is a container.
    let followed = until_blocking("there is a log", LIMIT, || {
        let output = person.run("logs talker -c says --follow");
        let text = String::from_utf8(output.stdout)?;
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    });
    let followed = followed.unwrap();
    assert_eq!(followed, "/nowhere: NotFound\n");
    let last = person.ok("logs pod/talker --container says --tail 1 --timestamps");
    assert!(last.ends_with("Z /nowhere: NotFound\n"), "{last}");
    let which = person.fails("logs talker");
    assert!(
        which.contains("a container name must be specified"),
        "{which}"
    );
    let missing = person.fails("logs nobody");
    assert!(missing.contains("pods \"nobody\" not found"), "{missing}");
}
