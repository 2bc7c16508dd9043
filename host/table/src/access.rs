//! Columns of roles and bindings.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, Layout, NAME, array, joined, since_creation, text, wide};
use osier_api::Object;

pub(super) const ROLES: Layout = Layout {
    columns: &[NAME, text("Created At", "When the object was created.")],
    cells: |object, _| {
        vec![
            object.name().into(),
            object.creation_timestamp().unwrap_or("").into(),
        ]
    },
};

const ROLE: Column = text("Role", "The role that is given.");

pub(super) const BINDINGS: Layout = Layout {
    columns: &[
        NAME,
        ROLE,
        AGE,
        wide("Users", "Users who have the role."),
        wide("Groups", "Groups that have the role."),
        wide("ServiceAccounts", "Service accounts that have the role."),
    ],
    cells: binding,
};

pub(super) const SIGNING_REQUESTS: Layout = Layout {
    columns: &[
        NAME,
        AGE,
        text("SignerName", "Who is to sign."),
        text("Requestor", "Who asks."),
        text("RequestedDuration", "How long the certificate is to hold."),
        text("Condition", "What became of it."),
    ],
    cells: signing_request,
};

fn signing_request(object: &Object, now: Timestamp) -> Vec<Value> {
    let conditions = array(object, &["status", "conditions"]);
    let words = conditions
        .iter()
        .filter_map(|condition| condition["type"].as_str());
    let mut words: Vec<&str> = words.collect();
    if words.is_empty() {
        words.push("Pending");
    } else if !object.text(&["status", "certificate"]).is_empty() {
        words.push("Issued");
    }
    let asked = object.get(&["spec", "expirationSeconds"]);
    let asked = asked.and_then(Value::as_i64);
    vec![
        object.name().into(),
        since_creation(object, now),
        object.text(&["spec", "signerName"]).into(),
        object.text(&["spec", "username"]).into(),
        asked.map_or("<none>".into(), |seconds| format!("{seconds}s").into()),
        words.join(",").into(),
    ]
}

fn full_name(subject: &Value) -> String {
    let text = |key: &str| subject[key].as_str().unwrap_or("").to_owned();
    match text("namespace") {
        namespace if namespace.is_empty() => text("name"),
        namespace => format!("{namespace}/{}", text("name")),
    }
}

fn binding(object: &Object, now: Timestamp) -> Vec<Value> {
    let role = object.text(&["roleRef", "name"]);
    let subjects = array(object, &["subjects"]);
    let of = |kind: &str| -> Vec<String> {
        let named = subjects.iter().filter(|subject| subject["kind"] == kind);
        named.map(full_name).collect()
    };
    let list = |names: Vec<String>| match names.is_empty() {
        true => "".into(),
        false => joined(names.iter().map(String::as_str)),
    };
    vec![
        object.name().into(),
        format!("{}/{role}", object.text(&["roleRef", "kind"])).into(),
        since_creation(object, now),
        list(of("User")),
        list(of("Group")),
        list(of("ServiceAccount")),
    ]
}
