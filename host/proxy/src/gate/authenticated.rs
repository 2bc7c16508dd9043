//! Who was found to be behind a call.

use http::request::Parts;

use super::Decision;

/// A call whose tokens, if it brings any, are believed.
#[derive(Debug)]
pub struct Authenticated {
    /// The request's head as it goes on: without what is for the host alone, and with what tokens say.
    pub head: Parts,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
}
