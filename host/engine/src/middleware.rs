//! A component of wasi:http as one link of a chain: it is handed a request, and what it sends on by its outgoing handler is the chain's next step.
//!
//! The guest runs in a task of its own, from the request to the head of its answer; bodies stream through it both ways. Its first outgoing request
//! is the next step; there is no second one, and no way to anybody else. A guest that fails before it has touched a body gives the message back
//! as it was, so that a failure policy may let it pass.

use crate::cpu::thread_time;
use crate::plugin::{Need, PluginGrants, PluginLimits, needs};
use crate::{
    CallError, ComponentError, Container, HttpContainer, Outgoing, OutgoingError, Output, Timeouts,
    Workload,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use osier_process::body::{self, Body, BodyError};
use osier_process::{Boxed, Tasks};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use wasmparser::{Parser, Payload};

/// A guest that neither answers nor sends its request on within this has failed, and so has one that keeps an answer so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that one instance serves before it is replaced, and those that may wait for one.
const SERVED: u32 = 10_000;
const QUEUED: u32 = 256;
/// Bytes of a line that a guest writes to its standard streams.
const LINE: usize = 1024;
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
const NEXT: &str = "wasi:http/outgoing-handler@0.2.";

type Reply = oneshot::Sender<Response<Body>>;
/// Where the next request of a guest goes, until it has gone.
type Turn = Arc<Mutex<Option<oneshot::Sender<(Request<Body>, Reply)>>>>;

tokio::task_local! {
    static TURN: Turn;
}

/// True for a component that handles HTTP and hands requests on. A service that only answers is none: it would keep every call.
#[must_use]
pub fn is_middleware(wasm: &[u8]) -> bool {
    let has = |names: &[String], wanted| names.iter().any(|name| name.starts_with(wanted));
    if !Parser::is_component(wasm) {
        return false;
    }
    let (imports, exports) = interfaces_of(wasm);
    has(&imports, NEXT) && has(&exports, HANDLER)
}

/// What the outermost component imports and exports; nothing if it is malformed, which compiling tells better.
fn interfaces_of(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut depth, mut imports, mut exports) = (0_u32, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                let names = section.into_iter().flatten();
                imports.extend(names.map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                let names = section.into_iter().flatten();
                exports.extend(names.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

/// What one is given.
pub struct MiddlewareTerms {
    /// Named in errors and logs.
    pub name: String,
    /// Memory of one instance, and processor time between two things that it does for the exchange.
    pub limits: PluginLimits,
    /// Instances at the same time.
    pub instances: u32,
    /// What it may know beside its requests.
    pub grants: PluginGrants,
    /// Its guests run in tasks of these.
    pub tasks: Tasks,
}

/// A component that is a link of chains.
pub struct Middleware {
    container: HttpContainer,
    compute: Duration,
    tasks: Tasks,
}

impl Middleware {
    /// Makes one of compiled code.
    ///
    /// # Errors
    /// If it imports what is not granted, or does not fit into its memory.
    pub fn new(workload: &Workload, terms: MiddlewareTerms) -> Result<Self, ComponentError> {
        granted(workload.imports(), &terms.grants)?;
        let lines: Arc<dyn Output> = Arc::new(Lines(terms.name.clone()));
        let memory = terms.limits.memory;
        let container = Container {
            grants: Arc::default(),
            name: terms.name.clone(),
            args: vec![terms.name.clone()],
            env: terms.grants.env.clone(),
            mounts: Vec::new(),
            memory_limit: memory.saturating_mul(u64::from(terms.instances)),
            cpu_share: 1,
            cpu_limit: None,
            stdin: None,
            terminal: false,
            stdout: Arc::clone(&lines),
            stderr: lines,
            outgoing: Arc::new(Onwards),
            network: None,
            max_instances: terms.instances,
            max_requests_per_instance: SERVED,
            max_queued: QUEUED,
            request_deadline: PATIENCE,
        };
        Ok(Self {
            container: workload.http(container)?,
            compute: terms.limits.deadline,
            tasks: terms.tasks,
        })
    }

    /// Bytes of memory that its instances hold.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.container.usage().memory
    }

    /// Processor time that its exchanges have used.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.container.usage().cpu
    }

    /// Instances that there are now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.container.usage().instances as usize
    }

    /// Hands a request to an instance.
    pub fn begin(&self, request: Request<Body>) -> Passage {
        let (head, body) = request.into_parts();
        let lent = Lent::new(body);
        let given = Request::from_parts(head.clone(), body::boxed(lent.clone()));
        let (next, onward) = oneshot::channel();
        let (mut answered, answer) = oneshot::channel();
        let turn: Turn = Arc::new(Mutex::new(Some(next)));
        let (container, compute) = (self.container.clone(), self.compute);
        self.tasks.spawn("middleware", async move {
            let call = TURN.scope(turn, busy(container.call(given), compute));
            tokio::select! {
                // Nobody waits any more: the exchange is over, and so is the guest.
                () = answered.closed() => {}
                told = call => drop(answered.send(told)),
            }
        });
        Passage {
            request: Some(Request::from_parts(head, lent)),
            onward,
            answer,
            reply: None,
            compute,
        }
    }
}

/// What a guest made of a request.
pub enum Onward {
    /// It sends this on.
    Next(Request<Body>),
    /// It answers itself.
    Answer(Response<Body>),
}

/// One exchange on its way through a guest. Dropping it ends the guest.
pub struct Passage {
    request: Option<Request<Lent>>,
    onward: oneshot::Receiver<(Request<Body>, Reply)>,
    answer: oneshot::Receiver<Result<Response<Body>, CallError>>,
    reply: Option<Reply>,
    compute: Duration,
}

/// Why a guest did not do its part, and the message if it has not touched it.
pub type Lost<M> = Box<(CallError, Option<M>)>;

impl Passage {
    /// Waits until the guest sends its request on, or answers.
    ///
    /// # Errors
    /// It failed.
    pub async fn onward(&mut self) -> Result<Onward, Lost<Request<Body>>> {
        let moved = async {
            tokio::select! {
                biased;
                Ok((next, reply)) = &mut self.onward => {
                    self.reply = Some(reply);
                    Ok(Onward::Next(next))
                }
                told = &mut self.answer => match told {
                    Ok(Ok(response)) => Ok(Onward::Answer(measured(response, self.compute))),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(CallError::Stopped),
                },
            }
        };
        let moved = tokio::time::timeout(PATIENCE, moved).await;
        moved.unwrap_or_else(|_| Err(late())).map_err(|error| {
            let request = self.request.take();
            let whole = request.and_then(|request| untouched(request.into_parts()));
            Box::new((error, whole))
        })
    }

    /// Hands the guest the answer to what it sent on, and waits for its own.
    ///
    /// # Errors
    /// It failed.
    pub async fn back(
        mut self,
        response: Response<Body>,
    ) -> Result<Response<Body>, Lost<Response<Body>>> {
        let (head, body) = response.into_parts();
        let lent = Lent::new(body);
        let given = Response::from_parts(head.clone(), body::boxed(lent.clone()));
        if let Some(reply) = self.reply.take() {
            // A guest that has gone meanwhile is told by its answer.
            let _gone = reply.send(given);
        }
        let told = tokio::time::timeout(PATIENCE, &mut self.answer).await;
        let told = match told {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => Err(CallError::Stopped),
            Err(_) => Err(late()),
        };
        match told {
            Ok(answer) => Ok(measured(answer, self.compute)),
            Err(error) => {
                let body = lent.untouched();
                let whole = body.map(|body| Response::from_parts(head, body));
                Err(Box::new((error, whole)))
            }
        }
    }
}

fn late() -> CallError {
    CallError::Deadline { limit: PATIENCE }
}

fn untouched((head, body): (http::request::Parts, Lent)) -> Option<Request<Body>> {
    Some(Request::from_parts(head, body.untouched()?))
}

/// Refuses the first import that a middleware may not have.
fn granted(imports: &[String], grants: &PluginGrants) -> Result<(), ComponentError> {
    // wasi:http counts its timeouts by the monotonic clock, so every component of it imports that one.
    let own = |import: &&String| {
        !import.starts_with("wasi:http/") && !import.starts_with("wasi:clocks/monotonic-clock@")
    };
    for import in imports.iter().filter(own) {
        let missing = match needs(import) {
            Need::Nothing => continue,
            Need::Grant(_) if import.starts_with("wasi:clocks/") && grants.clock => continue,
            Need::Grant(_) if import.starts_with("wasi:random/") && grants.random => continue,
            Need::Grant(remedy) => remedy,
            Need::NotOffered => {
                "a middleware may import wasi:http, wasi:io, wasi:cli, wasi:clocks and wasi:random"
            }
        };
        return Err(ComponentError::Import {
            import: import.clone(),
            remedy: missing.to_owned(),
        });
    }
    Ok(())
}

/// The network of a middleware: the next step of the chain that it runs in, once.
struct Onwards;

impl Outgoing for Onwards {
    fn send(
        &self,
        request: Request<Body>,
        _: Timeouts,
    ) -> Boxed<'static, Result<Response<Body>, OutgoingError>> {
        let turn = TURN.try_with(|turn| turn.lock().take()).ok().flatten();
        let (reply, response) = oneshot::channel();
        let sent = turn.is_some_and(|turn| turn.send((request, reply)).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(OutgoingError::Denied);
            }
            response.await.map_err(|_| OutgoingError::Terminated)
        })
    }
}

