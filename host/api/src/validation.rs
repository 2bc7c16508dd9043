//! The rules that a schema cannot say.
use crate::{Fault, Object, Resource};
/// Faults of a new object.
pub fn validate_create(_resource: &Resource, _object: &Object) -> Vec<Fault> {
    Vec::new()
}
/// Faults of a changed object.
pub fn validate_update(_resource: &Resource, _old: &Object, _new: &Object) -> Vec<Fault> {
    Vec::new()
}
/// Fields that a Wasm pod cannot honour, for `Warning` headers.
pub fn warnings(_resource: &Resource, _object: &Object) -> Vec<String> {
    Vec::new()
}
