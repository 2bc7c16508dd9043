//! A filter that is a module of proxy-wasm, around one exchange.

mod edits;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use osier_engine::proxy_wasm::{Edit, Headers, LocalReply, Properties, Side, Step, Value};
use osier_process::Boxed;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{CompiledPolicy, HeadVerdict, Mode, Reply};
use crate::fault::FailurePolicy;
use crate::hook::Asked;
use crate::plugin::{Plugin, Seat, Unanswered, Vms, is_framing};
use crate::verdict::HeaderOperation;
use edits::{change, operation};
use osier_expressions::Texts;
use osier_expressions::{Attributes, Peer};

/// Bytes of one message that a filter may keep back.
const MOST_HELD: usize = 1 << 20;
/// A message that a filter keeps back is given up after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of a part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// This goes on in its place.
    Proceed(Bytes),
    /// This is sent instead of the message.
    Respond(Box<Reply>),
    /// It stays until more comes, or until the filter says otherwise.
    Wait,
}

/// One exchange as a module of proxy-wasm sees it. Dropping it ends the exchange for the module.
pub struct FilterStream(Arc<Inner>);

struct Inner {
    policy: Arc<CompiledPolicy>,
    step: usize,
    plugin: Arc<Plugin>,
    place: Mutex<Place>,
    notify: Arc<Notify>,
    /// What was kept back of a body when its trailers came.
    rest: Mutex<Bytes>,
}

/// Whether the module knows of the exchange.
enum Place {
    /// Not yet.
    Unopened(Properties),
    /// It does, under this number.
    Open(Seat, u32),
}

impl FilterStream {
    /// A stream for a step that asks a module of proxy-wasm.
    pub(crate) fn new(
        policy: &Arc<CompiledPolicy>,
        step: usize,
        attributes: &Attributes<'_>,
    ) -> Option<Self> {
        let Asked::Plugin { plugin, .. } = &policy.steps.get(step)?.asked else {
            return None;
        };
        plugin.vms()?;
        Some(Self(Arc::new(Inner {
            policy: Arc::clone(policy),
            step,
            plugin: Arc::clone(plugin),
            place: Mutex::new(Place::Unopened(properties(attributes))),
            notify: Arc::default(),
            rest: Mutex::default(),
        })))
    }

    /// `NAMESPACE/NAME` of the policy and of the plugin.
    #[must_use]
    pub fn label(&self) -> (Arc<str>, Arc<str>) {
        (self.0.policy.label.clone(), self.0.plugin.label().clone())
    }

    /// True if the module sees bodies. In shadow mode it does not: what it would change or keep back could not be undone.
    #[must_use]
    pub fn sees_body(&self, side: Side) -> bool {
        let callback = match side {
            Side::Request => "proxy_on_request_body",
            Side::Response => "proxy_on_response_body",
        };
        self.0.policy.mode() == Mode::Enforce && self.0.vms().is_some_and(|vms| vms.has(callback))
    }

    /// The head of a message has come; `end` if nothing follows it.
    #[must_use]
    pub fn on_head(&self, side: Side, headers: Headers, end: bool) -> HeadVerdict {
        let inner = &self.0;
        let verdict = inner
            .entered(|vm, id| {
                let step = vm.headers(id, side, headers, end)?;
                let edits = match step {
                    Step::Continue => vm.take_edits(id, side, false),
                    _ => Vec::new(),
                };
                Ok((step, edits))
            })
            .and_then(|(step, edits)| inner.head(side, step, edits));
        inner.settled(verdict)
    }

    /// What becomes of a head that waits.
    #[must_use]
    pub fn head_resumed(&self, side: Side) -> Boxed<'static, HeadVerdict> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let resumed = inner.resumed(side).await;
            let verdict = resumed.and_then(|(step, edits, _)| inner.head(side, step, edits));
            inner.settled(verdict)
        })
    }

    /// Some of a body has come; `end` if it was the last.
    #[must_use]
    pub fn on_chunk(&self, side: Side, chunk: &Bytes, end: bool) -> ChunkVerdict {
        let inner = &self.0;
        let called = inner.entered(|vm, id| {
            if vm.waiting(id, side) + chunk.len() > MOST_HELD {
                return Ok(None);
            }
            vm.body(id, side, chunk, end).map(Some)
        });
        match called {
            Ok(Some((step, bytes))) => inner.chunk(step, bytes),
            Ok(None) => ChunkVerdict::Respond(Box::new(inner.too_large(side))),
            Err(unanswered) => inner.chunk_failed(unanswered, chunk.clone()),
        }
    }

    /// What becomes of a body that waits.
    #[must_use]
    pub fn body_resumed(&self, side: Side) -> Boxed<'static, ChunkVerdict> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            match inner.resumed(side).await {
                Ok((step, _, bytes)) => inner.chunk(step, bytes),
                // What it kept is lost with it.
                Err(Unanswered(reason)) => ChunkVerdict::Respond(Box::new(inner.failed(reason))),
            }
        })
    }

    /// Trailers have come: what is to be changed.
    ///
    /// # Errors
    /// The message must not end as if it were whole.
    pub fn on_trailers(
        &self,
        side: Side,
        trailers: HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        let inner = &self.0;
        let called = inner.entered(|vm, id| {
            let (step, rest) = vm.trailers(id, side, Headers::plain(trailers))?;
            Ok((step, rest, vm.take_edits(id, side, true)))
        });
        match called {
            Ok((Step::Reply(reply), ..)) => Err(reply.details),
            Ok((_, rest, edits)) => {
                *inner.rest.lock() = rest;
                let changes = edits.into_iter().filter_map(operation);
                Ok(changes.collect())
            }
            Err(_) if inner.ignores() => Ok(Vec::new()),
            Err(Unanswered(reason)) => Err(reason),
        }
    }

    /// What the module kept back of a body when its trailers came.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        std::mem::take(&mut *self.0.rest.lock())
    }
}

