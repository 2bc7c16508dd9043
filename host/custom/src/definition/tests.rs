//! What a compiled version does with objects.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn version() -> Arc<Version> {
    let version = |name: &str, stored: bool| {
        json!({"name": name, "served": true, "storage": stored,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "size": {"type": "integer", "maximum": 3}, "color": {"type": "string"}}}}}},
            "selectableFields": [{"jsonPath": ".spec.color"}],
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                "labelSelectorPath": ".status.selector"}}})
    };
    let definition = json!({
        "metadata": {"name": "shirts.stable.example.com"},
        "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "shirts", "singular": "shirt", "kind": "Shirt"},
            "versions": [version("v1beta1", true), version("v1", false)]},
    });
    let compiled = Definition::compile(&Object::from_value(definition).unwrap()).unwrap();
    assert_eq!(
        compiled.versions[1].resource.versions,
        ["v1beta1"],
        "the best version comes first"
    );
    Arc::clone(&compiled.versions[0])
}

fn shirt(size: i64) -> Object {
    Object::from_value(json!({"metadata": {"name": "a"}, "spec": {"size": size}, "status": {"size": 1, "selector": "a=b"}})).unwrap()
}

#[test]
fn a_version_knows_its_names_and_what_is_stored() {
    let version = version();
    assert_eq!(version.storage_api_version, "stable.example.com/v1beta1");
    assert_eq!(version.resource.api_version("v1"), "stable.example.com/v1");
    assert_eq!(version.selectable, ["spec.color"]);
    assert!(version.resource.has(osier_api::Subresource::Scale));
    let metadata = &version.document["properties"]["metadata"];
    assert!(
        metadata["allOf"][0]["$ref"]
            .as_str()
            .unwrap()
            .ends_with("ObjectMeta")
    );
}

#[test]
fn replicas_are_read_and_written_where_the_definition_says() {
    let version = version();
    let mut object = shirt(2);
    assert_eq!(version.replicas(&object), Some((2, 1, "a=b".to_owned())));
    version.scale(&mut object, json!(3));
    assert_eq!(object.get(&["spec", "size"]), Some(&json!(3)));
    assert_eq!(version.scaled(&json!(3)), json!({"spec": {"size": 3}}));
}

#[test]
fn what_was_wrong_before_may_stay_but_not_become_worse() {
    let version = version();
    assert_eq!(version.validate(None, &shirt(5)).len(), 1);
    let mut labelled = shirt(5);
    labelled.set(&["metadata", "labels"], json!({"a": "b"}));
    assert!(version.validate(Some(&shirt(5)), &labelled).is_empty());
    assert_eq!(version.validate(Some(&shirt(5)), &shirt(6)).len(), 1);
}
