//! The event recorder: what controllers and the node agent tell people about an object.
//!
//! Repetitions become one Event with a count, and an object that chatters is held back, so that
//! neither the store nor the reader drowns. Writing is off the caller's path and bounded.

mod correlate;

use jiff::Timestamp;
use osier_api::resources::EVENTS;
use osier_api::{Object, Resource};
use osier_process::{Tasks, clock};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::request::Part;
use correlate::{Correlator, Count, Write};

/// Events that may wait to be written; more are dropped and counted.
const WAITING: usize = 4096;
/// Events written at once; the store commits them together.
const TOGETHER: usize = 64;

/// Whether an event is in the order of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// As expected.
    Normal,
    /// Somebody should look.
    Warning,
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `v1`.
    pub api_version: String,
    /// `Pod`.
    pub kind: String,
    /// Empty for objects of the cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// A part of it, such as `spec.containers{web}`; empty for the whole.
    pub field_path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fact {
    about: Reference,
    kind: EventType,
    reason: String,
    message: String,
}

/// Records events of one component; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<(Fact, Timestamp)>,
}

impl Reference {
    /// The whole of `object`.
    pub fn to(object: &Object) -> Self {
        Self {
            api_version: object.api_version().to_owned(),
            kind: object.kind().to_owned(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            field_path: String::new(),
        }
    }

    /// An object that is known by name only.
    pub fn named(resource: &Resource, namespace: &str, name: &str) -> Self {
        let version = resource.versions.first().copied().unwrap_or("v1");
        let api_version = match resource.group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        Self {
            api_version,
            kind: resource.kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            field_path: String::new(),
        }
    }

    /// A part of the object.
    #[must_use]
    pub fn at(mut self, field_path: impl Into<String>) -> Self {
        self.field_path = field_path.into();
        self
    }
}

impl Recorder {
    /// A recorder that signs as `component` on `host` (empty for controllers).
    pub fn start(client: Client, component: &'static str, host: &str, tasks: &Tasks) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = Writer {
            client,
            correlator: Correlator::new(component, host),
        };
        let stopping = tasks.stopping();
        tasks.spawn("events", async move {
            tokio::select! {
                () = writer.run(receiver) => {}
                () = stopping.cancelled() => {}
            }
        });
        Self { sender }
    }

    /// Records that something ordinary happened.
    pub fn normal(&self, about: &Reference, reason: &str, message: impl Into<String>) {
        self.record(about, EventType::Normal, reason, message.into());
    }

    /// Records that something needs attention.
    pub fn warning(&self, about: &Reference, reason: &str, message: impl Into<String>) {
        self.record(about, EventType::Warning, reason, message.into());
    }

    fn record(&self, about: &Reference, kind: EventType, reason: &str, message: String) {
        let fact = Fact {
            about: about.clone(),
            kind,
            reason: reason.to_owned(),
            message,
        };
        if self.sender.try_send((fact, clock::now())).is_err() {
            tracing::warn!(
                reason,
                object = about.name,
                "an event was dropped: too many wait to be written"
            );
        }
    }
}

struct Writer {
    client: Client,
    correlator: Correlator,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<(Fact, Timestamp)>) {
        let mut batch = Vec::with_capacity(TOGETHER);
        while receiver.recv_many(&mut batch, TOGETHER).await > 0 {
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    /// Writes new events together, and then counts: one may concern an event of the same batch.
    async fn write(&mut self, facts: Vec<(Fact, Timestamp)>) {
        let (mut created, mut counted) = (Vec::new(), Vec::new());
        for (fact, at) in facts {
            match self.correlator.observe(&fact, at) {
                Some(Write::Create(event)) => created.push(event),
                Some(Write::Count(count)) => counted.push((count, fact, at)),
                None => {}
            }
        }
        let creations = created.iter().map(|event| self.create(event));
        futures::future::join_all(creations).await;
        for (count, fact, at) in counted {
            self.count(count, &fact, at).await;
        }
    }

    async fn create(&self, event: &Object) {
        if let Err(error) = self.client.create(&EVENTS, event).await {
            tracing::debug!(%error, name = event.name(), "an event could not be written");
        }
    }

    async fn count(&mut self, count: Count, fact: &Fact, at: Timestamp) {
        let of = (count.namespace.as_str(), count.name.as_str());
        let counted = self.client.patch(&EVENTS, of, count.patch, Part::Whole);
        match counted.await {
            // The event expired meanwhile: tell it anew.
            Err(error) if error.is_not_found() => {
                self.correlator.forget(fact);
                if let Some(Write::Create(event)) = self.correlator.observe(fact, at) {
                    self.create(&event).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, reason = fact.reason, "an event could not be counted");
            }
            Ok(_) => {}
        }
    }
}