/// Standard streams of a guest: lines in the node's own log, for who debugs it.
struct Lines(String);

impl Output for Lines {
    fn write(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LINE)]);
        tracing::debug!(plugin = self.0, "{}", text.trim_end());
    }
}

/// A body that is lent to a guest and can be had back while it is whole.
#[derive(Clone)]
struct Lent(Arc<Mutex<Loan>>);

struct Loan {
    body: Option<Body>,
    touched: bool,
}

impl Lent {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Loan {
            body: Some(body),
            touched: false,
        })))
    }

    fn untouched(&self) -> Option<Body> {
        let mut loan = self.0.lock();
        if loan.touched { None } else { loan.body.take() }
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut loan = self.0.lock();
        loan.touched = true;
        let Some(body) = &mut loan.body else {
            return Poll::Ready(None);
        };
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .lock()
            .body
            .as_ref()
            .is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let loan = self.0.lock();
        loan.body
            .as_ref()
            .map(|body| body.size_hint())
            .unwrap_or_default()
    }
}

/// A call that fails when its guest has computed for too long; while it waits, for others or for a processor, nothing counts.
async fn busy<T>(
    call: impl Future<Output = Result<T, CallError>>,
    limit: Duration,
) -> Result<T, CallError> {
    let (mut call, mut spent) = (pin!(call), Duration::ZERO);
    poll_fn(|cx| {
        let began = thread_time();
        let polled = call.as_mut().poll(cx);
        spent += thread_time().saturating_sub(began);
        match polled {
            Poll::Pending if spent > limit => Poll::Ready(Err(CallError::Deadline { limit })),
            polled => polled,
        }
    })
    .await
}

/// The answer of a guest, whose body it computes while it is read: for each part it has as long as for a call.
fn measured(response: Response<Body>, limit: Duration) -> Response<Body> {
    response.map(|body| {
        body::boxed(Measured {
            body,
            limit,
            spent: Duration::ZERO,
        })
    })
}

struct Measured {
    body: Body,
    limit: Duration,
    spent: Duration,
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let began = thread_time();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.spent += thread_time().saturating_sub(began);
        if polled.is_ready() {
            self.spent = Duration::ZERO;
        } else if self.spent > self.limit {
            let limit = self.limit;
            self.body = body::empty();
            return Poll::Ready(Some(Err(CallError::Deadline { limit }.into())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