impl Inner {
    fn vms(&self) -> Option<&Vms> {
        self.plugin.vms()
    }

    /// Calls into the VM of this stream; the first time, into one that is free.
    fn entered<R: Send>(
        &self,
        call: impl FnOnce(&mut osier_engine::proxy_wasm::Vm, u32) -> Result<R, osier_engine::CallError>
        + Send,
    ) -> Result<R, Unanswered> {
        let vms = self
            .vms()
            .ok_or_else(|| Unanswered("it is no filter".to_owned()))?;
        let mut place = self.place.lock();
        match &mut *place {
            Place::Open(seat, id) => {
                let (seat, id) = (*seat, *id);
                drop(place);
                self.plugin.enter(vms, seat, |vm| call(vm, id))
            }
            Place::Unopened(properties) => {
                let properties = std::mem::take(properties);
                let opened = self.plugin.enter_any(vms, |vm| {
                    let id = vm.open(properties)?;
                    Ok((id, call(vm, id)?))
                });
                let ((id, answer), seat) = opened?;
                *place = Place::Open(seat, id);
                vms.wait(seat, id, Arc::clone(&self.notify));
                Ok(answer)
            }
        }
    }

    /// Waits until the guest says what becomes of a message.
    async fn resumed(&self, side: Side) -> Result<(Step, Vec<Edit>, Bytes), Unanswered> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.entered(|vm, id| {
                Ok(vm.resumed(id, side).map(|(step, bytes)| {
                    let edits = vm.take_edits(id, side, false);
                    (step, edits, bytes)
                }))
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
            let waited = tokio::time::timeout_at(deadline, self.notify.notified());
            if waited.await.is_err() {
                let reply = LocalReply {
                    status: StatusCode::GATEWAY_TIMEOUT,
                    headers: HeaderMap::new(),
                    body: Bytes::new(),
                    details: format!("the filter kept the message for {} s", PATIENCE.as_secs()),
                };
                return Ok((Step::Reply(reply), Vec::new(), Bytes::new()));
            }
        }
    }

    fn head(&self, side: Side, step: Step, edits: Vec<Edit>) -> Result<HeadVerdict, Unanswered> {
        Ok(match step {
            Step::Continue => {
                let changes = edits.into_iter().filter_map(|edit| change(side, edit));
                let changes = changes.collect::<Result<_, _>>();
                HeadVerdict::Proceed(changes.map_err(|what| self.misanswered(what))?)
            }
            Step::Pause => HeadVerdict::Wait,
            Step::Reply(reply) => HeadVerdict::Respond(Box::new(self.reply(reply))),
        })
    }

    fn misanswered(&self, what: String) -> Unanswered {
        self.plugin.misanswered(&what);
        Unanswered(what)
    }

    /// What counts of a verdict: by the mode, and by the failure policy where there is none.
    fn settled(&self, verdict: Result<HeadVerdict, Unanswered>) -> HeadVerdict {
        let asked = self.policy.steps.get(self.step).map(|step| &step.asked);
        let verdict = match verdict {
            Ok(verdict) => {
                if let Some(asked) = asked.filter(|_| !matches!(verdict, HeadVerdict::Wait)) {
                    asked.count(!matches!(verdict, HeadVerdict::Respond(_)));
                }
                verdict
            }
            Err(_) if self.ignores() => HeadVerdict::Proceed(Vec::new()),
            Err(Unanswered(reason)) => HeadVerdict::Respond(Box::new(self.failed(reason))),
        };
        match self.policy.mode() {
            Mode::Enforce => verdict,
            Mode::Shadow => HeadVerdict::Proceed(Vec::new()),
        }
    }

    fn chunk(&self, step: Step, bytes: Bytes) -> ChunkVerdict {
        match step {
            Step::Continue => ChunkVerdict::Proceed(bytes),
            Step::Pause => ChunkVerdict::Wait,
            Step::Reply(reply) => ChunkVerdict::Respond(Box::new(self.reply(reply))),
        }
    }

