//! Bindings: the groups of what they name.

use serde_json::{Map, Value};

use super::{child, children, default_text};
use crate::Object;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn binding(object: &mut Object) {
    let map = object.as_map_mut();
    if let Some(role) = child(map, "roleRef") {
        default_text(role, "apiGroup", GROUP);
    }
    for subject in children(map, "subjects") {
        if !is_account(subject) {
            default_text(subject, "apiGroup", GROUP);
        }
    }
}

fn is_account(subject: &Map<String, Value>) -> bool {
    subject
        .get("kind")
        .is_some_and(|kind| kind == "ServiceAccount")
}
