//! How objects are written down: in their storage version, without `metadata.resourceVersion`, which is the revision of the write and
//! is put in when the object is read.

mod raw;

use bytes::Bytes;
use osier_api::{Object, Status};
use serde_json::Value;

pub(crate) use raw::with_revision;

/// The bytes of one object, and the revision of the write that made them.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// What [`encode`] made.
    pub bytes: &'a [u8],
    /// `metadata.resourceVersion`.
    pub revision: u64,
}

impl Stored<'_> {
    /// The object.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn read(self) -> Result<Object, Status> {
        let value: Value = serde_json::from_slice(self.bytes).map_err(damaged)?;
        let mut object = Object::from_value(value).map_err(damaged)?;
        object.set_resource_version(self.revision);
        Ok(object)
    }

    /// What is said of the object beside what it is: `apiVersion`, `kind` and the metadata. The rest is not even looked at.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn head(self) -> Result<Object, Status> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            api_version: Value,
            kind: Value,
            metadata: Value,
        }
        let head: Head = serde_json::from_slice(self.bytes).map_err(damaged)?;
        let mut object = Object::default();
        for (field, value) in [
            ("apiVersion", head.api_version),
            ("kind", head.kind),
            ("metadata", head.metadata),
        ] {
            object.set(&[field], value);
        }
        object.set_resource_version(self.revision);
        Ok(object)
    }
}

fn damaged(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("a stored object cannot be read: {error}"))
}

/// The bytes to store.
///
/// # Errors
/// None that is known: an object can always be written.
pub fn encode(object: &Object) -> Result<Bytes, Status> {
    let mut object = object.clone();
    object.remove(&["metadata", "resourceVersion"]);
    let written = serde_json::to_vec(&object);
    // The buffer grew by doubling; the bytes live as long as the object, so what is spare is given back.
    written
        .map(|bytes| Bytes::from(bytes.into_boxed_slice()))
        .map_err(|error| Status::internal(format!("the object cannot be written: {error}")))
}
