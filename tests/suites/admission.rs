//! Rules that people give the API: policies in CEL with kubectl, and programs outside that judge, change and convert over TLS.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_identity::{Authority, Subject};
use osier_tests::Node;
use osier_tests::kubectl::{Kubectl, all};
use osier_tests::server::Server;
use serde_json::{Value, json};

/// A person with a kubectl, of a node.
struct Person<'n> {
    kubectl: &'n Kubectl,
    node: &'n Node,
}

impl Person<'_> {
    fn ok(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let said = self.kubectl.ok(&self.node.kubeconfig(), &args, None);
        said.unwrap()
    }

    fn fails(&self, line: &str) -> String {
        let args: Vec<&str> = line.split_whitespace().collect();
        let said = self.kubectl.fails(&self.node.kubeconfig(), &args, None);
        said.unwrap()
    }

    fn apply(&self, object: &Value) -> String {
        let (args, text) = (["apply", "-f", "-"], object.to_string());
        let said = self.kubectl.ok(&self.node.kubeconfig(), &args, Some(&text));
        said.unwrap()
    }

    fn refused(&self, object: &Value) -> String {
        let (args, text) = (["apply", "-f", "-"], object.to_string());
        let said = self
            .kubectl
            .fails(&self.node.kubeconfig(), &args, Some(&text));
        said.unwrap()
    }
}

fn policy() -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "few.example.com"}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]},
        "validations": [{"expression": "object.spec.replicas <= 5"}]}})
}

fn binding() -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "few-everywhere"},
        "spec": {"policyName": "few.example.com", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_of_every_age_binds_policies_and_is_told_what_they_refuse() {
    let node = Node::start().unwrap();
    for kubectl in &all().0 {
        let person = Person {
            kubectl,
            node: &node,
        };
        person.apply(&policy());
        person.apply(&binding());
        let told = person.fails("create deployment many --image=ticker:1.0 --replicas=6");
        assert!(
            told.contains("ValidatingAdmissionPolicy 'few.example.com' with binding 'few-everywhere' denied request: failed expression: object.spec.replicas <= 5"),
            "{told}"
        );
        person.ok("create namespace elsewhere");
        person.ok("create deployment many --image=ticker:1.0 --replicas=6 -n elsewhere");
        let shown = person.ok("get validatingadmissionpolicies");
        assert!(
            shown.contains("VALIDATIONS") && shown.contains("few.example.com"),
            "{shown}"
        );
        let shown = person.ok("get validatingadmissionpolicybindings");
        assert!(
            shown.contains("POLICYNAME") && shown.contains("few.example.com"),
            "{shown}"
        );
        person.ok("explain validatingadmissionpolicies.spec.validations");
        person.ok("delete namespace elsewhere");
        person.ok("delete validatingadmissionpolicybinding few-everywhere");
        person.ok("delete validatingadmissionpolicy few.example.com");
    }
}

/// What answers a program gives to reviews.
fn answers(path: &str, body: &[u8]) -> Vec<u8> {
    let review: Value = serde_json::from_slice(body).unwrap();
    let request = &review["request"];
    let answer = match path {
        "/convert" => {
            let renamed = |object: &Value| {
                let mut object = object.clone();
                object["apiVersion"] = request["desiredAPIVersion"].clone();
                let spec = object["spec"].as_object_mut().unwrap();
                for (from, to) in [("size", "amount"), ("amount", "size")] {
                    if let Some(value) = spec.remove(from) {
                        spec.insert(to.to_owned(), value);
                        break;
                    }
                }
                object
            };
            let made: Vec<Value> = request["objects"]
                .as_array()
                .unwrap()
                .iter()
                .map(renamed)
                .collect();
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
                "response": {"uid": request["uid"], "convertedObjects": made, "result": {"status": "Success"}}})
        }
        "/change" => {
            let patch = json!([{"op": "add", "path": "/data/changed", "value": "yes"}]).to_string();
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": request["uid"], "allowed": true,
                "patchType": "JSONPatch", "patch": STANDARD.encode(patch)}})
        }
        _ => {
            let allowed = request["object"]["data"]["secret"].is_null();
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": request["uid"], "allowed": allowed,
                "warnings": ["looked at"], "status": {"message": "no secrets in config maps"}}})
        }
    };
    answer.to_string().into_bytes()
}

/// A program of HTTPS with an authority of its own.
struct Outside {
    server: Server,
    bundle: String,
    _folder: tempfile::TempDir,
}

