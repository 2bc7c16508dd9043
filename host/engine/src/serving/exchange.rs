//! One request in the hands of a guest, from its slot to the return of the instance.

use super::body::{self, GuestBody};
use super::instance::{Head, Instance};
use super::pool::{Pool, Slot};
use crate::metered::Metered;
use crate::{CallError, trap};
use http::{Method, Request, Response};
use osier_process::body::Body;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// A running guest. Dropping it unwinds the guest, discards the instance and frees the slot, in this order.
pub(super) struct Exchange {
    guest: Metered<(Instance, wasmtime::Result<()>)>,
    head: Head,
    /// Rings when the guest must end though it waits. Set when the guest first waits: most never do.
    alarm: Option<Pin<Box<dyn Future<Output = CallError> + Send>>>,
    /// No response head after this.
    due: Option<Instant>,
    method: Method,
    pool: Arc<Pool>,
    _slot: Slot,
}

impl Exchange {
    /// Gives `request` to an instance; nothing runs until the first poll.
    pub(super) fn begin(
        pool: Arc<Pool>,
        slot: Slot,
        request: Request<Body>,
    ) -> Result<Self, CallError> {
        pool.ledger.requests.fetch_add(1, Ordering::Relaxed);
        let method = request.method().clone();
        Self::new(pool, slot, method, |instance, pool| async move {
            instance.serve(&pool, request).await
        })
    }

    /// Only instantiates.
    pub(super) fn warm(pool: Arc<Pool>, slot: Slot) -> Result<Self, CallError> {
        Self::new(pool, slot, Method::GET, |instance, pool| async move {
            instance.warm(&pool).await
        })
    }

    fn new<F>(
        pool: Arc<Pool>,
        slot: Slot,
        method: Method,
        run: impl FnOnce(Instance, Arc<Pool>) -> F,
    ) -> Result<Self, CallError>
    where
        F: Future<Output = (Instance, wasmtime::Result<()>)> + Send + 'static,
    {
        let instance = pool.instance()?;
        let (slice, head) = (instance.slice(), instance.head());
        let guest = Metered::new(run(instance, pool.clone()), slice, pool.ledger.clone());
        let due = Some(Instant::now() + pool.container.request_deadline);
        Ok(Self {
            guest,
            head,
            alarm: None,
            due,
            method,
            pool,
            _slot: slot,
        })
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Runs the guest until it returns, waits, has used up its time or must stop. After an error, drop the exchange.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Instance, CallError>> {
        let ended = match Pin::new(&mut self.guest).poll(cx) {
            Poll::Ready((instance, Ok(()))) => return Poll::Ready(Ok(instance)),
            Poll::Ready((instance, Err(error))) => trap::classify(&error, &instance.guest().memory),
            Poll::Pending if self.guest.busy() > self.pool.container.request_deadline => {
                self.late()
            }
            Poll::Pending => ready!(self.poll_alarm(cx)),
        };
        if !matches!(ended, CallError::Stopped | CallError::Overloaded) {
            self.pool.ledger.traps.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(Err(ended))
    }

    fn late(&self) -> CallError {
        CallError::Deadline {
            limit: self.pool.container.request_deadline,
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<CallError> {
        if self.alarm.is_none() {
            let (ended, due, late) = (self.pool.ended.clone(), self.due, self.late());
            self.alarm = Some(Box::pin(async move {
                let Some(due) = due else {
                    ended.cancelled().await;
                    return CallError::Stopped;
                };
                tokio::select! {
                    () = ended.cancelled() => CallError::Stopped,
                    () = tokio::time::sleep_until(due) => late,
                }
            }));
        }
        self.alarm
            .as_mut()
            .map_or(Poll::Pending, |alarm| alarm.as_mut().poll(cx))
    }

    /// The response head is out: from now on only loops count.
    fn untimed(&mut self) {
        self.due = None;
        self.alarm = None;
    }

    /// Nobody waits for this guest any more: it may finish what it does, within another deadline. There are never more
    /// such guests than the container has slots.
    pub(super) fn finish(mut self, cx: &mut Context<'_>) {
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        self.alarm = None;
        self.due = Some(Instant::now() + self.pool.container.request_deadline);
        match self.poll(cx) {
            Poll::Ready(ended) => self.finished(ended),
            Poll::Pending => {
                let tasks = self.pool.core.settings.tasks.clone();
                tasks.spawn("engine.finish", async move {
                    let ended = std::future::poll_fn(|cx| self.poll(cx)).await;
                    self.finished(ended);
                });
            }
        }
    }

    fn finished(&self, ended: Result<Instance, CallError>) {
        match ended {
            Ok(instance) => self.pool.give_back(instance),
            Err(CallError::Stopped) => {}
            Err(error) => {
                tracing::warn!(container = self.pool.container.name, %error, "failed after its response")
            }
        }
    }
}

/// Runs the guest until there is a response head. The exchange is taken when it is over or goes on in the body.
pub(super) fn poll_head(
    slot: &mut Option<Exchange>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<Body>, CallError>> {
    let Some(exchange) = slot else {
        return Poll::Ready(Err(CallError::NoResponse));
    };
    let polled = exchange.poll(cx);
    let head = exchange.head.lock().take();
    match (polled, head) {
        (Poll::Pending, None) => Poll::Pending,
        (Poll::Pending, Some(answer)) => Poll::Ready(going_on(slot.take(), answer, cx)),
        (Poll::Ready(Ok(instance)), answer) => {
            let response = returned(exchange, instance, answer);
            *slot = None;
            Poll::Ready(response)
        }
        (Poll::Ready(Err(error)), _) => {
            *slot = None;
            Poll::Ready(Err(error))
        }
    }
}

/// The guest has answered and runs on.
fn going_on(
    exchange: Option<Exchange>,
    answer: Result<Response<WasiBody>, ErrorCode>,
    cx: &mut Context<'_>,
) -> Result<Response<Body>, CallError> {
    let Some(mut exchange) = exchange else {
        return Err(CallError::NoResponse);
    };
    match answer {
        Ok(response) => {
            exchange.untimed();
            Ok(GuestBody::response(
                response,
                &exchange.method.clone(),
                exchange,
            ))
        }
        Err(code) => {
            exchange.finish(cx);
            Err(CallError::Refused {
                code: format!("{code:?}"),
            })
        }
    }
}

/// The guest has returned.
fn returned(
    exchange: &Exchange,
    instance: Instance,
    answer: Option<Result<Response<WasiBody>, ErrorCode>>,
) -> Result<Response<Body>, CallError> {
    match answer {
        Some(Ok(response)) => {
            Ok(response.map(|body| body::complete(body, instance, &exchange.pool)))
        }
        Some(Err(code)) => {
            exchange.pool.give_back(instance);
            Err(CallError::Refused {
                code: format!("{code:?}"),
            })
        }
        None => Err(CallError::NoResponse),
    }
}
