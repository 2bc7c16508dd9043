//! HTTP containers of WASI 0.3: requests run at the same time in one instance, up to a bound.
//!
//! The instance is driven by a task of its own, because its requests wait for each other's turns; what the guest streams comes through
//! channels with room for a frame or two, so that a slow reader holds its own request up and no other. An instance ends when it has
//! served its share, when nobody asked anything for a while, when it traps (and with it every request that it had), or when a request in it
//! takes too long: then no other is given to it, and those that it has may end within the same time.

mod instance;

use crate::engine::{Core, Kind};
use crate::guest::{self, Guest, Ledger};
use crate::{CallError, Container};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use instance::{Answer, Busy, Ended, Job};
use osier_process::CancellationToken;
use osier_process::body::{self, Body, BodyError};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// A container whose instance takes many requests at once.
pub(crate) struct Concurrent {
    core: Arc<Core>,
    pre: ServicePre<Guest>,
    pub(crate) container: Container,
    pub(crate) ledger: Arc<Ledger>,
    /// Cancelled when the grace is over.
    ended: CancellationToken,
    slots: Arc<Semaphore>,
    most: u32,
    waiting: AtomicU32,
    current: Mutex<Option<Line>>,
    stopping: AtomicBool,
}

/// The way to an instance that takes requests.
#[derive(Clone)]
struct Line {
    jobs: mpsc::Sender<Job>,
    ended: Arc<Ended>,
    left: u32,
}

impl Concurrent {
    pub(crate) fn new(core: Arc<Core>, pre: ServicePre<Guest>, container: Container) -> Arc<Self> {
        let most = container.max_instances.max(1);
        Arc::new(Self {
            core,
            pre,
            ledger: Ledger::of(&container),
            container,
            ended: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(most as usize)),
            most,
            waiting: AtomicU32::new(0),
            current: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Hands a request to the instance.
    pub(crate) async fn call(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let slot = self.slot().await?;
        self.ledger.requests.fetch_add(1, Ordering::Relaxed);
        let (line, busy, answered) = self.submit(request).await?;
        let limit = self.container.request_deadline;
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(answer)) => Ok(answer?.map(|body| {
                body::boxed(Streamed {
                    body,
                    ended: Arc::clone(&line.ended),
                    _held: (slot, busy),
                })
            })),
            Ok(Err(_gone)) => Err(line.ended.reason()),
            Err(_late) => {
                self.retire(&line);
                Err(CallError::Deadline { limit })
            }
        }
    }

    /// Gives a request to an instance; to another one, if that has just come to its end.
    async fn submit(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<(Line, Busy, oneshot::Receiver<Answer>), CallError> {
        let (answer, answered) = oneshot::channel();
        let mut given = (request, answer);
        loop {
            let line = self.line()?;
            let (busy, job) = line.ended.job(given);
            match line.jobs.send(job).await {
                Ok(()) => return Ok((line, busy, answered)),
                Err(SendError(job)) if line.ended.fault().is_none() => given = job.back(),
                Err(_) => return Err(line.ended.reason()),
            }
        }
    }

    /// Makes the instance, to prove that it can be made.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), CallError> {
        let line = self.line()?;
        line.ended.begun().await
    }

    /// Refuses new requests, lets those in flight finish for `grace`, then ends them.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        let _all = tokio::time::timeout(grace, self.slots.acquire_many(self.most)).await;
        self.slots.close();
        self.ended.cancel();
        self.current.lock().take();
    }

    /// Waits for a slot, in order of arrival and no longer than the request may take.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, CallError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(CallError::Stopped);
        }
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Ok(slot);
        }
        let most = self.container.max_queued;
        let more = |waiting: u32| (waiting < most).then_some(waiting + 1);
        let entered = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.map_err(|_| CallError::Overloaded)?;
        let _waiting = Waiting(&self.waiting);
        let limit = self.container.request_deadline;
        match tokio::time::timeout(limit, self.slots.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_closed)) => Err(CallError::Stopped),
            Err(_late) => Err(CallError::Overloaded),
        }
    }

    /// The way to the instance for one request more; a new instance where there is none, or it is worn.
    fn line(self: &Arc<Self>) -> Result<Line, CallError> {
        let mut current = self.current.lock();
        if let Some(line) = current.as_mut()
            && line.left > 0
            && !line.jobs.is_closed()
        {
            line.left -= 1;
            return Ok(line.clone());
        }
        let line = self.launch()?;
        *current = Some(line.clone());
        Ok(line)
    }

    /// No other request is given to this instance.
    fn retire(&self, line: &Line) {
        let mut current = self.current.lock();
        if current
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(&one.ended, &line.ended))
        {
            current.take();
        }
        line.ended.hurry();
    }

    fn launch(self: &Arc<Self>) -> Result<Line, CallError> {
        let side = self.core.side(Kind::Concurrent);
        let made = guest::store(&side.engine, &side.clock, &self.container, &self.ledger);
        let (store, slice) = made.map_err(|error| CallError::Trap {
            reason: error.to_string(),
            backtrace: String::new(),
        })?;
        let (jobs, waiting) = mpsc::channel(self.most as usize);
        let ended = Arc::new(Ended::default());
        let driven = instance::Driven {
            pre: self.pre.clone(),
            store,
            slice,
            jobs: waiting,
            ended: Arc::clone(&ended),
            idle: self.core.settings.idle,
            limit: self.container.request_deadline,
            stopped: self.ended.clone(),
            ledger: Arc::clone(&self.ledger),
        };
        self.core
            .settings
            .tasks
            .spawn("engine.instance", driven.run());
        let left = self.container.max_requests_per_instance.max(1) - 1;
        Ok(Line { jobs, ended, left })
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body: its end is one only if the guest ended it.
struct Streamed {
    body: WasiBody,
    ended: Arc<Ended>,
    _held: (OwnedSemaphorePermit, Busy),
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            None => self.ended.fault().map(|fault| Err(fault.into())),
            Some(frame) => Some(frame.map_err(Into::into)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