impl Outside {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let subject = Subject {
            common_name: "outside".to_owned(),
            names: ["127.0.0.1", "judge.default.svc"]
                .map(str::to_owned)
                .to_vec(),
            ..Subject::default()
        };
        let credential = authority.issue(&subject).unwrap();
        let pem = authority.certificate_pem();
        let server = Server::program((pem, &credential), answers).await.unwrap();
        Self {
            server,
            bundle: STANDARD.encode(pem),
            _folder: folder,
        }
    }

    fn at(&self, path: &str) -> Value {
        json!({"url": format!("https://127.0.0.1:{}{path}", self.server.port), "caBundle": self.bundle})
    }
}

fn hook(kind: &str, client: &Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": kind.to_lowercase()}, "webhooks": [{
        "name": "judge.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": client, "timeoutSeconds": 5,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_outside_change_and_judge_what_is_applied() {
    let (node, outside) = (Node::start().unwrap(), Outside::start().await);
    let found = all().0;
    let person = Person {
        kubectl: &found[0],
        node: &node,
    };
    let map = |name: &str, key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: "a"}});
    person.apply(&hook(
        "MutatingWebhookConfiguration",
        &outside.at("/change"),
    ));
    person.apply(&hook(
        "ValidatingWebhookConfiguration",
        &outside.at("/judge"),
    ));
    person.apply(&map("good", "plain"));
    assert_eq!(
        person.ok("get configmap good -o jsonpath={.data.changed}"),
        "yes"
    );
    let told = person.refused(&map("bad", "secret"));
    assert!(
        told.contains(
            "admission webhook \"judge.example.com\" denied the request: no secrets in config maps"
        ),
        "{told}"
    );
    // Behind a service that names where it is.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "judge"}, "spec": {"ports": [{"port": 443, "targetPort": outside.server.port}]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "judge-1", "labels": {"kubernetes.io/service-name": "judge"}},
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}], "ports": [{"port": outside.server.port}]});
    person.apply(&service);
    person.apply(&slice);
    let behind = json!({"service": {"name": "judge", "namespace": "default", "path": "/judge"}, "caBundle": outside.bundle});
    person.apply(&hook("ValidatingWebhookConfiguration", &behind));
    let told = person.refused(&map("bad", "secret"));
    assert!(
        told.contains("denied the request: no secrets in config maps"),
        "{told}"
    );
    // Whose certificate nobody vouches for, and who is not there.
    let other = Authority::open(&node.data_dir().join("other")).unwrap();
    let mut unknown = outside.at("/judge");
    unknown["caBundle"] = json!(STANDARD.encode(other.certificate_pem()));
    person.apply(&hook("ValidatingWebhookConfiguration", &unknown));
    let told = person.refused(&map("more", "plain"));
    assert!(
        told.contains("failed calling webhook \"judge.example.com\"")
            && told.contains("certificate"),
        "{told}"
    );
    person.ok("delete validatingwebhookconfiguration validatingwebhookconfiguration");
    person.apply(&map("more", "plain"));
}

fn version(name: &str, storage: bool, field: &str) -> Value {
    json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "required": [field], "properties": {field: {"type": "integer"}}}}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_outside_converts_between_versions() {
    let (node, outside) = (Node::start().unwrap(), Outside::start().await);
    let found = all().0;
    let person = Person {
        kubectl: &found[0],
        node: &node,
    };
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boxes.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "boxes", "singular": "box", "kind": "Box"},
        "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": outside.at("/convert")}},
        "versions": [version("v1", true, "size"), version("v2", false, "amount")]}});
    person.apply(&definition);
    person.ok("wait --for=condition=Established --timeout=60s crd/boxes.example.com");
    person.apply(&json!({"apiVersion": "example.com/v1", "kind": "Box", "metadata": {"name": "a"}, "spec": {"size": 3}}));
    person.apply(&json!({"apiVersion": "example.com/v2", "kind": "Box", "metadata": {"name": "b"}, "spec": {"amount": 4}}));
    assert_eq!(
        person.ok("get boxes.v2.example.com -o jsonpath={.items[*].spec.amount}"),
        "3 4"
    );
    assert_eq!(
        person.ok("get boxes.v1.example.com -o jsonpath={.items[*].spec.size}"),
        "3 4"
    );
    person.ok("patch boxes.v2.example.com a --type=merge -p {\"spec\":{\"amount\":7}}");
    assert_eq!(
        person.ok("get boxes.v1.example.com a -o jsonpath={.spec.size}"),
        "7"
    );
    outside.server.answer_with(500);
    let told = person.fails("get boxes.v2.example.com a");
    assert!(
        told.contains("conversion webhook for example.com/v1, Kind=Box failed"),
        "{told}"
    );
    person.ok("get boxes.v1.example.com a");
    person.ok("get configmaps");
    person.ok("delete crd boxes.example.com --timeout=60s");
}
