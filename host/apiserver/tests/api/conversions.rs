//! Kinds whose versions differ in more than their names: a program outside makes one of the other.

use serde_json::{Value, json};

use crate::custom::{DEFINITION, DEFINITIONS, TABS, definition, tab};
use crate::programs::converted;
use crate::server::{Answer, Server, request};

const BETA: &str = "/apis/stable.example.com/v1beta1/namespaces/default/crontabs";

/// Stored is v1, whose `spec.cronSpec` is `spec.when` in v1beta1.
fn converting() -> Value {
    let mut definition = definition();
    let version = definition["spec"]["versions"][0].clone();
    let mut beta = version;
    beta["name"] = json!("v1beta1");
    beta["storage"] = json!(false);
    let spec = &mut beta["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["when"] = spec["properties"]["cronSpec"].take();
    spec["properties"]
        .as_object_mut()
        .unwrap()
        .remove("cronSpec");
    spec["required"] = json!(["when"]);
    definition["spec"]["versions"][1] = beta;
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://converter.example.com/convert"}}});
    definition
}

fn renamed(mut object: Value) -> Value {
    let spec = object["spec"].as_object_mut().unwrap();
    let (from, to) = match spec.contains_key("cronSpec") {
        true => ("cronSpec", "when"),
        false => ("when", "cronSpec"),
    };
    let value = spec.remove(from).unwrap();
    spec.insert(to.to_owned(), value);
    object
}

async fn served() -> Server {
    let server = Server::new().await;
    server
        .programs
        .put("/convert", |question| Ok(converted(question, renamed)));
    server.post(DEFINITIONS, converting()).await.good();
    server
}

fn beta(name: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1beta1", "kind": "CronTab", "metadata": {"name": name}, "spec": {"when": "1 2"}})
}

#[tokio::test]
async fn each_version_is_read_and_written_in_its_own_shape() {
    let server = served().await;
    let made = server.post(BETA, beta("a")).await.good();
    assert_eq!(
        (&made["spec"]["when"], &made["spec"]["replicas"]),
        (&json!("1 2"), &json!(1))
    );
    let stored = server.get(&format!("{TABS}/a")).await.good();
    assert_eq!(stored["spec"]["cronSpec"], "1 2");
    assert_eq!(stored["metadata"]["uid"], made["metadata"]["uid"]);
    server.post(TABS, tab("b")).await.good();
    server.programs.asked();
    let list = server.get(&format!("{BETA}?labelSelector=!x")).await.good();
    let whens: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["spec"]["when"])
        .collect();
    assert_eq!(whens, ["1 2", "* * *"]);
    assert_eq!(
        server.programs.asked().len(),
        1,
        "a list is converted by one call"
    );
    server.get(TABS).await.good();
    assert!(
        server.programs.asked().is_empty(),
        "what is stored needs nobody"
    );
    let patched = server
        .merge(&format!("{BETA}/a"), json!({"spec": {"when": "3 4"}}))
        .await
        .good();
    assert_eq!(
        (&patched["spec"]["when"], &patched["metadata"]["generation"]),
        (&json!("3 4"), &json!(2))
    );
    let again = server
        .merge(&format!("{BETA}/a"), json!({"spec": {"when": "3 4"}}))
        .await
        .good();
    assert_eq!(
        again["metadata"]["resourceVersion"],
        patched["metadata"]["resourceVersion"]
    );
    let stored = server.get(&format!("{TABS}/a")).await.good();
    assert_eq!(stored["spec"]["cronSpec"], "3 4");
}

#[tokio::test]
async fn each_version_is_held_to_its_own_schema() {
    let server = served().await;
    let mut wrong = beta("a");
    wrong["spec"] = json!({"cronSpec": "1 2"});
    let refused = server.post(BETA, wrong).await;
    assert!(
        refused.code == 422 && refused.message().contains("spec.when: Required value"),
        "{}",
        refused.text
    );
    let mut wrong = beta("a");
    wrong["spec"]["when"] = json!("every day");
    assert_eq!(server.post(BETA, wrong).await.code, 422);
}

#[tokio::test]
async fn a_program_that_fails_fails_what_needs_it_only() {
    let server = served().await;
    server.post(TABS, tab("a")).await.good();
    server
        .programs
        .put("/convert", |_| Err("connection refused".to_owned()));
    let failed = server.get(&format!("{BETA}/a")).await;
    assert_eq!(failed.code, 500);
    assert_eq!(
        failed.message(),
        "conversion webhook for stable.example.com/v1, Kind=CronTab failed: Post \"https://converter.example.com/convert\": connection refused"
    );
    assert_eq!(server.get(BETA).await.code, 500);
    assert_eq!(server.post(BETA, beta("b")).await.code, 500);
    server.get(&format!("{TABS}/a")).await.good();
    server.post(TABS, tab("c")).await.good();
    server.programs.put("/convert", |question| {
        Ok(converted(question, |mut object| {
            object["metadata"]["name"] = json!("other");
            renamed(object)
        }))
    });
    let failed = server.get(&format!("{BETA}/a")).await;
    assert!(
        failed
            .message()
            .contains("must have the same metadata.name"),
        "{}",
        failed.text
    );
    assert_eq!(
        server.delete(&format!("{BETA}/a"), json!({})).await.code,
        200
    );
}

