//! Structure of real manifests, and of broken ones.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::resources::{self, PODS, POLICIES, SECRETS, VIRTUAL_SERVICES};

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn words(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn every_file_parses_and_every_kind_has_a_definition_with_its_gvk() {
    for source in SOURCES {
        serde_json::from_str::<Map<String, Value>>(source).unwrap();
    }
    for resource in resources::all() {
        let gvks = document(resource)["x-kubernetes-group-version-kind"]
            .as_array()
            .unwrap();
        let version = resource.storage_version();
        let gvk = json!({"group": resource.group, "version": version, "kind": resource.kind});
        assert!(gvks.contains(&gvk), "{}", resource.kind);
        for version in resource.versions {
            assert!(definition(resource.schema_of(version)).is_some());
        }
    }
}

/// `kubectl explain` shows what is said of a field, and then what is said of its type.
#[test]
fn no_field_says_the_same_as_its_type() {
    fn check(schema: &'static Value, path: &str) {
        let own = schema.get("description");
        for typed in [Some(schema), schema.get("items")].into_iter().flatten() {
            let target = resolve(typed);
            let other = !std::ptr::eq(target, schema);
            assert!(
                own.is_none() || !other || target.get("description") != own,
                "{path}"
            );
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            check(field, &format!("{path}.{name}"));
        }
    }
    for (name, schema) in definitions() {
        check(schema, name);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for schema in definitions().values() {
        let mut names = Vec::new();
        references(schema, &mut names);
        for name in names {
            assert!(definition(name).is_some(), "{name}");
        }
    }
    let names = closure(&["io.k8s.api.core.v1.Pod"]);
    assert!(names.contains(&"io.k8s.api.core.v1.Container"));
    assert!(!names.contains(&"io.k8s.api.core.v1.Service"));
}

#[test]
fn a_good_pod_has_no_faults_and_null_is_absent() {
    let pod = object(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": null, "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "x", "resources": {"limits": {"cpu": 1, "memory": "64Mi"}},
            "livenessProbe": {"httpGet": {"port": "http"}}, "ports": [{"containerPort": 80}]}]}, "status": {}
    }));
    assert_eq!(words(&check(&PODS, &pod)), Vec::<String>::new());
}

#[test]
fn all_faults_at_once_with_paths() {
    let pod = object(json!({
        "kind": "Pod", "foo": 1, "metadata": {"name": 5, "creationTimestamp": "yesterday"},
        "spec": {"containers": [{"image": ["x"], "bar": true, "resources": {"limits": {"memory": "64MB"}},
            "ports": [{"containerPort": 8_000_000_000i64}, {"containerPort": "80"}]}]}
    }));
    let found = words(&check(&PODS, &pod));
    assert_eq!(found.len(), 8, "{found:#?}");
    assert_eq!(found[0], "foo: Unknown field");
    assert!(
        found
            .iter()
            .any(|w| w.starts_with("spec.containers[0].bar: Unknown"))
    );
    assert!(found.iter().any(|w| w == "spec.containers[0].ports[1].containerPort: Invalid value: \"80\": must be an integer, not a string"));
    assert!(
        found
            .iter()
            .any(|w| w.contains("limits.memory") && w.contains("64Mi"))
    );
}

#[test]
fn secrets_are_base64_and_not_repeated() {
    let secret = object(json!({"data": {"k": "äöü secret"}}));
    let found = words(&check(&SECRETS, &secret));
    assert!(
        found[0].starts_with("data.k: Invalid value: \"\": must be base64"),
        "{found:?}"
    );
    assert_eq!(check(&SECRETS, &object(json!({"data": {"k": "YWJj"}}))), []);
}

#[test]
fn our_own_kinds_are_structural() {
    let policy = object(
        json!({"spec": {"mode": "Maybe", "actions": [{"template": "quota"}], "rollout": {"plugin": "x", "percent": 101}}}),
    );
    let found = words(&check(&POLICIES, &policy));
    assert!(
        found.contains(&"spec.actions[0].plugin: Required value".to_owned()),
        "{found:?}"
    );
    assert!(
        found.iter().any(|w| w
            .starts_with("spec.mode: Unsupported value: \"Maybe\": supported values: \"Enforce\"")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|w| w.starts_with("spec.rollout.percent: Invalid value: 101")),
        "{found:?}"
    );
    let route = object(
        json!({"spec": {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a", "sub_set": "v1"}}]}]}}),
    );
    assert_eq!(
        words(&check(&VIRTUAL_SERVICES, &route)),
        ["spec.http[0].route[0].destination.sub_set: Unknown field"]
    );
}

#[test]
fn pruning_removes_exactly_what_is_unknown() {
    let mut pod = object(
        json!({"kind": "Pod", "foo": 1, "spec": {"containers": [{"name": "c", "bar": {"x": 1}}]}}),
    );
    let removed = prune(&PODS, &mut pod);
    assert_eq!(removed.len(), 2);
    assert_eq!(
        pod,
        object(json!({"kind": "Pod", "spec": {"containers": [{"name": "c"}]}}))
    );
    assert_eq!(check(&PODS, &pod), []);
}

#[test]
fn the_normal_form_has_no_nulls_and_canonical_quantities() {
    let mut pod = object(json!({
        "metadata": {"creationTimestamp": null, "labels": {"a": null}},
        "spec": {"nodeSelector": null, "containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi", "x": null}}}]}
    }));
    normalize(&PODS, &mut pod);
    let expected = json!({
        "metadata": {"labels": {"a": ""}},
        "spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}
    });
    assert_eq!(pod.into_value(), expected);
}

#[test]
fn free_form_configuration_is_left_alone() {
    let mut plugin =
        object(json!({"spec": {"image": "x", "config": {"a": null, "b": {"c": [1]}}}}));
    let before = plugin.clone();
    normalize(&resources::PLUGINS, &mut plugin);
    assert_eq!(prune(&resources::PLUGINS, &mut plugin), []);
    assert_eq!(plugin, before);
}
