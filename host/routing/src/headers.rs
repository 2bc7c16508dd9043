//! Header operations, checked when they are compiled so that applying them cannot fail.

use http::{HeaderMap, HeaderName, HeaderValue};

/// One change to a header map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderOperation {
    /// Replaces every value of the header.
    Set(HeaderName, HeaderValue),
    /// Adds one value, keeping the others.
    Add(HeaderName, HeaderValue),
    /// Removes every value.
    Remove(HeaderName),
}

impl HeaderOperation {
    /// Applies the change.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Set(name, value) => drop(headers.insert(name, value.clone())),
            Self::Add(name, value) => drop(headers.append(name, value.clone())),
            Self::Remove(name) => drop(headers.remove(name)),
        }
    }
}

/// Header changes of a route or of one destination, in the order removal, set, add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Changes to the request before it is forwarded.
    pub request: Vec<HeaderOperation>,
    /// Changes to the response before it is returned.
    pub response: Vec<HeaderOperation>,
}