#[tokio::test]
async fn who_converts_is_named_as_upstream_wants_it() {
    let server = Server::new().await;
    let refused = async |conversion: Value| {
        let mut definition = definition();
        definition["spec"]["conversion"] = conversion;
        server.post(DEFINITIONS, definition).await.message()
    };
    let none = refused(json!({"strategy": "Webhook"})).await;
    assert!(none.contains("spec.conversion.webhook.clientConfig: Required value: required when strategy is set to Webhook"), "{none}");
    let plain = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1beta1"],
        "clientConfig": {"url": "http://a.example.com", "caBundle": "bm90aGluZw=="}}});
    let plain = refused(plain).await;
    for words in [
        "'https' is the only allowed URL scheme",
        "unable to load root certificates",
        "must include at least one of v1",
    ] {
        assert!(plain.contains(words), "{plain}");
    }
    let both = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://a.example.com", "service": {"name": "a", "namespace": "b"}}}});
    assert!(
        refused(both)
            .await
            .contains("exactly one of url or service is required")
    );
    let idle = json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}});
    assert!(
        refused(idle)
            .await
            .contains("should not be set when strategy is not set to Webhook")
    );
    let service = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "a", "namespace": "b"}}}});
    let mut definition = definition();
    definition["spec"]["conversion"] = service;
    server.post(DEFINITIONS, definition).await.good();
    let stored = server.get(DEFINITION).await.good();
    assert_eq!(
        stored["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"],
        443
    );
}

/// Who owns what, as `name version fields`.
fn owners(object: &Value) -> Vec<String> {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = |one: &Value| {
        let version = one["apiVersion"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let fields = one["fieldsV1"]["f:spec"].as_object().unwrap().keys();
        let fields: Vec<&str> = fields
            .map(|name| name.trim_start_matches("f:"))
            .filter(|name| *name != ".")
            .collect();
        format!(
            "{} {version} {}",
            one["manager"].as_str().unwrap(),
            fields.join(",")
        )
    };
    let mut owners: Vec<String> = list.iter().map(entry).collect();
    owners.sort();
    owners
}

async fn apply(
    server: &Server,
    (version, manager, force): (&str, &str, bool),
    spec: Value,
) -> Answer {
    let path = format!(
        "/apis/stable.example.com/{version}/namespaces/default/crontabs/a?fieldManager={manager}&force={force}"
    );
    let config = json!({"apiVersion": format!("stable.example.com/{version}"), "kind": "CronTab", "spec": spec});
    server
        .send(request(
            "PATCH",
            &path,
            "application/apply-patch+yaml",
            &config.to_string(),
        ))
        .await
}

#[tokio::test]
async fn fields_are_owned_in_the_words_of_each_managers_version() {
    let server = served().await;
    apply(
        &server,
        ("v1beta1", "old", false),
        json!({"when": "1 2", "colour": "red"}),
    )
    .await
    .good();
    let both = apply(
        &server,
        ("v1", "new", false),
        json!({"cronSpec": "1 2", "replicas": 3}),
    )
    .await
    .good();
    assert_eq!(
        owners(&both),
        ["new v1 cronSpec,replicas", "old v1beta1 colour,when"]
    );
    let refused = apply(
        &server,
        ("v1", "new", false),
        json!({"cronSpec": "3 4", "replicas": 3}),
    )
    .await;
    assert_eq!(refused.code, 409);
    assert_eq!(
        refused.message(),
        "Apply failed with 1 conflict: conflict with \"old\": .spec.when"
    );
    assert_eq!(
        refused.json()["details"]["causes"][0]["field"],
        ".spec.when"
    );
    let kept = server.get(&format!("{TABS}/a")).await.good();
    assert_eq!(
        (&kept["spec"]["cronSpec"], owners(&kept)),
        (&json!("1 2"), owners(&both))
    );
    let forced = apply(
        &server,
        ("v1", "new", true),
        json!({"cronSpec": "3 4", "replicas": 3}),
    )
    .await
    .good();
    assert_eq!(
        owners(&forced),
        ["new v1 cronSpec,replicas", "old v1beta1 colour"]
    );
    let path = format!("{TABS}/a?fieldManager=editor");
    let edited = server
        .merge(&path, json!({"spec": {"colour": "blue"}}))
        .await
        .good();
    assert_eq!(
        owners(&edited),
        ["editor v1 colour", "new v1 cronSpec,replicas"]
    );
    let moved = apply(&server, ("v1beta1", "new", true), json!({"when": "5 6"}))
        .await
        .good();
    assert_eq!(owners(&moved), ["editor v1 colour", "new v1beta1 when"]);
}

#[tokio::test]
async fn a_program_that_fails_keeps_nobody_from_a_write_that_needs_it_not() {
    let server = served().await;
    apply(&server, ("v1beta1", "old", false), json!({"when": "1 2"}))
        .await
        .good();
    server
        .programs
        .put("/convert", |_| Err("connection refused".to_owned()));
    let path = format!("{TABS}/a?fieldManager=editor");
    let edited = server
        .merge(&path, json!({"spec": {"cronSpec": "7 8"}}))
        .await
        .good();
    assert_eq!(owners(&edited), ["editor v1 cronSpec", "old v1beta1 when"]);
    let failed = apply(&server, ("v1", "new", false), json!({"cronSpec": "7 8"})).await;
    assert_eq!(failed.code, 500);
}
