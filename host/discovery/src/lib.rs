//! What a server tells of the kinds that it serves: discovery in its forms, OpenAPI v3, and v2 as protobuf and JSON.
//!
//! All documents are made from a list of kinds by pure functions, each with a tag of its content; they are made anew when a kind
//! comes or goes. It is not the routing, and it answers nobody: that is the API server. It imports nothing that touches a socket, a
//! file, a clock or a lock.

mod document;
mod groups;
mod openapi;
mod openapi_v2;
mod swagger;

use osier_api::{Resource, resources};
use serde_json::Value;

pub use document::Document;
pub use groups::{Documents as Discovery, Form};
pub use openapi::Documents as OpenApi;
pub use openapi_v2::MEDIA as OPENAPI_V2;
pub use swagger::swagger;

/// One kind, or one version of it, as the documents tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its names.
    pub resource: &'static Resource,
    /// Its schema, if it is not one of ours.
    pub document: Option<&'a Value>,
}

/// The kinds that are built in.
pub fn built_in() -> Vec<Entry<'static>> {
    let entry = |resource: &&'static Resource| Entry {
        resource,
        document: None,
    };
    resources::all().iter().map(entry).collect()
}

#[cfg(test)]
mod tests;
