//! Server-side printing: columns and rows of every kind.
use crate::{Object, Resource};
use serde_json::Value;
/// Which part of each object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// `includeObject=None`.
    None,
    /// `includeObject=Metadata`, the default.
    #[default]
    Metadata,
    /// `includeObject=Object`.
    Object,
}
/// A meta.k8s.io/v1 Table of the objects; rows carry PartialObjectMetadata.
pub fn render(resource: &Resource, objects: &[Object], now: jiff::Timestamp) -> Value {
    render_with(resource, objects, now, Include::Metadata)
}
/// As [`render`], choosing what rows carry. Put list metadata into `metadata` afterwards.
pub fn render_with(
    _resource: &Resource,
    _objects: &[Object],
    _now: jiff::Timestamp,
    _include: Include,
) -> Value {
    Value::Null
}
