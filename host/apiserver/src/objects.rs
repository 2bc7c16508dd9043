//! Objects in the store: their keys, and how they are written down.
//!
//! The stored bytes are the object in its storage version without `metadata.resourceVersion`; that is the revision of
//! the write, and is put in when the object is read.

mod raw;
mod versions;

use bytes::Bytes;
use osier_api::resources::stored_as;
use osier_api::{Object, Resource, Status};
use serde_json::Value;

use crate::target::Address;
use osier_store::{Entry, Key, StoreError};
pub(crate) use raw::with_revision;
pub(crate) use versions::{deprecation, in_version};

/// The key prefix of all objects of a resource, or of those in one namespace.
pub(crate) fn prefix(resource: &'static Resource, namespace: &str) -> String {
    let group = group(resource);
    match namespace {
        "" => format!("{group}/{}/", resource.plural),
        namespace => format!("{group}/{}/{namespace}/", resource.plural),
    }
}

/// The key of an object. Resources without namespaces have an empty part there.
pub(crate) fn key(resource: &'static Resource, namespace: &str, name: &str) -> Key {
    let group = group(resource);
    format!("{group}/{}/{namespace}/{name}", resource.plural).into()
}

/// The first part of keys: where a kind is another's in a second shape, that of the other.
fn group(resource: &'static Resource) -> &'static str {
    match stored_as(resource).group {
        "" => "core",
        group => group,
    }
}

/// The object in the bytes of one write.
pub(crate) fn decode(value: &[u8], revision: u64) -> Result<Object, Status> {
    let damaged =
        |error: String| Status::internal(format!("a stored object cannot be read: {error}"));
    let value: Value = serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
    let mut object = Object::from_value(value).map_err(|error| damaged(error.to_string()))?;
    object.set_resource_version(revision);
    Ok(object)
}

/// The object of an entry.
pub(crate) fn read(entry: &Entry) -> Result<Object, Status> {
    decode(&entry.value, entry.modified)
}

/// What an entry says of its object beside what it is: `apiVersion`, `kind` and the metadata. The rest is not even looked at.
pub(crate) fn head(entry: &Entry) -> Result<Object, Status> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: Value,
        kind: Value,
        metadata: Value,
    }
    let read = serde_json::from_slice(&entry.value);
    let head: Head =
        read.map_err(|error| Status::internal(format!("a stored object cannot be read: {error}")))?;
    let mut object = Object::default();
    for (field, value) in [
        ("apiVersion", head.api_version),
        ("kind", head.kind),
        ("metadata", head.metadata),
    ] {
        object.set(&[field], value);
    }
    object.set_resource_version(entry.modified);
    Ok(object)
}

/// The bytes to store.
pub(crate) fn encode(object: &Object) -> Result<Bytes, Status> {
    let mut object = object.clone();
    object.remove(&["metadata", "resourceVersion"]);
    let written = serde_json::to_vec(&object);
    // The buffer grew by doubling; the bytes live as long as the object, so what is spare is given back.
    written
        .map(|bytes| Bytes::from(bytes.into_boxed_slice()))
        .map_err(|error| Status::internal(format!("the object cannot be written: {error}")))
}

/// A stored object as callers at this address see it: in their version, with the defaults that its schema has by now.
pub(crate) fn shown(address: &Address, object: Object) -> Object {
    let mut object = in_version(object, &address.api_version());
    if let Some(custom) = &address.custom {
        custom.complete(&mut object);
    }
    object
}

/// What a failure of the store means to a caller.
pub(crate) fn unavailable(error: &StoreError) -> Status {
    // The store said itself that it has no room, and whoever writes meanwhile need not repeat it.
    if !matches!(error, StoreError::NoRoom { .. }) {
        tracing::error!(%error, "the store failed");
    }
    let words = error.to_string();
    match error {
        StoreError::TooLarge { .. } => Status::new(413, "RequestEntityTooLarge", words),
        StoreError::TooManyWatches { .. } => Status::too_many_requests(words, 1),
        StoreError::NoRoom { .. }
        | StoreError::Failed { .. }
        | StoreError::Full { .. }
        | StoreError::Unreachable { .. }
        | StoreError::Closed => Status::unavailable(words),
        _ => Status::internal(words),
    }
}
