//! Documents with a kind that a user defined among ours.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_api::resources::{Names, custom};
use serde_json::json;

use super::*;

fn kind(version: &str) -> &'static Resource {
    let names = Names {
        group: "stable.example.com".into(),
        version: version.into(),
        kind: "CronTab".into(),
        plural: "crontabs".into(),
        singular: "crontab".into(),
        namespaced: true,
        ..Names::default()
    };
    custom(&names).unwrap()
}

fn parsed(document: &Document) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

#[test]
fn versions_of_a_users_kind_are_told_best_first() {
    let schema = json!({"type": "object"});
    let mut entries = built_in();
    entries.extend(["v1beta1", "v1"].map(|version| Entry {
        resource: kind(version),
        document: Some(&schema),
    }));
    let discovery = Discovery::new(&entries);
    let group = parsed(discovery.group("stable.example.com").unwrap());
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let resources = parsed(discovery.version("stable.example.com", "v1beta1").unwrap());
    assert_eq!(resources["resources"][0]["name"], "crontabs");
    let groups = parsed(discovery.groups(Form::Aggregated("v2")));
    let last = groups["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["versions"][0]["version"], "v1");
}

#[test]
fn a_users_kind_is_added_to_what_never_changes() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "nullable": true, "properties": {"a": {}}}}});
    let before = OpenApi::new(&built_in(), None);
    let mut entries = built_in();
    entries.push(Entry {
        resource: kind("v1"),
        document: Some(&schema),
    });
    let now = OpenApi::new(&entries, Some(&before));
    assert!(now.v2().body.starts_with(&before.v2().body));
    assert_ne!(now.v2().tag, before.v2().tag);
    assert_ne!(now.index().tag, before.index().tag);
    let apps = |documents: &OpenApi| documents.document("apis/apps/v1").unwrap().tag.clone();
    assert_eq!(apps(&now), apps(&before));
    let document = parsed(now.document("apis/stable.example.com/v1").unwrap());
    let schemas = &document["components"]["schemas"];
    let kinds = &schemas["com.example.stable.v1.CronTab"]["x-kubernetes-group-version-kind"];
    assert_eq!(
        kinds[0],
        json!({"group": "stable.example.com", "version": "v1", "kind": "CronTab"})
    );
    let item = &schemas["com.example.stable.v1.CronTabList"]["properties"]["items"]["items"];
    assert_eq!(
        item["$ref"],
        "#/components/schemas/com.example.stable.v1.CronTab"
    );
    assert!(schemas[osier_api::schema::OBJECT_META].is_object());
    let again = OpenApi::new(&built_in(), Some(&now));
    assert_eq!(again.v2().tag, before.v2().tag, "what went leaves nothing");
}

#[test]
fn openapi_v2_in_json_refers_to_what_it_has() {
    let schema =
        json!({"type": "object", "properties": {"spec": {"type": "object", "nullable": true}}});
    let mut entries = built_in();
    entries.push(Entry {
        resource: kind("v1"),
        document: Some(&schema),
    });
    let document = parsed(&swagger(&entries));
    assert_eq!(document["swagger"], "2.0");
    let definitions = document["definitions"].as_object().unwrap();
    assert!(
        definitions["com.example.stable.v1.CronTab"]["properties"]["spec"]["nullable"].is_null()
    );
    let text = document.to_string();
    assert!(!text.contains("#/components/"));
    for reference in text.split("\"#/definitions/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(definitions.contains_key(name), "{name}");
    }
    let patch =
        &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let names: Vec<_> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "body"]);
    assert_eq!(
        patch["responses"]["200"]["schema"]["$ref"],
        "#/definitions/io.k8s.api.apps.v1.Deployment"
    );
    let shared = definitions
        .values()
        .find(|one| one["x-kubernetes-group-version-kind"][0]["kind"] == "VirtualService");
    assert_eq!(
        shared.unwrap()["x-kubernetes-group-version-kind"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}
