//! [`Document`]: bytes with the tag of their content.

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A document with the tag of its content.
#[derive(Clone, Debug)]
pub struct Document {
    /// What is sent.
    pub body: Bytes,
    /// Changes with the content, and only then.
    pub tag: String,
}

impl Document {
    pub(crate) fn new(value: &Value) -> Self {
        Self::of_bytes(value.to_string().into())
    }

    pub(crate) fn of_bytes(body: Bytes) -> Self {
        let digest = Sha256::digest(&body);
        let tag = digest.iter().take(16).map(|byte| format!("{byte:02X}"));
        Self {
            tag: tag.collect(),
            body,
        }
    }
}
