//! Objects in the store: their keys, what is read of an entry, and what a failure of the store means.

use osier_answers::in_version;
use osier_answers::stored::Stored;
use osier_api::resources::stored_as;
use osier_api::{Object, Resource, Status};

use crate::target::Address;
pub(crate) use osier_answers::stored::encode;
use osier_store::{Entry, Key, StoreError};

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
pub(crate) fn decode(bytes: &[u8], revision: u64) -> Result<Object, Status> {
    Stored { bytes, revision }.read()
}

/// The bytes of an entry and their revision.
pub(crate) fn stored(entry: &Entry) -> Stored<'_> {
    Stored {
        bytes: &entry.value,
        revision: entry.modified,
    }
}

/// The object of an entry.
pub(crate) fn read(entry: &Entry) -> Result<Object, Status> {
    stored(entry).read()
}

/// What an entry says of its object beside what it is: `apiVersion`, `kind` and the metadata.
pub(crate) fn head(entry: &Entry) -> Result<Object, Status> {
    stored(entry).head()
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
