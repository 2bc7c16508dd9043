//! Columns of roles and bindings.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, Layout, NAME, array, joined, since_creation, text, wide};
use crate::Object;

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
