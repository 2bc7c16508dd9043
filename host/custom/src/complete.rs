//! What the server puts into a definition: names that follow from others, and how its deletion begins.

use osier_api::Object;
use serde_json::{Value, json};

use crate::names::put_condition;

/// Keeps a definition until its objects are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Puts upstream's defaults into a definition. Applying it twice changes nothing more.
pub fn complete(definition: &mut Object) {
    let kind = definition.text(&["spec", "names", "kind"]).to_owned();
    if kind.is_empty() {
        return;
    }
    for (field, value) in [
        ("singular", kind.to_lowercase()),
        ("listKind", format!("{kind}List")),
    ] {
        if definition.text(&["spec", "names", field]).is_empty() {
            definition.set(&["spec", "names", field], value.into());
        }
    }
    if definition.get(&["spec", "conversion"]).is_none() {
        definition.set(&["spec", "conversion"], json!({"strategy": "None"}));
    }
    let service = ["spec", "conversion", "webhook", "clientConfig", "service"];
    let port = [&service[..], &["port"]].concat();
    if definition.get(&service).is_some_and(Value::is_object) && definition.get(&port).is_none() {
        definition.set(&port, json!(443));
    }
}

/// Notes in `status.storedVersions` that objects are stored in the version that is marked so.
pub fn keep_stored_version(definition: &mut Object) {
    let versions = definition
        .get(&["spec", "versions"])
        .and_then(Value::as_array);
    let mut versions = versions.into_iter().flatten();
    let Some(stored) = versions.find(|version| version["storage"] == true) else {
        return;
    };
    let name = stored["name"].clone();
    let known = definition
        .get(&["status", "storedVersions"])
        .and_then(Value::as_array);
    let mut known = known.cloned().unwrap_or_default();
    if !known.contains(&name) {
        known.push(name);
        definition.set(&["status", "storedVersions"], known.into());
    }
}

/// Marks a definition whose deletion was asked for: it stays until its objects are gone. One that only names a kind
/// which is built in has none of its own.
pub fn terminate(definition: &mut Object) {
    let group = definition.text(&["spec", "group"]);
    if crate::built_in(group, definition.text(&["spec", "names", "plural"])).is_some() {
        return;
    }
    hold(definition);
    let now = definition.deletion_timestamp().unwrap_or("").to_owned();
    let words =
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let why = ("InstanceDeletionPending", words);
    let mut status = definition.get(&["status"]).cloned().unwrap_or_default();
    put_condition(&mut status, ("Terminating", true), why, &now);
    definition.set(&["status"], status);
}

fn hold(definition: &mut Object) {
    let finalizers = definition.finalizers().into_iter();
    let mut finalizers: Vec<Value> = finalizers.map(Value::from).collect();
    if !finalizers.contains(&json!(FINALIZER)) {
        finalizers.push(json!(FINALIZER));
        definition.set(&["metadata", "finalizers"], finalizers.into());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_follow_from_the_kind_and_versions_are_remembered() {
        let mut definition = Object::from_value(json!({
            "spec": {"names": {"kind": "CronTab", "plural": "crontabs"}, "versions": [{"name": "v1", "storage": true}]},
            "status": {"storedVersions": ["v1beta1"]},
        }))
        .unwrap();
        complete(&mut definition);
        keep_stored_version(&mut definition);
        let once = definition.clone();
        complete(&mut definition);
        keep_stored_version(&mut definition);
        assert_eq!(definition, once);
        assert_eq!(definition.text(&["spec", "names", "singular"]), "crontab");
        assert_eq!(
            definition.text(&["spec", "names", "listKind"]),
            "CronTabList"
        );
        assert_eq!(
            definition.get(&["status", "storedVersions"]),
            Some(&json!(["v1beta1", "v1"]))
        );
    }

    #[test]
    fn a_definition_that_goes_is_held_until_its_objects_are_gone() {
        let mut definition =
            Object::from_value(json!({"metadata": {"finalizers": ["example.com/x"]}})).unwrap();
        terminate(&mut definition);
        terminate(&mut definition);
        assert_eq!(definition.finalizers(), ["example.com/x", FINALIZER]);
        assert_eq!(
            definition.get(&["status", "conditions"]).unwrap()[0]["type"],
            "Terminating"
        );
        let mut ours = Object::from_value(json!({"spec": {"group": "gateway.networking.k8s.io", "names": {"plural": "gateways"}}})).unwrap();
        terminate(&mut ours);
        assert!(ours.finalizers().is_empty());
    }
}
