//! One instance that takes many requests at once, from its first to its end.

use crate::guest::{Guest, Ledger, Slice};
use crate::metered::Metered;
use crate::network::error_for_guest;
use crate::{CallError, trap};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use http_body_util::BodyExt;
use osier_process::body::Body;
use osier_process::{Boxed, CancellationToken};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

/// What came of a request.
pub(super) type Answer = Result<Response<WasiBody>, CallError>;
/// Held while a request, or its answer's body, is under way.
pub(super) type Busy = TaskTrackerToken;

/// One request.
pub(super) struct Job {
    request: Request<Body>,
    answer: oneshot::Sender<Answer>,
    _busy: Busy,
}

/// A request, and to whom its answer goes.
pub(super) type Given = (Request<Body>, oneshot::Sender<Answer>);

impl Job {
    /// What nobody took.
    pub(super) fn back(self) -> Given {
        (self.request, self.answer)
    }
}

/// How far an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    /// It came to its end, badly if there is a reason.
    Over(Option<CallError>),
}

/// What is known of an instance outside of its task.
pub(super) struct Ended {
    state: watch::Sender<State>,
    busy: TaskTracker,
    /// Cancelled when a request in it took too long.
    late: CancellationToken,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Starting),
            busy: TaskTracker::new(),
            late: CancellationToken::new(),
        }
    }
}

impl Ended {
    pub(super) fn job(&self, (request, answer): Given) -> (Busy, Job) {
        let job = Job {
            request,
            answer,
            _busy: self.busy.token(),
        };
        (self.busy.token(), job)
    }

    /// Waits until the instance serves.
    pub(super) async fn begun(&self) -> Result<(), CallError> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| *state != State::Starting).await;
        match known.map(|state| state.clone()) {
            Ok(State::Over(Some(fault))) => Err(fault),
            Ok(_) => Ok(()),
            Err(_) => Err(CallError::Stopped),
        }
    }

    /// Why it ended, if it did so badly.
    pub(super) fn fault(&self) -> Option<CallError> {
        match &*self.state.borrow() {
            State::Over(fault) => fault.clone(),
            _ => None,
        }
    }

    /// Why a request has no answer.
    pub(super) fn reason(&self) -> CallError {
        self.fault().unwrap_or(CallError::NoResponse)
    }

    /// What it has may end within the time of a request; then the instance does.
    pub(super) fn hurry(&self) {
        self.late.cancel();
    }
}

/// An instance with all that its task needs.
pub(super) struct Driven {
    pub(super) pre: ServicePre<Guest>,
    pub(super) store: Store<Guest>,
    pub(super) slice: Arc<Slice>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) ended: Arc<Ended>,
    /// Without a request for this long it ends.
    pub(super) idle: Duration,
    /// A request that takes longer is late.
    pub(super) limit: Duration,
    /// The container stops.
    pub(super) stopped: CancellationToken,
    pub(super) ledger: Arc<Ledger>,
}

impl Driven {
    /// Runs the instance to its end.
    pub(super) async fn run(self) {
        let Self {
            pre,
            mut store,
            slice,
            jobs,
            ended,
            idle,
            limit,
            stopped,
            ledger,
        } = self;
        let serving = Arc::clone(&ended);
        let run = async move {
            let ran = match pre.instantiate_async(&mut store).await {
                Ok(service) => {
                    serving.state.send_replace(State::Serving);
                    let all = async |guest: &Accessor<Guest>| {
                        serve_all(guest, &service, jobs, (&serving, idle)).await
                    };
                    store.run_concurrent(all).await.flatten()
                }
                Err(error) => Err(error),
            };
            // Said while the channels of its bodies are still open, so that no broken one seems complete.
            let fault = ran
                .err()
                .map(|error| trap::classify(&error, &store.data().memory));
            serving.state.send_replace(State::Over(fault.clone()));
            fault
        };
        let mut metered = Metered::new(run, slice, ledger.clone());
        let late = async {
            ended.late.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::pin!(late);
        let looping = poll_fn(|context| match Pin::new(&mut metered).poll(context) {
            Poll::Pending if metered.busy() > limit => {
                Poll::Ready(Some(CallError::Deadline { limit }))
            }
            other => other,
        });
        let fault = tokio::select! {
            biased;
            () = stopped.cancelled() => Some(CallError::Stopped),
            fault = looping => fault,
            () = &mut late => Some(CallError::Deadline { limit }),
        };
        if let Some(fault) = fault {
            if fault != CallError::Stopped {
                ledger.traps.fetch_add(1, Ordering::Relaxed);
            }
            ended.state.send_replace(State::Over(Some(fault)));
        }
    }
}

/// Takes requests until there are no more, or none comes for long; returns when the last answer has been read.
async fn serve_all(
    guest: &Accessor<Guest>,
    service: &Service,
    mut jobs: mpsc::Receiver<Job>,
    (ended, idle): (&Ended, Duration),
) -> wasmtime::Result<()> {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => under_way.push(serve(guest, service, job)),
                None => break,
            },
            Some(served) = under_way.next() => served?,
            () = tokio::time::sleep(idle), if under_way.is_empty() => {
                // Answers may still be read.
                if ended.busy.is_empty() {
                    jobs.close();
                }
            }
        }
    }
    while let Some(served) = under_way.next().await {
        served?;
    }
    ended.busy.close();
    ended.busy.wait().await;
    Ok(())
}

/// One request, from its head to the end of its body.
async fn serve(guest: &Accessor<Guest>, service: &Service, job: Job) -> wasmtime::Result<()> {
    let request = job.request.map(|body| body.map_err(error_for_guest));
    let (request, sent) = guest.with(|mut store| {
        let view = store.data_mut().http();
        let (request, sent) = p3::Request::from_http(view.hooks, request);
        let sent: Boxed<'static, _> = Box::pin(sent);
        (request, sent)
    });
    let answer = match service.handle(guest, request).await? {
        Ok(response) => Ok(guest.with(|store| response.into_http(store, async { Ok(()) }))?),
        Err(code) => Err(CallError::Refused {
            code: format!("{code:?}"),
        }),
    };
    // Whoever asked may be gone.
    let _heard = job.answer.send(answer);
    // Why the request was not read to its end is the guest's business.
    let _read = sent.await;
    Ok(())
}
