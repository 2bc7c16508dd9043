//! The three patch formats.
use crate::Resource;
use serde_json::Value;
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
/// RFC 6902.
pub fn json(target: &Value, _patch: &Value) -> Result<Value, PatchError> {
    Ok(target.clone())
}
/// RFC 7386.
pub fn merge(target: &Value, _patch: &Value) -> Result<Value, PatchError> {
    Ok(target.clone())
}
/// Strategic merge, by the schema of the kind.
pub fn strategic(
    _resource: &Resource,
    target: &Value,
    _patch: &Value,
) -> Result<Value, PatchError> {
    Ok(target.clone())
}
