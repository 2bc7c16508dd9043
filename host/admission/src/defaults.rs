//! Defaults of admission policies and webhooks.

use osier_api::Object;
use serde_json::{Map, Value, json};

/// Fills what the client left out of an object of these kinds. Applying it twice changes nothing more.
pub fn complete(object: &mut Object) {
    let mutating = object.kind() == "MutatingWebhookConfiguration";
    match object.kind() {
        "ValidatingAdmissionPolicy" => policy(object.as_map_mut()),
        "ValidatingAdmissionPolicyBinding" => binding(object.as_map_mut()),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            webhooks(object.as_map_mut(), mutating);
        }
        _ => {}
    }
}

fn default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.entry(key).or_insert_with(|| value.into());
}

/// As [`default`], of a text that counts as absent when it is empty.
fn default_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    let said = map.get(key).and_then(Value::as_str).unwrap_or("");
    if said.is_empty() {
        map.insert(key.to_owned(), value.into());
    }
}

fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key)?.as_object_mut()
}

fn children<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = map.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Of `ValidatingAdmissionPolicy`.
fn policy(object: &mut Map<String, Value>) {
    let Some(spec) = child(object, "spec") else {
        return;
    };
    default_text(spec, "failurePolicy", "Fail");
    if let Some(constraints) = child(spec, "matchConstraints") {
        resources(constraints);
    }
}

/// Of `ValidatingAdmissionPolicyBinding`.
fn binding(object: &mut Map<String, Value>) {
    let spec = child(object, "spec");
    if let Some(narrowed) = spec.and_then(|spec| child(spec, "matchResources")) {
        resources(narrowed);
    }
}

fn resources(matched: &mut Map<String, Value>) {
    default_text(matched, "matchPolicy", "Equivalent");
    default(matched, "namespaceSelector", json!({}));
    default(matched, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in children(matched, list) {
            default_text(rule, "scope", "*");
        }
    }
}

/// Of both kinds of webhooks.
fn webhooks(object: &mut Map<String, Value>, mutating: bool) {
    for webhook in children(object, "webhooks") {
        default_text(webhook, "failurePolicy", "Fail");
        default_text(webhook, "matchPolicy", "Equivalent");
        default(webhook, "namespaceSelector", json!({}));
        default(webhook, "objectSelector", json!({}));
        default(webhook, "timeoutSeconds", 10);
        if mutating {
            default_text(webhook, "reinvocationPolicy", "Never");
        }
        for rule in children(webhook, "rules") {
            default_text(rule, "scope", "*");
        }
        let client = child(webhook, "clientConfig");
        if let Some(service) = client.and_then(|client| child(client, "service")) {
            default(service, "port", 443);
        }
    }
}
