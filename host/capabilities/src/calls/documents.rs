//! Documents that are kept fresh for a plugin: each is fetched by a task of its own, and read by all instances without waiting.

use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, StatusCode, Uri};
use osier_process::Tasks;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

use super::{MOST_BODY, OutsideError, Owner};

/// Documents of one plugin.
const MOST: usize = 16;
/// Longest wait for the first answer.
const FIRST: Duration = Duration::from_secs(2);
/// Time of one fetch.
const FETCH: Duration = Duration::from_secs(10);
/// No document is fetched more often.
const OFTENEST: Duration = Duration::from_secs(1);

/// How fresh a document must be (`osier:policy/http.freshness`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Freshness {
    /// Fetched again after so long.
    pub refresh: Duration,
    /// Given to nobody so long after it was fetched last; zero: good for ever.
    pub ttl: Duration,
}

/// A document (`osier:policy/http.document`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Another number whenever the bytes have changed.
    pub revision: u64,
    /// The bytes; none if the reader has them.
    pub body: Option<Bytes>,
}

/// What is fetched, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) uri: Uri,
    pub(super) freshness: Freshness,
}

/// The documents of one plugin. Their tasks end with it.
pub(super) struct Documents {
    owner: Arc<Owner>,
    tasks: Tasks,
    kept: Mutex<HashMap<Source, watch::Receiver<State>>>,
    /// Whoever follows a document ends when this is gone.
    lives: watch::Sender<()>,
}

/// What is known of a document.
#[derive(Clone, Debug, Default)]
struct State {
    /// Fetches that have ended.
    tried: u64,
    /// Zero: there was none yet.
    revision: u64,
    body: Bytes,
    tag: Option<HeaderValue>,
    fetched: Option<Instant>,
}

impl State {
    /// What a reader gets.
    fn read(&self, ttl: Duration, known: u64, now: Instant) -> Result<Document, OutsideError> {
        let fetched = self.fetched.ok_or(OutsideError::Unavailable)?;
        if !ttl.is_zero() && now.saturating_duration_since(fetched) > ttl {
            return Err(OutsideError::Unavailable);
        }
        Ok(Document {
            revision: self.revision,
            body: (known != self.revision).then(|| self.body.clone()),
        })
    }

    /// What is known after an answer; without one, what was known before.
    fn after(&self, found: Option<Found>, now: Instant) -> Self {
        let mut next = self.clone();
        next.tried += 1;
        match found {
            None => return next,
            Some(Found::Same) => {}
            Some(Found::Body(body, tag)) => {
                if next.revision == 0 || body != next.body {
                    (next.revision, next.body) = (next.revision + 1, body);
                }
                next.tag = tag;
            }
        }
        next.fetched = Some(now);
        next
    }

    /// Until the next fetch: after failures sooner than otherwise, but ever more patiently.
    fn pause(&self, refresh: Duration, failures: u32) -> Duration {
        let refresh = refresh.max(OFTENEST);
        match failures {
            0 => refresh,
            failures => refresh.min(OFTENEST * 2u32.saturating_pow(failures.min(8) - 1)),
        }
    }
}

/// What a fetch found.
enum Found {
    /// It is as it was.
    Same,
    /// It has these bytes, and this tag.
    Body(Bytes, Option<HeaderValue>),
}

impl Documents {
    pub(super) fn new(owner: Arc<Owner>, tasks: Tasks) -> Self {
        Self {
            owner,
            tasks,
            kept: Mutex::default(),
            lives: watch::Sender::new(()),
        }
    }

    /// Reads a document; only who asks first waits.
    pub(super) fn read(&self, source: Source, known: u64) -> Result<Document, OutsideError> {
        let ttl = source.freshness.ttl;
        let mut kept = self.kept(source)?;
        if kept.borrow().tried == 0 {
            let tried = async move {
                drop(kept.wait_for(|state| state.tried > 0).await);
                kept
            };
            let first = async { tokio::time::timeout(FIRST, tried).await };
            let first = self.owner.callouts.wait(|| first);
            kept = first
                .ok_or(OutsideError::Unavailable)?
                .map_err(|_| OutsideError::Timeout)?;
        }
        let state = kept.borrow();
        state.read(ttl, known, Instant::now())
    }

