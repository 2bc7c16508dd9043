//! What people register to judge and to change writes: policies in CEL, and webhooks.

use osier_apiserver::User;
use serde_json::{Value, json};

use crate::custom::{DEFINITIONS, TABS, definition, tab};
use crate::programs::judged;
use crate::server::{Answer, Server, request};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn rules(group: &str, plural: &str) -> Value {
    json!([{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [plural]}])
}

fn policy(spec: Value) -> Value {
    let mut spec = spec;
    if spec.get("matchConstraints").is_none() {
        spec["matchConstraints"] = json!({"resourceRules": rules("apps", "deployments")});
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "few"}, "spec": spec})
}

fn binding(spec: Value) -> Value {
    let mut spec = spec;
    spec["policyName"] = json!("few");
    if spec.get("validationActions").is_none() {
        spec["validationActions"] = json!(["Deny"]);
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "everywhere"}, "spec": spec})
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}}})
}

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

async fn bound(spec: Value, bound: Value) -> Server {
    let server = Server::new().await;
    server
        .post(
            &format!("{GROUP}/validatingadmissionpolicies"),
            policy(spec),
        )
        .await
        .good();
    server
        .post(
            &format!("{GROUP}/validatingadmissionpolicybindings"),
            binding(bound),
        )
        .await
        .good();
    server
}

fn says(answer: &Answer, code: u16, words: &str) {
    assert!(
        answer.code == code && answer.message().contains(words),
        "{} {}",
        answer.code,
        answer.text
    );
}

#[tokio::test]
async fn a_policy_holds_where_it_is_bound_and_refuses_in_upstreams_words() {
    let spec = json!({"validations": [{"expression": "object.spec.replicas <= 5"}]});
    let server = bound(spec, json!({})).await;
    server.post(DEPLOYMENTS, deployment("a", 5)).await.good();
    let refused = server.post(DEPLOYMENTS, deployment("b", 6)).await;
    says(
        &refused,
        422,
        "deployments.apps \"b\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'everywhere' denied request: failed expression: object.spec.replicas <= 5",
    );
    let status = refused.json();
    assert_eq!(
        (&status["reason"], &status["details"]["kind"]),
        (&json!("Invalid"), &json!("deployments"))
    );
    assert!(
        status["details"]["causes"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("ValidatingAdmissionPolicy 'few'")
    );
    let scaled = server
        .merge(&format!("{DEPLOYMENTS}/a"), json!({"spec":{"replicas":9}}))
        .await;
    says(&scaled, 422, "failed expression");
    server
        .delete(
            &format!("{GROUP}/validatingadmissionpolicybindings/everywhere"),
            json!({}),
        )
        .await;
    server.post(DEPLOYMENTS, deployment("b", 6)).await.good();
}

#[tokio::test]
async fn variables_messages_reasons_and_conditions() {
    let spec = json!({
        "matchConditions": [{"name": "not-admins", "expression": "!('system:masters' in request.userInfo.groups) || object.metadata.name != 'free'"}],
        "variables": [
            {"name": "most", "expression": "namespaceObject.metadata.name == 'default' ? 3 : 5"},
            {"name": "over", "expression": "object.spec.replicas - variables.most"}],
        "validations": [
            {"expression": "variables.over <= 0", "messageExpression": "'%d too many for %s'.format([variables.over, request.userInfo.username])", "reason": "Forbidden"},
            {"expression": "request.operation != 'UPDATE' || oldObject.spec.replicas <= object.spec.replicas", "message": "never fewer"}]});
    let server = bound(spec, json!({})).await;
    says(
        &server.post(DEPLOYMENTS, deployment("a", 6)).await,
        403,
        "denied request: 3 too many for admin",
    );
    server.post(DEPLOYMENTS, deployment("free", 6)).await.good();
    server.post(DEPLOYMENTS, deployment("a", 3)).await.good();
    let fewer = server
        .merge(&format!("{DEPLOYMENTS}/a"), json!({"spec":{"replicas":1}}))
        .await;
    says(&fewer, 422, "denied request: never fewer");
}

#[tokio::test]
async fn parameters_come_from_objects_and_may_be_missing() {
    let spec = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "object.spec.replicas <= int(params.data.most)"}]});
    let reference = json!({"paramRef": {"name": "bounds", "parameterNotFoundAction": "Deny"}});
    let server = bound(spec, reference).await;
    says(
        &server.post(DEPLOYMENTS, deployment("a", 1)).await,
        422,
        "no params found for policy binding with `Deny` parameterNotFoundAction",
    );
    server
        .post(MAPS, map("bounds", json!({"most": "2"})))
        .await
        .good();
    server.post(DEPLOYMENTS, deployment("a", 2)).await.good();
    says(
        &server.post(DEPLOYMENTS, deployment("b", 3)).await,
        422,
        "failed expression",
    );
}

