//! Definitions that are refused, with the words; and one that is not.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn definition() -> Object {
    Object::from_value(json!({
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList", "shortNames": ["ct"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "cronSpec": {"type": "string"}, "replicas": {"type": "integer", "default": 1}}}}}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"}]}],
        },
    }))
    .unwrap()
}

/// The faults after something was put at a JSON pointer.
fn faults(pointer: &str, value: Value) -> Vec<String> {
    let mut whole = definition().into_value();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    whole.pointer_mut(parent).unwrap()[field] = value;
    let object = Object::from_value(whole).unwrap();
    validate(None, &object)
        .iter()
        .map(ToString::to_string)
        .collect()
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
const PATH: &str = "spec.versions[0].schema.openAPIV3Schema";

#[test]
fn a_good_definition_has_no_faults() {
    assert_eq!(validate(None, &definition()), []);
    assert!(warnings(&definition()).is_empty());
}

#[test]
fn names_scope_and_versions() {
    let cases = [
        (
            "/metadata/name",
            json!("x.y"),
            "metadata.name: Invalid value: \"x.y\": must be spec.names.plural+\".\"+spec.group",
        ),
        (
            "/spec/scope",
            json!("Everywhere"),
            "spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (
            "/spec/names/listKind",
            json!("CronTab"),
            "spec.names.listKind: Invalid value: \"CronTab\": kind and listKind may not be the same",
        ),
        (
            "/spec/versions/0/storage",
            json!(false),
            "spec.versions: Invalid value: [\"v1\"]: must have exactly one version marked as storage version",
        ),
        (
            "/spec/versions/0/schema",
            json!({}),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            "/spec/versions/0/subresources/scale",
            json!({"specReplicasPath": ".replicas", "statusReplicasPath": ".status.r"}),
            "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".replicas\": should be a json path under .spec.",
        ),
        (
            "/spec/versions/0/additionalPrinterColumns",
            json!([{"name": "A", "type": "text", "jsonPath": ".a"}]),
            "spec.versions[0].additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
        ),
        (
            "/spec/versions/0/additionalPrinterColumns",
            json!([{"name": "A", "type": "string", "jsonPath": ".a["}]),
            "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \".a[\": is an invalid path: unterminated array",
        ),
    ];
    for (pointer, value, wanted) in cases {
        assert_eq!(faults(pointer, value), [wanted], "{pointer}");
    }
    let webhook = faults("/spec/conversion", json!({"strategy": "Webhook"}));
    assert!(
        webhook[0].contains("required when strategy is set to Webhook"),
        "{webhook:?}"
    );
    let protected = faults("/spec/group", json!("a.k8s.io"));
    assert!(
        protected[0].starts_with(
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups"
        ),
        "{protected:?}"
    );
}

#[test]
fn schemas_are_structural() {
    let cases = [
        (
            json!({"properties": {"b": {"type": "string"}}}),
            format!(
                "{PATH}.properties[spec].properties[a].type: Required value: must not be empty for specified object fields"
            ),
        ),
        (
            json!({"type": "array"}),
            format!(
                "{PATH}.properties[spec].properties[a].items: Required value: must be specified"
            ),
        ),
        (
            json!({"type": "array", "items": {}}),
            format!(
                "{PATH}.properties[spec].properties[a].items.type: Required value: must not be empty for specified array items"
            ),
        ),
        (
            json!({"type": "text"}),
            format!(
                "{PATH}.properties[spec].properties[a].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\""
            ),
        ),
        (
            json!({"type": "string", "anyOf": [{"type": "string"}]}),
            format!(
                "{PATH}.properties[spec].properties[a].anyOf[0].type: Forbidden: must be empty to be structural"
            ),
        ),
        (
            json!({"type": "string", "default": 1}),
            format!(
                "{PATH}.properties[spec].properties[a].default: Invalid value: \"integer\": {PATH}.properties[spec].properties[a].default in body must be of type string: \"integer\""
            ),
        ),
        (
            json!({"type": "object", "default": {"x": 1}}),
            format!(
                "{PATH}.properties[spec].properties[a].default: Invalid value: {{\"x\":1}}: must not have unknown fields"
            ),
        ),
        (
            json!({"type": "string", "$ref": "#/a"}),
            format!("{PATH}.properties[spec].properties[a].$ref: Forbidden: $ref is not supported"),
        ),
        (
            json!({"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            format!(
                "{PATH}.properties[spec].properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
            ),
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
            "items": {"type": "object", "properties": {"n": {"type": "string"}}}}),
            format!(
                "{PATH}.properties[spec].properties[a].items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ),
        ),
    ];
    for (schema, wanted) in cases {
        assert_eq!(
            faults(&format!("{SPEC}/a"), schema.clone()),
            [wanted],
            "{schema}"
        );
    }
    let pattern = faults(
        &format!("{SPEC}/a"),
        json!({"type": "string", "pattern": "("}),
    );
    assert!(
        pattern[0].contains("must be a valid regular expression"),
        "{pattern:?}"
    );
    let root = faults(
        "/spec/versions/0/schema/openAPIV3Schema/type",
        json!("array"),
    );
    assert!(root[0].contains("must be object at the root"), "{root:?}");
    let metadata = json!({"type": "object", "properties": {"labels": {"type": "object"}}});
    let metadata = faults(
        "/spec/versions/0/schema/openAPIV3Schema/properties/metadata",
        metadata,
    );
    assert!(
        metadata[0].contains("must not specify anything other than name and generateName"),
        "{metadata:?}"
    );
}

#[test]
fn what_is_served_does_not_change_its_place_and_stored_versions_stay() {
    let mut old = definition();
    old.set(&["status"], json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": "True"}]}));
    let mut new = old.clone();
    new.set(&["spec", "scope"], json!("Cluster"));
    let told = |new: &Object| -> Vec<String> {
        validate(Some(&old), new)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        told(&new),
        ["spec.scope: Invalid value: \"Cluster\": field is immutable"]
    );
    let mut new = old.clone().into_value();
    new["spec"]["versions"][0]["name"] = json!("v2");
    let gone = told(&Object::from_value(new).unwrap());
    assert!(
        gone[0].starts_with(
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions"
        ),
        "{gone:?}"
    );
}

#[test]
fn what_is_not_done_is_told() {
    let mut ruled = definition().into_value();
    let rules = json!([{"rule": "isColour(self)"}, {"rule": "self != ''"}]);
    ruled.pointer_mut(&format!("{SPEC}/cronSpec")).unwrap()["x-kubernetes-validations"] = rules;
    let told = warnings(&Object::from_value(ruled).unwrap());
    let place =
        format!("{PATH}.properties[spec].properties[cronSpec].x-kubernetes-validations[0].rule");
    assert_eq!(
        told,
        [format!(
            "{place}: the rule is kept and not evaluated: the function isColour is not known to this version of Osier"
        )]
    );
    let mut ours = definition();
    ours.set(&["spec", "group"], json!("gateway.networking.k8s.io"));
    ours.set(&["spec", "names", "plural"], json!("gateways"));
    assert!(warnings(&ours)[0].contains("is built into Osier"));
}

#[test]
fn rules_are_compiled() {
    let ruled = |rule: Value| {
        let list = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [rule]}});
        faults(&format!("{SPEC}/a"), list)
    };
    let path = format!("{PATH}.properties[spec].properties[a].items.x-kubernetes-validations[0]");
    assert_eq!(
        ruled(json!({"rule": "self != ''", "reason": "FieldValueRequired"})),
        Vec::<String>::new()
    );
    let wrong = ruled(json!({"rule": "self +"}));
    assert!(
        wrong[0].starts_with(&format!(
            "{path}.rule: Invalid value: \"self +\": compilation failed: "
        )),
        "{wrong:?}"
    );
    let other = ruled(json!({"rule": "that == ''"}));
    assert!(
        other[0].contains("undeclared reference to 'that'"),
        "{other:?}"
    );
    let old = ruled(json!({"rule": "self == oldSelf"}));
    assert!(
        old[0].contains("oldSelf cannot be used on the uncorrelatable portion"),
        "{old:?}"
    );
    assert_eq!(
        ruled(json!({"rule": ""})),
        [format!(
            "{path}.rule: Required value: rule is not specified"
        )]
    );
    let reason = ruled(json!({"rule": "true", "reason": "Because"}));
    assert!(
        reason[0].starts_with(&format!("{path}.reason: Unsupported value: \"Because\"")),
        "{reason:?}"
    );
}