    /// The state of a document, which from now on is followed.
    fn kept(&self, source: Source) -> Result<watch::Receiver<State>, OutsideError> {
        let mut kept = self.kept.lock();
        if let Some(known) = kept.get(&source) {
            return Ok(known.clone());
        }
        let nobody = self.owner.callouts.way().is_none();
        if nobody || kept.len() == MOST || tokio::runtime::Handle::try_current().is_err() {
            return Err(OutsideError::Unavailable);
        }
        let (told, state) = watch::channel(State::default());
        kept.insert(source.clone(), state.clone());
        drop(kept);
        let (owner, mut lives) = (Arc::clone(&self.owner), self.lives.subscribe());
        let stopping = self.tasks.stopping();
        self.tasks.spawn("plugin-document", async move {
            tokio::select! {
                () = follow(&owner, &source, &told) => {}
                _ended = lives.changed() => {}
                () = stopping.cancelled() => {}
            }
        });
        Ok(state)
    }
}

/// Fetches a document again and again.
async fn follow(owner: &Owner, source: &Source, told: &watch::Sender<State>) {
    let mut failures = 0;
    loop {
        let tag = told.borrow().tag.clone();
        let found = fetch(owner, &source.uri, tag).await;
        failures = match &found {
            Ok(_) => 0,
            Err(reason) => {
                if failures == 0 {
                    tracing::warn!(plugin = owner.name, namespace = owner.namespace, url = %source.uri, "a document of a plugin cannot be fetched: {reason}");
                }
                failures + 1
            }
        };
        let next = told.borrow().after(found.ok(), Instant::now());
        let pause = next.pause(source.freshness.refresh, failures);
        told.send_replace(next);
        tokio::time::sleep(pause).await;
    }
}

async fn fetch(owner: &Owner, uri: &Uri, tag: Option<HeaderValue>) -> Result<Found, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    if let Some(tag) = tag {
        request.headers_mut().insert(IF_NONE_MATCH, tag);
    }
    let answer = owner.send(request, FETCH).await;
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status {
        StatusCode::NOT_MODIFIED => Ok(Found::Same),
        StatusCode::OK if answer.body.len() <= MOST_BODY => {
            let tag = answer.headers.get(ETAG).cloned();
            Ok(Found::Body(answer.body, tag))
        }
        StatusCode::OK => Err(format!("it has more than {MOST_BODY} bytes")),
        other => Err(format!("the answer is {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &'static str) -> Option<Found> {
        Some(Found::Body(Bytes::from(text), None))
    }

    #[test]
    fn the_revision_changes_with_the_bytes_and_old_bytes_are_given_to_nobody() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let ttl = second * 10;
        let none = State::default().after(None, start);
        assert_eq!(none.read(ttl, 0, start), Err(OutsideError::Unavailable));
        let first = none.after(body("a"), start);
        let known = Document {
            revision: 1,
            body: Some(Bytes::from("a")),
        };
        assert_eq!(first.read(ttl, 0, start), Ok(known));
        let same = first.after(body("a"), start + second);
        let unchanged = Document {
            revision: 1,
            body: None,
        };
        assert_eq!(
            same.read(ttl, 1, start + second * 11),
            Ok(unchanged.clone())
        );
        let lost = same.after(None, start + second * 2);
        assert_eq!(lost.read(ttl, 1, start + second * 11), Ok(unchanged));
        let late = start + second * 12;
        assert_eq!(lost.read(ttl, 1, late), Err(OutsideError::Unavailable));
        assert!(lost.read(Duration::ZERO, 1, late).is_ok(), "good for ever");
        let tagged = lost.after(Some(Found::Same), late);
        assert!(tagged.read(ttl, 1, late).is_ok());
        let other = tagged.after(body("b"), late);
        assert_eq!(other.read(ttl, 1, late).map(|found| found.revision), Ok(2));
    }

    #[test]
    fn after_failures_it_is_fetched_sooner_but_ever_more_patiently() {
        let (state, minute) = (State::default(), Duration::from_secs(60));
        let pauses = [0, 1, 2, 3, 30].map(|failures| state.pause(minute, failures).as_secs());
        assert_eq!(pauses, [60, 1, 2, 4, 60]);
        assert_eq!(state.pause(Duration::ZERO, 0), OFTENEST);
    }
}
