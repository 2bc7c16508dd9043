//! Kinds that users define, from the definition to the deletion.

use serde_json::{Value, json};

use osier_apiserver::User;

use crate::server::{Answer, Server, request};

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/crontabs.stable.example.com";
pub(crate) const TABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const APPLY: &str = "application/apply-patch+yaml";

fn version(name: &str, storage: bool) -> Value {
    json!({
        "name": name, "served": true, "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "required": ["cronSpec"], "properties": {
                "cronSpec": {"type": "string", "pattern": "^[0-9* ]+$", "description": "When it runs."},
                "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
                "colour": {"type": "string"},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "port": {"x-kubernetes-int-or-string": true}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
        }}},
        "selectableFields": [{"jsonPath": ".spec.colour"}],
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": [
            {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1}],
    })
}

pub(crate) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"], "categories": ["all"]},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    })
}

pub(crate) fn tab(name: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
        "spec": {"cronSpec": "* * *"}})
}

async fn defined() -> Server {
    let server = Server::new().await;
    server.post(DEFINITIONS, definition()).await.good();
    server
}

fn condition(definition: &Value, name: &str) -> Value {
    let all = definition["status"]["conditions"].as_array().unwrap();
    let found = all.iter().find(|one| one["type"] == name);
    found.map_or(Value::Null, |one| one["status"].clone())
}

async fn patch(server: &Server, path: &str, media: &str, value: Value) -> Answer {
    server
        .send(request("PATCH", path, media, &value.to_string()))
        .await
}

