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
    assert!(
        refused.contains("the server doesn't have a resource type \"things\""),
        "{refused}"
    );
    assert!(refused.len() < 200, "{refused}");
    let refused = person.fails("get deploymnets");
    assert!(refused.contains("did you mean deployments?"), "{refused}");
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

#[test]
fn objects_are_described_and_kinds_explained() {
    let person = Person::start();
    person.ok("wait pod/server --for condition=Ready --timeout 90");
    let told = person.ok("describe pod server");
    for line in [
        "Name:         server\n",
        "Namespace:    default\n",
        "Kind:         Pod\n",
        "  Phase:",
        "Events:\n",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("Started"), "{told}");
    assert!(person.fails("describe pod none").contains("not found"));

    let told = person.ok("explain deployment.spec.strategy");
    for line in [
        "GROUP:      apps\n",
        "KIND:       Deployment\n",
        "FIELD: strategy <DeploymentStrategy>",
        "  rollingUpdate\t<",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(
        person
            .ok("explain pod.spec.containers")
            .contains("  image\t<string>")
    );
    let refused = person.fails("explain pod.spec.colour");
    assert!(
        refused.contains("field \"colour\" does not exist in pod.spec"),
        "{refused}"
    );
}

const WIDGETS: &str = r#"
apiVersion: example.com/v1
kind: Widget
metadata: {name: first}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
"#;

#[test]
fn a_definition_and_its_objects_are_applied_out_of_one_file() {
    let person = Person(Node::start().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("widgets.yaml");
    std::fs::write(&file, WIDGETS).unwrap();
    let line = format!("apply -f {}", file.display());
    let told = person.ok(&line);
    let expected = "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\nwidget.example.com/first created\n";
    assert_eq!(told, expected);
    let again = person.ok(&line);
    assert_eq!(again.matches("unchanged").count(), 2, "{again}");
    assert_eq!(
        person.ok("get widgets -o name"),
        "widget.example.com/first\n"
    );

    // What nobody defines is told before anything is changed.
    let stray = WIDGETS.replace("first", "second")
        + "---\napiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: a}\n";
    std::fs::write(&file, stray).unwrap();
    let refused = person.fails(&line);
    assert!(
        refused.contains("document 3") && refused.contains("Gadget"),
        "{refused}"
    );
    assert_eq!(
        person.ok("get widgets -o name"),
        "widget.example.com/first\n"
    );
}

const KEPT: &str = r#"
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all}
spec:
  action: DENY
  rules:
  - from: [{source: {notNamespaces: [default]}}]
    to: [{operation: {methods: [POST], paths: ["/admin*"]}}]
    when: [{key: "request.headers[x]", values: ["1"]}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND, listener: {portNumber: 80}}
    patch: {operation: INSERT_BEFORE, value: {name: lua, typed_config: {"@type": a}}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: traces}
spec: {tracing: [{randomSamplingPercentage: 10.5}], accessLogging: [{filter: {expression: "response.code >= 400"}}]}
"#;

#[test]
fn what_is_kept_and_not_enforced_says_so() {
    let node = Node::start().unwrap();
    let kubectl = osier_tests::kubectl::installed();
    let person = Person(node);
    person.0.apply_text(KEPT).unwrap();
    let list: Value = serde_saphyr::from_str(&person.ok("get envoyfilters -o yaml")).unwrap();
    let kept = &list["items"][0];
    assert_eq!(kept["spec"]["configPatches"][0]["applyTo"], "HTTP_FILTER");
    let condition = &kept["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&"Reconciled".into(), &"False".into())
    );
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("nothing acts on it"),
        "{condition}"
    );
    for (kind, name) in [
        ("ap", "deny-all"),
        ("envoyfilters", "lua"),
        ("telemetry", "traces"),
    ] {
        let named = person.ok(&format!("get {kind} -o name"));
        assert!(named.trim().ends_with(&format!("/{name}")), "{named}");
    }
    let table = person.ok("get authorizationpolicies");
    assert!(
        table.starts_with("NAME       ACTION   AGE\ndeny-all   DENY"),
        "{table}"
    );
    if let Some(kubectl) = kubectl {
        let output = Command::new(&kubectl.path)
            .arg("--kubeconfig")
            .arg(person.0.kubeconfig())
            .args([
                "patch",
                "envoyfilter",
                "lua",
                "--type=merge",
                "-p",
                "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
            ])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && told.contains("nothing acts on it"),
            "{told}"
        );
    }
}
