//! The structural schema of every kind.
use crate::{Fault, Object, Resource};
use serde_json::Value;

/// Every way in which the object's structure differs from its kind's schema.
pub fn check(_resource: &Resource, _object: &Object) -> Vec<Fault> {
    Vec::new()
}
/// The definition of a kind, with references as `#/components/schemas/NAME`.
pub fn document(resource: &Resource) -> &'static Value {
    definition(resource.schema).unwrap_or(&Value::Null)
}
/// One definition by name.
pub fn definition(_name: &str) -> Option<&'static Value> {
    None
}
/// Names of all definitions that those of `roots` refer to, themselves included, sorted.
pub fn closure(roots: &[&str]) -> Vec<&'static str> {
    let _ = roots;
    Vec::new()
}
/// Removes every field that the schema does not know; returns them as faults of kind Unknown.
pub fn prune(_resource: &Resource, _object: &mut Object) -> Vec<Fault> {
    Vec::new()
}