#[test]
fn types_and_costs_of_rules_are_known_before_there_are_objects() {
    let ruled = |rule: Value, most: Value| {
        let names = json!({"type": "array", "items": {"type": "string"}, "maxItems": most});
        let groups = json!({"type": "array", "maxItems": most, "items": {"type": "object", "properties": {"names": names}}});
        let properties = json!({"replicas": {"type": "integer"}, "port": {"x-kubernetes-int-or-string": true},
            "until": {"type": "string", "format": "date-time"}, "groups": groups});
        faults(
            &format!("{SPEC}/a"),
            json!({"type": "object", "properties": properties, "x-kubernetes-validations": [rule]}),
        )
    };
    let none = Vec::<String>::new();
    for good in [
        "self.replicas > 1 && self.port != 'http' && self.until > timestamp('2026-01-01T00:00:00Z')",
        "!has(self.groups) || self.groups.all(group, group.names.exists(name, name == 'a'))",
    ] {
        assert_eq!(ruled(json!({"rule": good}), json!(100)), none);
    }
    for (bad, words) in [
        (
            "self.replicas > 'many'",
            "found no matching overload for '_>_' applied to '(int, string)'",
        ),
        ("self.replica > 1", "undefined field 'replica'"),
        ("self.replicas", "cel expression must evaluate to a bool"),
    ] {
        let told = ruled(json!({"rule": bad}), json!(100));
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
    }
    let message = json!({"rule": "self.replicas > 1", "messageExpression": "self.replicas"});
    let told = ruled(message, json!(100));
    assert!(
        told[0].contains("messageExpression must evaluate to a string"),
        "{told:?}"
    );
    let nested = "self.groups.all(group, group.names.all(name, name != 'a'))";
    let told = ruled(json!({"rule": nested}), Value::Null);
    assert!(
        told[0]
            .contains("Forbidden: estimated rule cost exceeds budget by factor of more than 100x"),
        "{told:?}"
    );
}

#[test]
fn rules_that_are_cheap_each_may_be_too_many() {
    let told = |count: usize| {
        let rule = json!({"rule": "self.groups.all(group, group.names.all(name, name != 'a'))"});
        let names = json!({"type": "array", "items": {"type": "string"}, "maxItems": 1000});
        let groups = json!({"type": "array", "maxItems": 1000, "items": {"type": "object", "properties": {"names": names}}});
        let ruled = json!({"type": "object", "properties": {"groups": groups}, "x-kubernetes-validations": vec![rule; count]});
        faults(&format!("{SPEC}/a"), ruled)
    };
    assert_eq!(told(10), Vec::<String>::new());
    let many = told(60);
    let words = "estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of";
    assert!(many.len() == 1 && many[0].contains(words), "{many:?}");
}

#[test]
fn of_metadata_rules_see_the_names() {
    let rule = |source: &str| {
        let pointer = "/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-validations";
        faults(pointer, json!([{"rule": source}]))
    };
    assert_eq!(
        rule("self.metadata.name.startsWith('a')"),
        Vec::<String>::new()
    );
    let told = rule("self.metadata.labels.size() > 0");
    assert!(told[0].contains("undefined field 'labels'"), "{told:?}");
}