#[tokio::test]
async fn a_definition_is_completed_established_and_told_of() {
    let server = Server::new().await;
    let before = server.accepting("/apis", AGGREGATED).await;
    assert_eq!(server.get(TABS).await.code, 404);
    server.post(DEFINITIONS, definition()).await.good();
    let stored = server.get(DEFINITION).await.good();
    assert_eq!(stored["spec"]["names"]["singular"], "crontab");
    assert_eq!(stored["spec"]["names"]["listKind"], "CronTabList");
    assert_eq!(stored["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(stored["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(stored["status"]["acceptedNames"]["plural"], "crontabs");
    for name in ["NamesAccepted", "Established"] {
        assert_eq!(condition(&stored, name), "True", "{stored}");
    }
    let after = server.accepting("/apis", AGGREGATED).await;
    assert_ne!(before.headers["etag"], after.headers["etag"]);
    let group = server.get("/apis/stable.example.com").await.good();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let listed = server.get("/apis/stable.example.com/v1").await.good();
    let names: Vec<&Value> = listed["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["crontabs", "crontabs/scale", "crontabs/status"]);
    assert_eq!(listed["resources"][0]["shortNames"], json!(["ct"]));
    let index = server.get("/openapi/v3").await.good();
    let url = index["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let document = server.get(url).await.good();
    let schema = &document["components"]["schemas"]["com.example.stable.v1.CronTab"];
    assert_eq!(
        schema["properties"]["spec"]["properties"]["cronSpec"]["description"],
        "When it runs."
    );
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "CronTab"
    );
    assert!(document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"]["patch"].is_object());
}

#[tokio::test]
async fn objects_are_pruned_completed_and_checked() {
    let server = defined().await;
    let mut object = tab("a");
    object["spec"]["wrong"] = json!(1);
    object["spec"]["free"] = json!({"any": {"thing": [1]}});
    object["status"] = json!({"replicas": 5});
    let strict = server
        .post(&format!("{TABS}?fieldValidation=Strict"), object.clone())
        .await;
    assert_eq!(strict.code, 400);
    assert!(
        strict
            .message()
            .ends_with("strict decoding error: unknown field \"spec.wrong\""),
        "{}",
        strict.message()
    );
    let created = server.post(TABS, object).await;
    assert_eq!(
        created.warnings(),
        ["299 - \"unknown field \\\"spec.wrong\\\"\""]
    );
    let created = created.good();
    assert_eq!(
        created["spec"],
        json!({"cronSpec": "* * *", "replicas": 1, "free": {"any": {"thing": [1]}}})
    );
    assert_eq!(created["metadata"]["generation"], 1);
    assert!(
        created.get("status").is_none(),
        "the status is a subresource"
    );

    let mut bad = tab("b");
    bad["spec"] = json!({"cronSpec": "x", "replicas": "three"});
    let refused = server.post(TABS, bad).await;
    assert_eq!(refused.code, 422);
    let message = refused.message();
    assert!(
        message.starts_with("CronTab.stable.example.com \"b\" is invalid: "),
        "{message}"
    );
    assert!(
        message.contains(
            "spec.cronSpec: Invalid value: \"x\": spec.cronSpec in body should match '^[0-9* ]+$'"
        ),
        "{message}"
    );
    assert!(
        message.contains("spec.replicas in body must be of type integer: \"string\""),
        "{message}"
    );
    let mut none = tab("c");
    none["spec"] = json!({});
    assert!(
        server
            .post(TABS, none)
            .await
            .message()
            .contains("spec.cronSpec: Required value")
    );
    let mut meta = tab("d");
    meta["metadata"]["labels"] = json!({"a": 1});
    assert_eq!(
        server.post(TABS, meta).await.code,
        400,
        "metadata is that of every object"
    );
}

#[tokio::test]
async fn versions_patches_and_parts() {
    let server = defined().await;
    server.post(TABS, tab("a")).await.good();
    let path = format!("{TABS}/a");
    let other = server.get(&path.replace("/v1/", "/v1beta1/")).await.good();
    assert_eq!(other["apiVersion"], "stable.example.com/v1beta1");
    let merged = server
        .merge(
            &path,
            json!({"spec": {"replicas": 2}, "status": {"replicas": 9}}),
        )
        .await
        .good();
    assert_eq!(
        (
            &merged["spec"]["replicas"],
            &merged["metadata"]["generation"]
        ),
        (&json!(2), &json!(2))
    );
    assert!(merged.get("status").is_none());
    let strategic = patch(
        &server,
        &path,
        "application/strategic-merge-patch+json",
        json!({}),
    )
    .await;
    assert_eq!(strategic.code, 415);
    let json_patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 11}]);
    let refused = patch(&server, &path, "application/json-patch+json", json_patch).await;
    assert!(
        refused
            .message()
            .contains("should be less than or equal to 10"),
        "{}",
        refused.text
    );

    let status = server
        .merge(
            &format!("{path}/status"),
            json!({"status": {"replicas": 1, "selector": "a=b"}}),
        )
        .await
        .good();
    assert_eq!(
        (
            &status["status"]["replicas"],
            &status["metadata"]["generation"]
        ),
        (&json!(1), &json!(2))
    );
    let scale = server.get(&format!("{path}/scale")).await.good();
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]),
        (&json!(2), &json!({"replicas": 1, "selector": "a=b"}))
    );
    server
        .merge(&format!("{path}/scale"), json!({"spec": {"replicas": 3}}))
        .await
        .good();
    let read = server.get(&path).await.good();
    assert_eq!(
        (&read["spec"]["replicas"], &read["metadata"]["generation"]),
        (&json!(3), &json!(3))
    );

    let table = server.accepting(TABS, TABLE).await.json();
    assert_eq!(table["rows"][0]["cells"], json!(["a", "* * *", 3]));
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
    server
        .merge(&path, json!({"spec": {"colour": "red"}}))
        .await
        .good();
    let selected = |colour: &str| format!("{TABS}?fieldSelector=spec.colour%3D{colour}");
    assert_eq!(
        server.get(&selected("red")).await.good()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        server.get(&selected("blue")).await.good()["items"],
        json!([])
    );
    assert_eq!(
        server
            .get(&format!("{TABS}?fieldSelector=spec.cronSpec%3Dx"))
            .await
            .code,
        400
    );
}