#[tokio::test]
async fn what_goes_wrong_counts_by_the_failure_policy() {
    let spec = |failure: &str| json!({"failurePolicy": failure, "validations": [{"expression": "object.spec.nothing > 1"}]});
    let server = bound(spec("Fail"), json!({})).await;
    says(
        &server.post(DEPLOYMENTS, deployment("a", 1)).await,
        422,
        "expression 'object.spec.nothing > 1' resulted in error: no such key: nothing",
    );
    let server = bound(spec("Ignore"), json!({})).await;
    server.post(DEPLOYMENTS, deployment("a", 1)).await.good();
}

#[tokio::test]
async fn a_refusal_may_be_a_warning_and_a_note() {
    let spec = json!({"validations": [{"expression": "object.spec.replicas <= 5", "message": "many"}],
        "auditAnnotations": [{"key": "count", "valueExpression": "string(object.spec.replicas)"}]});
    let server = bound(spec, json!({"validationActions": ["Warn", "Audit"]})).await;
    let made = server.post(DEPLOYMENTS, deployment("a", 6)).await;
    made.good();
    let warned = made.warnings();
    assert!(
        warned.iter().any(|line| line.contains(
            "Validation failed for ValidatingAdmissionPolicy 'few' with binding 'everywhere': many"
        )),
        "{warned:?}"
    );
    let log = server.audited().await;
    let line = log
        .iter()
        .find(|line| {
            line["objectRef"]["name"].is_null() && line["objectRef"]["resource"] == "deployments"
        })
        .unwrap();
    assert_eq!(line["annotations"]["few/count"], "6");
    let failure: Value = serde_json::from_str(
        line["annotations"]["validation.policy.admission.k8s.io/validation_failure"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&failure[0]["message"], &failure[0]["policy"]),
        (&json!("many"), &json!("few"))
    );
}

#[tokio::test]
async fn policies_ask_who_may_do_what() {
    let spec = json!({"validations": [{"expression": "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"}]});
    let server = bound(spec, json!({})).await;
    server.post(DEPLOYMENTS, deployment("a", 1)).await.good();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "deployer"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}]});
    let given = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deployer"}, "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}]});
    server
        .post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
        .await
        .good();
    server
        .post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            given,
        )
        .await
        .good();
    let ann = User::new("ann", [""; 0]);
    let asked = request(
        "POST",
        DEPLOYMENTS,
        "application/json",
        &deployment("b", 1).to_string(),
    );
    says(&server.send_as(&ann, asked).await, 422, "failed expression");
}

#[tokio::test]
async fn bad_policies_are_refused_and_doubtful_ones_are_told() {
    let server = Server::new().await;
    let path = format!("{GROUP}/validatingadmissionpolicies");
    let refused = async |spec: Value| server.post(&path, policy(spec)).await.message();
    for (spec, words) in [
        (
            json!({"validations": [{"expression": "object.x +"}]}),
            "spec.validations[0].expression: Invalid value: \"object.x +\": compilation failed",
        ),
        (
            json!({"validations": [{"expression": "self.x"}]}),
            "undeclared reference to 'self'",
        ),
        (
            json!({"validations": [{"expression": "object.x.nothing()"}]}),
            "undeclared reference to 'nothing'",
        ),
        (
            json!({"validations": [{"expression": "1 + 1"}]}),
            "must evaluate to bool",
        ),
        (
            json!({"validations": [{"expression": "variables.a"}]}),
            "undefined field 'a'",
        ),
        (json!({"validations": []}), "must contain at least one item"),
        (
            json!({"validations": [{"expression": "true", "reason": "Because"}]}),
            "spec.validations[0].reason: Unsupported value",
        ),
        (
            json!({"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": [{"apiGroups": ["*", "a"], "apiVersions": ["v1"], "operations": ["READ"], "resources": ["x"]}]}}),
            "if '*' is present, must not specify other apiGroups",
        ),
    ] {
        let told = refused(spec).await;
        assert!(told.contains(words), "{told}");
    }
    let doubtful = json!({"validations": [{"expression": "object.spec.replica > 1"}, {"expression": "object.spec.replicas > 1"}]});
    server.post(&path, policy(doubtful)).await.good();
    let stored = server.get(&format!("{path}/few")).await.good();
    assert_eq!(stored["status"]["observedGeneration"], 1);
    let told = stored["status"]["typeChecking"]["expressionWarnings"]
        .as_array()
        .unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["fieldRef"], "spec.validations[0].expression");
    let words = told[0]["warning"].as_str().unwrap();
    assert!(
        words.starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:")
            && words.contains("undefined field 'replica'"),
        "{words}"
    );
    let both = binding(json!({"validationActions": ["Deny", "Warn"]}));
    let told = server
        .post(&format!("{GROUP}/validatingadmissionpolicybindings"), both)
        .await;
    assert!(
        told.message()
            .contains("must not contain both Deny and Warn"),
        "{}",
        told.text
    );
}

fn webhooks(kind: &str, webhook: Value) -> Value {
    let mut one = json!({"name": "judge.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://judge.example.com:8443/judge"}, "rules": rules("", "configmaps")});
    for (field, value) in webhook.as_object().unwrap() {
        one[field] = value.clone();
    }
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "judge"}, "webhooks": [one]})
}

