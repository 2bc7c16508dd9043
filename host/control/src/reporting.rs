//! Writes what a controller found into the status of its object, if that says something new.

use osier_api::{Object, Resource};
use osier_client::{Client, ClientError, Part};
use serde_json::{Value, json};

use crate::reconcile::gone_is_fine;

/// Merges `status` into the object's, unless it says all of that already; `null` takes a field away.
pub(crate) async fn report(
    client: &Client,
    resource: &'static Resource,
    object: &Object,
    status: Value,
) -> Result<(), ClientError> {
    if says(object.get(&["status"]), &status) {
        return Ok(());
    }
    let of = (object.namespace(), object.name());
    let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
    gone_is_fine(client.patch(resource, of, patch, Part::Status).await)
}

/// The same, where the status is true only of the object's state as it is: another write that came between is a conflict, after
/// which it is counted anew.
pub(crate) async fn report_from(
    client: &Client,
    resource: &'static Resource,
    object: &Object,
    status: Value,
) -> Result<(), ClientError> {
    if says(object.get(&["status"]), &status) {
        return Ok(());
    }
    let of = (object.namespace(), object.name());
    let version = object.resource_version().to_string();
    let metadata = json!({"uid": object.uid(), "resourceVersion": version});
    let patch = json!({"metadata": metadata, "status": status});
    gone_is_fine(client.patch(resource, of, patch, Part::Status).await)
}

/// Merging `wanted` into `current` would change nothing.
fn says(current: Option<&Value>, wanted: &Value) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    fields.into_iter().all(|(field, value)| {
        let now = current.and_then(|current| current.get(field));
        now.unwrap_or(&Value::Null) == value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_written() {
        let current = json!({"replicas": 1, "other": true});
        assert!(says(Some(&current), &json!({"replicas": 1, "gone": null})));
        assert!(!says(Some(&current), &json!({"replicas": 2})));
        assert!(!says(Some(&current), &json!({"other": null})));
        assert!(!says(None, &json!({"replicas": 0})));
    }
}
