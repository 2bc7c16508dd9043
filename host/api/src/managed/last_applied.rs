//! The way from client-side apply: what `kubectl apply` wrote before, `kubectl apply --server-side` may take over.

use serde_json::Value;

use super::Application;
use crate::{Object, schema};
use osier_structured::{self as structured, Conflict, FieldSet};

/// Where client-side apply keeps its last configuration.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Only this manager moves over; another name keeps the two apart.
const MANAGER: &str = "kubectl";

/// The conflicts that do not come from an earlier client-side apply of the same values.
pub(super) fn not_from_client(
    application: &Application<'_>,
    conflicts: Vec<Conflict>,
) -> Vec<Conflict> {
    if application.author.manager != MANAGER {
        return conflicts;
    }
    let allowed = allowed(application).unwrap_or_default();
    conflicts
        .into_iter()
        .filter(|conflict| !allowed.contains(&conflict.path.0))
        .collect()
}

/// What client-side apply set and nobody changed since.
fn allowed(application: &Application<'_>) -> Option<FieldSet> {
    let text = application.live.annotation(ANNOTATION)?;
    let value: Value = serde_json::from_str(text).ok()?;
    let mut last = Object::from_value(value).ok()?;
    schema::normalize(application.form.resource, &mut last);
    let (schema, last) = (application.form.schema(), last.to_value());
    let set = structured::field_set(schema, &last).ok()?;
    let since = structured::compare(schema, &last, &application.live.to_value()).ok()?;
    Some(set.difference(&since.written().union(since.removed)))
}

/// An object that has the annotation gets the new configuration in it, so that client-side apply can go on from there.
pub(super) fn keep_annotation(application: &mut Application<'_>, applied: &mut Object) {
    let tracked = application.live.annotation(ANNOTATION).is_some();
    if application.author.manager != MANAGER || !tracked {
        return;
    }
    let mut config = application.config.clone();
    config.remove(&["metadata", "annotations", ANNOTATION]);
    if let Ok(text) = serde_json::to_string(&config) {
        let text = Value::String(format!("{text}\n"));
        applied.set(&["metadata", "annotations", ANNOTATION], text);
    }
}
