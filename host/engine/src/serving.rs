//! HTTP containers.
use crate::{CallError, Usage};
use http::{Request, Response};
use osier_process::body::Body;
use std::time::Duration;

/// A container that serves HTTP with a pool of instances. Clones share the pool.
#[derive(Clone)]
pub struct HttpContainer {}

impl HttpContainer {
    /// Hands a request to an instance. Dropping the future or the response's body stops the guest and costs that instance.
    ///
    /// # Errors
    /// See [`CallError`]; only this request is concerned.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        drop(request);
        todo!()
    }

    /// Makes one instance, to prove that it can be made, and keeps it for the first request.
    ///
    /// # Errors
    /// If the guest cannot be instantiated.
    pub async fn start(&self) -> Result<(), CallError> {
        todo!()
    }

    /// What it has used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        todo!()
    }

    /// Refuses new requests, lets those in flight finish for `grace`, then stops them.
    pub async fn stop(&self, grace: Duration) {
        let _ = grace;
        todo!()
    }
}
