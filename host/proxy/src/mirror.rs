//! Copies of requests, sent along for their effect on the other side; nobody waits for their answers.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::uri::Authority;
use http_body::Body as _;
use http_body_util::BodyExt;
use osier_process::Tasks;
use osier_process::body::{self, Body, ReadError};
use osier_snapshot::{Cluster, Route, rewrite};
use tokio::sync::Semaphore;

use crate::answer::Refusal;
use crate::forward::Journey;
use crate::trace::Trace;
use crate::ways::Ways;
use crate::{prepare, stream};

/// Copies under way at the same time; further ones are not sent.
const MOST_COPIES: usize = 256;

/// The sender of copies.
pub(crate) struct Mirrors {
    ways: Ways,
    tasks: Tasks,
    slots: Arc<Semaphore>,
}

/// Where one copy goes.
pub(crate) type Copy = (Arc<Route>, Arc<Cluster>);

impl Mirrors {
    pub(crate) fn new(ways: Ways, tasks: Tasks) -> Self {
        let slots = Arc::new(Semaphore::new(MOST_COPIES));
        Self { ways, tasks, slots }
    }

    /// Sends the copies and hands the body on. A body is copied only if it is announced with at most `limit` bytes; a larger one is
    /// not held up for its copies.
    pub(crate) async fn send(
        &self,
        copies: Vec<Copy>,
        (head, body): (&Parts, Body),
        trace: &Trace,
        limit: usize,
    ) -> Result<Body, Refusal> {
        if copies.is_empty() || !is_small(head, &body, limit) {
            return Ok(body);
        }
        let bytes = body::read(body, limit).await.map_err(|error| match error {
            ReadError::TooLarge { .. } => prepare::too_large(),
            ReadError::Broken(_) => prepare::broken(),
        })?;
        let again = || {
            if bytes.is_empty() {
                body::empty()
            } else {
                body::full(bytes.clone())
            }
        };
        for copy in copies {
            self.spawn(copy, shadow(head), again(), trace);
        }
        Ok(again())
    }

    fn spawn(&self, (route, cluster): Copy, head: Parts, body: Body, original: &Trace) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            tracing::debug!(route = %route.name, "a copy was not sent: too many are under way");
            return;
        };
        let mut trace = original.fork(&head);
        trace.service = Some(Arc::clone(&cluster.service));
        trace.cluster = Some(Arc::clone(&cluster));
        trace.route = Some(Arc::clone(&route));
        let (ways, stopping) = (self.ways.clone(), self.tasks.stopping());
        self.tasks.spawn("mirror", async move {
            let copied = async {
                let journey = Journey::new(&ways, &cluster, &route, 0);
                let deadline = journey.deadline(trace.started);
                let answer = journey.travel((head, body), &mut trace).await;
                let mut unseen = stream::concluded(answer, trace, deadline).into_body();
                while let Some(Ok(_)) = unseen.frame().await {}
            };
            tokio::select! {
                () = copied => {}
                () = stopping.cancelled() => {}
            }
            drop(slot);
        });
    }
}

fn is_small(head: &Parts, body: &Body, limit: usize) -> bool {
    let announced = head.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    body.is_end_stream() || announced.is_some_and(|length| length <= limit)
}

/// The head of a copy: its host says that it is one.
fn shadow(head: &Parts) -> Parts {
    let mut head = head.clone();
    let authority = head
        .uri
        .authority()
        .map(Authority::as_str)
        .unwrap_or_default();
    let named = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => format!("{host}-shadow:{port}"),
        _ => format!("{authority}-shadow"),
    };
    head.uri = rewrite::replace(&head.uri, named.parse().ok(), None);
    head
}
