//! Filters that take exchanges whole.

use http::{Request, Response};
use osier_process::Boxed;
use osier_process::body::Body;

use super::Reply;

/// What a filter made of a request that it was handed.
pub enum Carried {
    /// This goes on; the answer to it goes back through the passage, if there is one.
    On(Request<Body>, Option<Box<dyn Passage>>),
    /// The filter answers itself.
    Answer(Response<Body>),
    /// There was no answer, and this is sent instead.
    Respond(Reply),
}

/// An exchange that waits for its answer. Dropping it ends what the filter does about it.
pub trait Passage: Send {
    /// What the filter makes of the answer. Bounded in time.
    fn back(
        self: Box<Self>,
        response: Response<Body>,
    ) -> Boxed<'static, Result<Response<Body>, Reply>>;
}