async fn hooked(kind: &str, webhook: Value) -> Server {
    let server = Server::new().await;
    let plural = format!("{}s", kind.to_lowercase());
    server
        .post(&format!("{GROUP}/{plural}"), webhooks(kind, webhook))
        .await
        .good();
    server
}

#[tokio::test]
async fn a_webhook_is_asked_what_it_wants_to_see_and_may_refuse() {
    let server = hooked(
        "ValidatingWebhookConfiguration",
        json!({"objectSelector": {"matchLabels": {"judged": "yes"}}, "timeoutSeconds": 3}),
    )
    .await;
    server.programs.put("/judge", |question| {
        let good = question["request"]["object"]["data"]["a"] == "good";
        Ok(judged(question, json!({"allowed": good, "warnings": ["looked at"], "status": {"message": "not good", "code": 418}, "auditAnnotations": {"seen": "yes"}})))
    });
    server
        .post(MAPS, map("free", json!({"a": "bad"})))
        .await
        .good();
    assert!(server.programs.asked().is_empty());
    let judged = |name: &str, value: &str| {
        let mut map = map(name, json!({"a": value}));
        map["metadata"]["labels"] = json!({"judged": "yes"});
        map
    };
    let made = server
        .post(&format!("{MAPS}?dryRun=All"), judged("a", "good"))
        .await;
    made.good();
    assert!(made.warnings()[0].contains("looked at"));
    let (call, question) = server.programs.asked().remove(0);
    assert_eq!(
        (
            call.addresses[0].as_str(),
            call.server_name.as_str(),
            call.timeout.as_secs()
        ),
        ("judge.example.com:8443", "judge.example.com", 3)
    );
    let asked = &question["request"];
    assert_eq!(
        (&asked["operation"], &asked["dryRun"], &asked["name"]),
        (&json!("CREATE"), &json!(true), &json!("a"))
    );
    assert_eq!(
        (
            &asked["resource"]["resource"],
            &asked["userInfo"]["username"],
            &asked["oldObject"]
        ),
        (&json!("configmaps"), &json!("admin"), &Value::Null)
    );
    let refused = server.post(MAPS, judged("a", "bad")).await;
    says(
        &refused,
        418,
        "admission webhook \"judge.example.com\" denied the request: not good",
    );
    let log = server.audited().await;
    assert!(
        log.iter()
            .any(|line| line["annotations"]["judge.example.com/seen"] == "yes")
    );
}

#[tokio::test]
async fn a_webhook_that_fails_refuses_or_is_ignored() {
    let server = hooked("ValidatingWebhookConfiguration", json!({})).await;
    let refused = server.post(MAPS, map("a", json!({}))).await;
    says(
        &refused,
        500,
        "Internal error occurred: failed calling webhook \"judge.example.com\": failed to call webhook: Post \"https://judge.example.com:8443/judge\": connection refused",
    );
    server.post(DEPLOYMENTS, deployment("a", 1)).await.good();
    let own = format!("{GROUP}/validatingwebhookconfigurations/judge");
    assert_eq!(
        server.delete(&own, json!({})).await.code,
        200,
        "nobody is locked out"
    );
    server.post(MAPS, map("a", json!({}))).await.good();
    let server = hooked(
        "ValidatingWebhookConfiguration",
        json!({"failurePolicy": "Ignore"}),
    )
    .await;
    server.post(MAPS, map("a", json!({}))).await.good();
}

#[tokio::test]
async fn a_webhook_changes_objects_before_they_are_judged() {
    use base64::Engine as _;
    let server = hooked("MutatingWebhookConfiguration", json!({"matchConditions": [{"name": "some", "expression": "object.metadata.name != 'free'"}]})).await;
    server.programs.put("/judge", |question| {
        let patch = json!([{"op": "add", "path": "/metadata/labels", "value": {"added": "yes"}}])
            .to_string();
        let patch = base64::engine::general_purpose::STANDARD.encode(patch);
        Ok(judged(
            question,
            json!({"allowed": true, "patchType": "JSONPatch", "patch": patch}),
        ))
    });
    let made = server.post(MAPS, map("a", json!({"a": "b"}))).await.good();
    assert_eq!(made["metadata"]["labels"]["added"], "yes");
    let free = server.post(MAPS, map("free", json!({}))).await.good();
    assert!(free["metadata"]["labels"].is_null());
    server.programs.put("/judge", |question| {
        let patch = base64::engine::general_purpose::STANDARD
            .encode("[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"a b\":\"\"}}]");
        Ok(judged(
            question,
            json!({"allowed": true, "patchType": "JSONPatch", "patch": patch}),
        ))
    });
    let refused = server.post(MAPS, map("b", json!({}))).await;
    says(&refused, 422, "metadata.labels");
}

#[tokio::test]
async fn custom_kinds_are_judged_too() {
    let spec = json!({"matchConstraints": {"resourceRules": rules("stable.example.com", "crontabs")},
        "validations": [{"expression": "object.spec.cronSpec != '* * *'"}]});
    let server = bound(spec, json!({})).await;
    server.post(DEFINITIONS, definition()).await.good();
    says(&server.post(TABS, tab("a")).await, 422, "failed expression");
}
