//! What a check answers to the data plane.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// A change to a message's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderOperation {
    /// Replaces every value of that name.
    Set(HeaderName, HeaderValue),
    /// Adds a value.
    Append(HeaderName, HeaderValue),
    /// Removes every value of that name.
    Remove(HeaderName),
}

/// May the call pass?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow(Approval),
    /// No.
    Deny(Box<Denial>),
}

/// The call passes, perhaps changed. Empty (and free of allocation) when no policy matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// For the request, in order.
    pub request_headers: Vec<HeaderOperation>,
    /// For the response, in order.
    pub response_headers: Vec<HeaderOperation>,
    /// Policies that were asked, with the plugins that answered.
    pub decided_by: Vec<(Arc<str>, Arc<str>)>,
    /// Denials of policies in shadow mode: what would have happened.
    pub shadow: Vec<Denial>,
}

/// The call does not pass; this is the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body of the answer.
    pub body: Bytes,
    /// `NAMESPACE/NAME` of the policy that decided.
    pub policy: Arc<str>,
    /// `NAMESPACE/NAME` of the plugin that decided.
    pub plugin: Arc<str>,
    /// Why, for logs; never sent to the caller.
    pub reason: String,
    /// True: the plugin gave no answer and the failure policy is Fail.
    pub failed: bool,
}
