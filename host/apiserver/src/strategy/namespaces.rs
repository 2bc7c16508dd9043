//! Namespaces: kept by `spec.finalizers` until their content is gone.

use osier_api::{Object, Status, resources};
use serde_json::{Value, json};

use super::Strategy;

/// Namespaces that everything relies on.
const PERMANENT: [&str; 4] = ["default", "kube-system", "kube-public", "osier-system"];

pub(super) struct Namespaces;

impl Strategy for Namespaces {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["spec"], json!({"finalizers": ["kubernetes"]}));
        object.set(&["status"], json!({"phase": "Active"}));
        name_label(object);
    }

    fn prepare_update(&self, old: &Object, new: &mut Object) {
        let finalizers = old.get(&["spec", "finalizers"]).cloned();
        match finalizers {
            Some(finalizers) => new.set(&["spec", "finalizers"], finalizers),
            None => drop(new.remove(&["spec", "finalizers"])),
        }
        name_label(new);
    }

    fn may_delete(&self, object: &Object) -> Result<(), Status> {
        if PERMANENT.contains(&object.name()) {
            return Err(Status::forbidden(
                &resources::NAMESPACES,
                object.name(),
                "this namespace may not be deleted",
            ));
        }
        Ok(())
    }

    fn held(&self, object: &Object) -> bool {
        let finalizers = object
            .get(&["spec", "finalizers"])
            .and_then(Value::as_array);
        finalizers.is_some_and(|finalizers| !finalizers.is_empty())
    }

    fn marked(&self, object: &mut Object) {
        object.set(&["status", "phase"], json!("Terminating"));
    }

    fn generations(&self) -> bool {
        false
    }
}

/// Selectors find a namespace by this label, whatever the caller wrote.
fn name_label(object: &mut Object) {
    let name = object.name().to_owned();
    object.set(
        &["metadata", "labels", "kubernetes.io/metadata.name"],
        json!(name),
    );
}
