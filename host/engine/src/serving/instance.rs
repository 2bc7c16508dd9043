//! One instance of an HTTP component, through all the requests that it serves.

use super::pool::Pool;
use crate::guest::{Guest, Slice};
use crate::network::error_for_guest;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use osier_process::body::Body;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

/// Where the guest's answer appears, during a poll of the guest.
pub(super) type Head = Arc<Mutex<Option<Result<Response<WasiBody>, ErrorCode>>>>;

pub(super) struct Instance {
    store: Store<Guest>,
    /// None until the first use.
    proxy: Option<Proxy>,
    slice: Arc<Slice>,
    head: Head,
    served: u32,
}

impl Instance {
    pub(super) fn new(store: Store<Guest>, slice: Arc<Slice>) -> Self {
        Self {
            store,
            proxy: None,
            slice,
            head: Head::default(),
            served: 0,
        }
    }

    pub(super) fn slice(&self) -> Arc<Slice> {
        self.slice.clone()
    }

    pub(super) fn head(&self) -> Head {
        self.head.clone()
    }

    pub(super) fn served(&self) -> u32 {
        self.served
    }

    pub(super) fn guest(&self) -> &Guest {
        self.store.data()
    }

    /// Instantiates the component, if that has not happened.
    pub(super) async fn warm(mut self, pool: &Pool) -> (Self, wasmtime::Result<()>) {
        let warmed = self.proxy(pool).await.map(drop);
        (self, warmed)
    }

    /// Hands one request to the guest and runs it until it returns.
    pub(super) async fn serve(
        mut self,
        pool: &Pool,
        request: Request<Body>,
    ) -> (Self, wasmtime::Result<()>) {
        self.served += 1;
        self.store.data_mut().memory.forget();
        let served = self.handle(pool, request).await;
        (self, served)
    }

    async fn proxy(&mut self, pool: &Pool) -> wasmtime::Result<()> {
        if self.proxy.is_none() {
            let made = match pool.pre.instantiate_async(&mut self.store).await {
                Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                    pool.core.reaper().cool_all();
                    pool.pre.instantiate_async(&mut self.store).await
                }
                made => made,
            };
            self.proxy = Some(made?);
        }
        Ok(())
    }

    async fn handle(&mut self, pool: &Pool, request: Request<Body>) -> wasmtime::Result<()> {
        self.proxy(pool).await?;
        let Some(proxy) = &self.proxy else {
            return Ok(());
        };
        let scheme = match request.uri().scheme() {
            Some(scheme) if *scheme == http::uri::Scheme::HTTPS => Scheme::Https,
            _ => Scheme::Http,
        };
        let mut view = self.store.data_mut().http();
        let request = view.new_incoming_request(scheme, addressed(request).map(Incoming))?;
        let head = self.head.clone();
        let answer =
            view.new_response_outparam_from_callback(move |answer| *head.lock() = Some(answer))?;
        proxy
            .wasi_http_incoming_handler()
            .call_handle(&mut self.store, request, answer)
            .await
    }
}

/// wasi:http knows no request without an authority; HTTP/1.0 does.
fn addressed(mut request: Request<Body>) -> Request<Body> {
    let named = |host: &HeaderValue| host.to_str().is_ok();
    if request.uri().authority().is_none() && !request.headers().get(HOST).is_some_and(named) {
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("localhost"));
    }
    request
}

/// A request's body on its way into a guest.
struct Incoming(Body);

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.0)
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(error_for_guest)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
