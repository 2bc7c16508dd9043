//! `osier:filter`.

use super::{HeaderOperation, NewHeader};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The exchange that a message belongs to.
#[derive(Clone, Copy, Debug, Default, ComponentType, Lower)]
#[component(record)]
pub struct Exchange<'a> {
    /// Request id.
    pub id: &'a str,
    /// At the destination.
    pub inbound: bool,
    /// Verified identity of the caller, or empty.
    pub source: &'a str,
    /// Host of the called service, or empty.
    pub service: &'a str,
    /// Method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path with query.
    pub path: &'a str,
}

/// One change to a message.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Operation {
    /// Of a header.
    #[component(name = "header")]
    Header(HeaderOperation),
    /// Of the path with query.
    #[component(name = "path")]
    Path(String),
    /// Of the authority.
    #[component(name = "authority")]
    Authority(String),
    /// Of the method.
    #[component(name = "method")]
    Method(String),
    /// Of the status.
    #[component(name = "status")]
    Status(u16),
}

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Headers.
    pub headers: Vec<NewHeader>,
    /// Body.
    pub body: Vec<u8>,
    /// Why, for logs.
    pub reason: String,
}

/// What becomes of a message when its head is known.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum HeadVerdict {
    /// It goes on.
    #[component(name = "proceed")]
    Proceed(Vec<Operation>),
    /// This is sent instead.
    #[component(name = "respond")]
    Respond(Response),
    /// The decision needs the body, of at most so many bytes.
    #[component(name = "need-body")]
    NeedBody(u64),
}

/// Changes to a message whose body is known.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Changes {
    /// To the head.
    pub operations: Vec<Operation>,
    /// The new body, if it changes.
    pub body: Option<Vec<u8>>,
}

/// What becomes of a message when its body is known.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum BodyVerdict {
    /// It goes on.
    #[component(name = "proceed")]
    Proceed(Changes),
    /// This is sent instead.
    #[component(name = "respond")]
    Respond(Response),
}
