//! Protobuf bodies, which current `kubectl create ...` commands send for the kinds they have types for.

use osier_api::Status;
use serde_json::Value;

/// The type of such bodies.
pub(crate) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// Reads a body: an envelope with the kind, and the object in it.
pub(crate) fn decode(_bytes: &[u8]) -> Result<Value, Status> {
    Err(Status::unsupported_media_type(&[
        "application/json",
        "application/yaml",
    ]))
}
