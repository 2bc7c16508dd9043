//! HTTP containers: requests served by a bounded pool of instances, each reused for one request after another.
//!
//! The guest runs inside the caller's own task. Until the response head it is polled by [`HttpContainer::call`], then by
//! the response's body: nobody reads, nothing runs; the reader goes away, and the guest goes with it. A small response
//! is complete at the first poll and costs no task, no timer and no channel hop.

mod body;
mod exchange;
mod instance;
mod pool;

use crate::concurrent::Concurrent;
use crate::engine::Core;
use crate::guest::{Account, Guest};
use crate::{CallError, Container, Usage};
use exchange::Exchange;
use http::{Request, Response};
use osier_process::body::Body;
use pool::Pool;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// A container that serves HTTP. Clones share its instances.
#[derive(Clone)]
pub struct HttpContainer(Form);

#[derive(Clone)]
enum Form {
    /// A pool of instances, each of which serves one request at a time.
    Pool(Arc<Pool>),
    /// One instance for many requests at once (WASI 0.3).
    Concurrent(Arc<Concurrent>),
}

impl HttpContainer {
    pub(crate) fn new(core: Arc<Core>, pre: ProxyPre<Guest>, container: Container) -> Self {
        let pool = Arc::new(Pool::new(core.clone(), pre, container));
        core.reaper().watch(&pool);
        Self(Form::Pool(pool))
    }

    pub(crate) fn concurrent(concurrent: Arc<Concurrent>) -> Self {
        Self(Form::Concurrent(concurrent))
    }

    /// Hands a request to an instance. Dropping the future or the response's body stops the guest and costs that instance.
    ///
    /// # Errors
    /// See [`CallError`]; only this request is concerned.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let pool = match &self.0 {
            Form::Pool(pool) => pool,
            // Boxed: calls of a pool should not carry its room along.
            Form::Concurrent(concurrent) => return Box::pin(concurrent.call(request)).await,
        };
        let slot = pool.slot().await?;
        let mut exchange = Some(Exchange::begin(pool.clone(), slot, request)?);
        poll_fn(|cx| exchange::poll_head(&mut exchange, cx)).await
    }

    /// Makes one instance, to prove that it can be made, and keeps it for the first request.
    ///
    /// # Errors
    /// If the guest cannot be instantiated.
    pub async fn start(&self) -> Result<(), CallError> {
        let pool = match &self.0 {
            Form::Pool(pool) => pool,
            Form::Concurrent(concurrent) => return concurrent.start().await,
        };
        let slot = pool.slot().await?;
        let mut exchange = Exchange::warm(pool.clone(), slot)?;
        let instance = poll_fn(|cx| exchange.poll(cx)).await?;
        pool.give_back(instance);
        Ok(())
    }

    /// What it has used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match &self.0 {
            Form::Pool(pool) => pool.usage(),
            Form::Concurrent(concurrent) => concurrent.ledger.usage(),
        }
    }

    /// To which what runs beside it is accounted.
    #[must_use]
    pub fn account(&self) -> Account {
        Account(match &self.0 {
            Form::Pool(pool) => pool.ledger.clone(),
            Form::Concurrent(concurrent) => concurrent.ledger.clone(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn container(&self) -> &Container {
        match &self.0 {
            Form::Pool(pool) => &pool.container,
            Form::Concurrent(concurrent) => &concurrent.container,
        }
    }

    /// Refuses new requests, lets those in flight finish for `grace`, then stops them.
    pub async fn stop(&self, grace: Duration) {
        match &self.0 {
            Form::Pool(pool) => pool.stop(grace).await,
            Form::Concurrent(concurrent) => concurrent.stop(grace).await,
        }
    }
}
