//! The three patch formats: JSON Patch, JSON Merge Patch, strategic merge patch.

mod order;
mod strategic;

use serde_json::Value;

use crate::Resource;

/// More operations than this in one JSON patch are refused, as upstream does.
const MOST_OPERATIONS: usize = 10_000;

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch does not fit the object (a failed `test`, a path that is not there): 422.
    #[error("{0}")]
    Unprocessable(String),
    /// The kind has no strategic merge patch: 415.
    #[error("strategic merge patch is not supported for {0}; use application/merge-patch+json")]
    Unsupported(String),
}

/// RFC 6902: a list of operations, all or none.
pub fn json(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| PatchError::Malformed(format!("error decoding JSON patch: {error}")))?;
    if operations.len() > MOST_OPERATIONS {
        let count = operations.len();
        let detail = format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {count}"
        );
        return Err(PatchError::Malformed(detail));
    }
    let mut patched = target.clone();
    json_patch::patch(&mut patched, &operations).map_err(|error| {
        PatchError::Unprocessable(format!("the JSON patch does not fit the object: {error}"))
    })?;
    Ok(patched)
}

/// RFC 7386: maps are merged, null removes, everything else replaces.
pub fn merge(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed(
            "a merge patch must be a JSON object".to_owned(),
        ));
    }
    let mut patched = target.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

/// Kubernetes' strategic merge patch: as merge, but lists are merged by the keys that the kind's schema names, and
/// the directives `$patch`, `$setElementOrder/F`, `$deleteFromPrimitiveList/F` and `$retainKeys` are followed.
pub fn strategic(resource: &Resource, target: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !resource.strategic() {
        return Err(PatchError::Unsupported(resource.qualified()));
    }
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            let schema = crate::schema::document(resource);
            strategic::merge_maps(target.clone(), patch, Some(schema)).map(Value::Object)
        }
        _ => Err(PatchError::Malformed(
            "a strategic merge patch must be a JSON object".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