#[tokio::test]
async fn an_apply_merges_lists_by_their_keys() {
    let server = defined().await;
    let path = format!("{TABS}/a");
    let apply = |manager: &str, ports: Value| {
        let mut config = tab("a");
        config["spec"]["ports"] = ports;
        let path = format!("{path}?fieldManager={manager}");
        request("PATCH", &path, APPLY, &config.to_string())
    };
    let created = server
        .send(apply("a", json!([{"name": "x", "port": 1}])))
        .await;
    assert_eq!(created.code, 201, "{}", created.text);
    let both = server
        .send(apply("b", json!([{"name": "y", "port": "http"}])))
        .await
        .good();
    assert_eq!(
        both["spec"]["ports"],
        json!([{"name": "x", "port": 1}, {"name": "y", "port": "http"}])
    );
    let conflict = server
        .send(apply("b", json!([{"name": "x", "port": 2}])))
        .await;
    assert_eq!(conflict.code, 409);
    assert!(
        conflict.message().contains(".spec.ports[name=\"x\"].port"),
        "{}",
        conflict.message()
    );
    let mut unknown = tab("a");
    unknown["spec"]["nothing"] = json!(1);
    let unknown = request(
        "PATCH",
        &format!("{path}?fieldManager=a"),
        APPLY,
        &unknown.to_string(),
    );
    let refused = server.send(unknown).await;
    assert!(
        refused
            .message()
            .contains(".spec.nothing: field not declared in schema"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn a_changed_definition_is_followed_at_once() {
    let server = defined().await;
    server.post(TABS, tab("a")).await.good();
    let mut changed = server.get(DEFINITION).await.good();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    changed.pointer_mut(spec).unwrap()["zone"] = json!({"type": "string", "default": "here"});
    changed["spec"]["versions"][1]["served"] = json!(false);
    server.put(DEFINITION, changed.clone()).await.good();
    let read = server.get(&format!("{TABS}/a")).await.good();
    assert_eq!(
        read["spec"]["zone"], "here",
        "what is stored is completed when it is read"
    );
    assert_eq!(
        server.get(&TABS.replace("/v1/", "/v1beta1/")).await.code,
        404
    );
    let stale = server.put(DEFINITION, changed).await;
    assert_eq!(stale.code, 409);
    let scope = server
        .merge(DEFINITION, json!({"spec": {"scope": "Cluster"}}))
        .await;
    assert!(
        scope
            .message()
            .contains("spec.scope: Invalid value: \"Cluster\": field is immutable"),
        "{}",
        scope.text
    );
    let webhook = json!({"spec": {"conversion": {"strategy": "Webhook"}}});
    let webhook = server.merge(DEFINITION, webhook).await;
    assert!(
        webhook
            .message()
            .contains("spec.conversion.webhook.clientConfig: Required value"),
        "{}",
        webhook.text
    );
    let dry = server
        .post(&format!("{DEFINITIONS}?dryRun=All"), definition())
        .await;
    assert_eq!(dry.code, 409, "the name is taken");
}

#[tokio::test]
async fn a_deleted_definition_waits_for_its_objects_and_takes_no_new_ones() {
    let server = defined().await;
    server.post(TABS, tab("a")).await.good();
    let going = server.delete(DEFINITION, json!({})).await.good();
    assert_eq!(
        going["metadata"]["finalizers"],
        json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    assert_eq!(
        condition(&server.get(DEFINITION).await.good(), "Terminating"),
        "True"
    );
    let refused = server.post(TABS, tab("b")).await;
    assert_eq!(
        (refused.code, refused.message().as_str()),
        (
            405,
            "create not allowed while custom resource definition is terminating"
        )
    );
    server.delete(&format!("{TABS}/a"), json!({})).await.good();
    server
        .merge(DEFINITION, json!({"metadata": {"finalizers": []}}))
        .await
        .good();
    assert_eq!(server.get(DEFINITION).await.code, 404);
    assert_eq!(server.get(TABS).await.code, 404);
    assert_eq!(server.get("/apis/stable.example.com").await.code, 404);
}

#[tokio::test]
async fn kinds_objects_and_quotas_survive_a_restart() {
    let server = defined().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": {"count/crontabs.stable.example.com": "1"}}});
    server
        .post("/api/v1/namespaces/default/resourcequotas", quota)
        .await
        .good();
    server.post(TABS, tab("a")).await.good();
    let full = server.post(TABS, tab("b")).await;
    assert!(
        full.message().contains("exceeded quota: q"),
        "{}",
        full.text
    );
    server.api.close().await.unwrap();
    let Server {
        api, tasks, folder, ..
    } = server;
    drop(api);
    tasks.stop();
    tasks
        .drained(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    let server = Server::at(folder).await;
    assert_eq!(
        server.get(&format!("{TABS}/a")).await.good()["spec"]["replicas"],
        1
    );
    let used = server
        .get("/api/v1/namespaces/default/resourcequotas/q")
        .await
        .good();
    assert_eq!(
        used["status"]["used"]["count/crontabs.stable.example.com"],
        "1"
    );
}

#[tokio::test]
async fn a_definition_of_a_kind_of_ours_is_kept_and_changes_nothing() {
    let server = Server::new().await;
    let mut ours = definition();
    ours["metadata"] = json!({"name": "gateways.gateway.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/1"}});
    ours["spec"]["group"] = json!("gateway.networking.k8s.io");
    ours["spec"]["names"] = json!({"plural": "gateways", "kind": "Gateway"});
    let created = server.post(DEFINITIONS, ours).await;
    assert!(
        created.warnings()[0].contains("is built into Osier"),
        "{}",
        created.text
    );
    created.good();
    let path = format!("{DEFINITIONS}/gateways.gateway.networking.k8s.io");
    assert_eq!(
        condition(&server.get(&path).await.good(), "Established"),
        "True"
    );
    let gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways";
    let refused = server
        .post(
            gateways,
            json!({"metadata": {"name": "g"}, "spec": {"cronSpec": "*"}}),
        )
        .await;
    assert!(
        !refused.text.contains("cronSpec: Required"),
        "{}",
        refused.text
    );
    server.delete(&path, json!({})).await.good();
    assert_eq!(server.get(&path).await.code, 404);
    server.get(gateways).await.good();
}

#[tokio::test]
async fn roles_speak_of_kinds_that_users_define() {
    let server = defined().await;
    let ann = User::new("ann", ["developers"]);
    let list = || request("GET", TABS, "", "");
    let refused = server.send_as(&ann, list()).await;
    assert_eq!(refused.code, 403);
    let words = "crontabs.stable.example.com is forbidden: User \"ann\" cannot list resource \"crontabs\" in API group \"stable.example.com\" in the namespace \"default\"";
    assert_eq!(refused.message(), words);
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rules = json!([{"apiGroups": ["stable.example.com"], "resources": ["crontabs"], "verbs": ["list"]}]);
    server
        .post(
            &format!("{roles}/roles"),
            json!({"metadata": {"name": "tabs"}, "rules": rules}),
        )
        .await
        .good();
    let binding = json!({"metadata": {"name": "tabs"}, "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tabs"}});
    server
        .post(&format!("{roles}/rolebindings"), binding)
        .await
        .good();
    server.send_as(&ann, list()).await.good();
    assert_eq!(
        server
            .send_as(&ann, request("DELETE", &format!("{TABS}/a"), "", ""))
            .await
            .code,
        403
    );
}

#[tokio::test]
async fn rules_in_cel_are_held() {
    let server = Server::new().await;
    let mut ruled = definition();
    let spec = ruled
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .unwrap();
    spec["x-kubernetes-validations"] = json!([
        {"rule": "self.replicas < 5 || self.cronSpec == '*'", "message": "too many for this spec", "fieldPath": ".replicas"}]);
    spec["properties"]["colour"]["x-kubernetes-validations"] =
        json!([{"rule": "self == oldSelf", "message": "colour is immutable"}]);
    server.post(DEFINITIONS, ruled).await.good();
    let mut object = tab("a");
    object["spec"]["colour"] = json!("red");
    server.post(TABS, object).await.good();
    let path = format!("{TABS}/a");
    let many = server.merge(&path, json!({"spec": {"replicas": 7}})).await;
    assert_eq!(many.code, 422);
    assert!(
        many.message()
            .contains("spec.replicas: Invalid value: \"object\": too many for this spec"),
        "{}",
        many.message()
    );
    let blue = server
        .merge(&path, json!({"spec": {"colour": "blue"}}))
        .await;
    assert!(
        blue.message()
            .contains("spec.colour: Invalid value: \"string\": colour is immutable"),
        "{}",
        blue.message()
    );
    let scaled = server
        .merge(&format!("{path}/scale"), json!({"spec": {"replicas": 9}}))
        .await;
    assert_eq!(scaled.code, 422, "{}", scaled.text);
    server
        .merge(&path, json!({"spec": {"replicas": 7, "cronSpec": "*"}}))
        .await
        .good();
}

#[tokio::test]
async fn who_speaks_a_version_that_goes_is_told() {
    let server = Server::new().await;
    let mut old = definition();
    old["spec"]["versions"][1]["deprecated"] = json!(true);
    server.post(DEFINITIONS, old).await.good();
    assert!(server.get(TABS).await.warnings().is_empty());
    let old = "/apis/stable.example.com/v1beta1/namespaces/default/crontabs";
    let told = server.get(old).await;
    assert_eq!(
        told.warnings(),
        ["299 - \"stable.example.com/v1beta1 CronTab is deprecated\""]
    );
    let words =
        json!([{"op": "add", "path": "/spec/versions/1/deprecationWarning", "value": "use v1"}]);
    patch(&server, DEFINITION, "application/json-patch+json", words)
        .await
        .good();
    assert_eq!(server.get(old).await.warnings(), ["299 - \"use v1\""]);
}

#[tokio::test]
async fn an_object_of_a_users_kind_is_replaced_in_the_state_that_was_seen_only() {
    let server = defined().await;
    let made = server.post(TABS, tab("a")).await.good();
    let path = format!("{TABS}/a");
    let refused = server.put(&path, tab("a")).await;
    assert_eq!(refused.code, 422);
    assert!(
        refused
            .message()
            .contains("must be specified for an update"),
        "{}",
        refused.text
    );
    server.put(&path, made).await.good();
    server
        .merge(&path, json!({"spec": {"replicas": 2}}))
        .await
        .good();
}