    /// A part that was not looked at goes on unchanged, or the message ends.
    fn chunk_failed(&self, Unanswered(reason): Unanswered, chunk: Bytes) -> ChunkVerdict {
        match self.ignores() {
            true => ChunkVerdict::Proceed(chunk),
            false => ChunkVerdict::Respond(Box::new(self.failed(reason))),
        }
    }

    fn ignores(&self) -> bool {
        let step = self.policy.steps.get(self.step);
        step.is_some_and(|step| self.policy.failure_of(&step.asked) == FailurePolicy::Ignore)
    }

    fn reply(&self, reply: LocalReply) -> Reply {
        let headers = reply.headers.iter();
        let headers =
            headers.filter(|(name, _)| !is_framing(name) && **name != http::header::CONTENT_LENGTH);
        let reason = match reply.details.is_empty() {
            true => "the filter answered itself".to_owned(),
            false => reply.details,
        };
        self.own(
            reply.status,
            reply.body,
            headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            reason,
        )
    }

    fn failed(&self, reason: String) -> Reply {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let body = Bytes::from_static(b"A filter gave no answer.\n");
        self.own(status, body, Vec::new(), reason)
    }

    fn too_large(&self, side: Side) -> Reply {
        let status = match side {
            Side::Request => StatusCode::PAYLOAD_TOO_LARGE,
            Side::Response => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let reason = format!("a filter kept back more than {MOST_HELD} bytes of a body");
        self.own(
            status,
            Bytes::from(format!("{reason}\n")),
            Vec::new(),
            reason,
        )
    }

    fn own(
        &self,
        status: StatusCode,
        body: Bytes,
        headers: Vec<(http::HeaderName, http::HeaderValue)>,
        reason: String,
    ) -> Reply {
        Reply {
            status,
            headers,
            body,
            policy: self.policy.label.clone(),
            plugin: self.plugin.label().clone(),
            reason,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Place::Open(seat, id) = *self.place.get_mut() else {
            return;
        };
        if let Some(vms) = self.plugin.vms() {
            vms.wait_no_more(seat, id);
            // A VM that is gone has forgotten the stream already.
            let _ = self.plugin.enter(vms, seat, |vm| vm.close(id));
        }
    }
}

/// What is known about the exchange, under the names that guests of Envoy and Istio look for, and under Mixer's.
fn properties(attributes: &Attributes<'_>) -> Properties {
    let mut all = Properties::default();
    let (source, destination) = (&attributes.source, &attributes.destination);
    peer(
        &mut all,
        source,
        [
            "source.name",
            "source.namespace",
            "source.principal",
            "source.workload.name",
        ],
    );
    peer(
        &mut all,
        &destination.peer,
        [
            "destination.name",
            "destination.namespace",
            "destination.principal",
            "destination.workload.name",
        ],
    );
    labels(&mut all, "source.labels", &source.labels);
    labels(&mut all, "destination.labels", &destination.peer.labels);
    let origin = attributes.origin_ip.or(source.ip).map(|ip| ip.to_string());
    all.add_some("source.address", origin.as_deref());
    let port = destination.port.map(|port| Value::Int(i64::from(port)));
    let address = destination.peer.ip.map(|ip| match destination.port {
        Some(port) => std::net::SocketAddr::new(ip, port).to_string(),
        None => ip.to_string(),
    });
    all.add_some("destination.address", address.as_deref());
    all.add_some("upstream.address", address.as_deref());
    all.add_some("destination.port", port);
    all.add_some("destination.service.name", destination.service_name);
    all.add_some(
        "destination.service.namespace",
        destination.service_namespace,
    );
    all.add_some("destination.service.host", destination.service_host);
    all.add_some("cluster_name", destination.service_host);
    all.add("connection.mtls", Value::Bool(attributes.connection.mtls));
    all.add_some(
        "connection.requested_server_name",
        attributes.connection.requested_server_name,
    );
    all.add_some("connection.uri_san_peer_certificate", source.principal);
    let inbound = attributes.context.reporter_kind == "inbound";
    // Envoy's numbers of traffic directions.
    all.add(
        "listener_direction",
        Value::Int(if inbound { 1 } else { 2 }),
    );
    all.add("context.protocol", attributes.context.protocol);
    all.add_some("request.protocol", attributes.context.http_version);
    all.add_some("request.time", attributes.request.time.map(Value::Time));
    all
}

fn peer(all: &mut Properties, peer: &Peer<'_>, names: [&'static str; 4]) {
    for (name, value) in
        names
            .into_iter()
            .zip([peer.name, peer.namespace, peer.principal, peer.workload])
    {
        all.add_some(name, value);
    }
}

fn labels(all: &mut Properties, name: &'static str, labels: &Texts<'_>) {
    if !labels.is_empty() {
        let mut map = std::collections::BTreeMap::new();
        labels.each(&mut |name, value| {
            map.insert(name.to_owned(), value.to_owned());
        });
        all.add(name, Value::Map(map));
    }
}
