//! Watch: what changes after a state, as a stream that its reader pulls.
//!
//! Nothing is buffered here but the chunk in the making; the store bounds what waits for a slow reader and ends the
//! watch when it falls too far behind, which the reader learns as `410 Expired`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, Stream};
use osier_api::{Object, Status};
use osier_process::CancellationToken;
use osier_process::body::BodyError;
use rand::Rng;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Registry;
use super::list::{Place, check_fields, matches, place};
use super::news::{News, Telling};
use crate::catalogue::Catalogue;
use crate::objects;
use crate::query::{ListOptions, Since};
use crate::target::Address;
use osier_answers::Renderer;
use osier_answers::Representation;
use osier_answers::stored::Stored;
use osier_store::{Entry, Event, EventKind, StoreError, Watch};

/// Events that are ready are sent together up to about this many bytes.
const CHUNK: usize = 64 * 1024;
/// Time between bookmarks of a quiet watch.
const BOOKMARK: Duration = Duration::from_secs(60);
/// A watch that asks for no timeout ends at a random time from this many seconds to twice as many, so that clients
/// come back one by one.
const LONGEST: u64 = 1800;

/// The bytes of one answer to who reads. One line that others have written is handed on as it is.
#[derive(Default)]
struct Chunk {
    line: Bytes,
    /// What is sent after the line.
    buffer: Vec<u8>,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.line.len() + self.buffer.len()
    }

    fn push(&mut self, line: Bytes) {
        if self.is_empty() {
            self.line = line;
        } else {
            self.buffer.extend_from_slice(&line);
        }
    }

    fn into_bytes(self) -> Bytes {
        match (self.line.is_empty(), self.buffer.is_empty()) {
            (true, _) => self.buffer.into(),
            (_, true) => self.line,
            _ => [&*self.line, self.buffer.as_slice()].concat().into(),
        }
    }
}

/// A running watch.
pub(crate) struct WatchStream {
    registry: Arc<Registry>,
    news: Arc<News>,
    address: Address,
    options: ListOptions,
    renderer: Renderer,
    initial: VecDeque<Entry>,
    /// Whether every object at the place is asked for, so that none is read to be chosen.
    everything: bool,
    /// The bookmark that says that all initial events were sent is still to come.
    announce: bool,
    events: Watch,
    /// The newest state that the reader knows of.
    revision: u64,
    ends: Instant,
    bookmark: Instant,
    /// Goes off at the next of the two that matters; kept, for to make one anew for each event would take a lock that all watches share.
    alarm: Pin<Box<Sleep>>,
    stopping: CancellationToken,
    /// New catalogues: when the kind is no longer what it was, the watch ends and its reader begins anew.
    published: watch::Receiver<Option<Arc<Catalogue>>>,
    over: bool,
}

impl Registry {
    /// Starts a watch.
    pub(crate) fn watch(
        self: &Arc<Self>,
        address: &Address,
        options: ListOptions,
        renderer: Renderer,
    ) -> Result<WatchStream, Status> {
        check_fields(address, &options)?;
        let place = place(address, &options);
        let (revision, initial) = self.beginning(&options, &place)?;
        let events = match &place {
            Place::Under(prefix) => self.store.watch(prefix, revision),
            Place::At(key) => self.store.watch_key(key, revision),
        };
        let events = events.map_err(|error| match error {
            StoreError::Compacted { .. } => Status::expired(format!(
                "too old resource version: {revision} ({})",
                self.store.revision()
            )),
            error => objects::unavailable(&error),
        })?;
        let seconds = options
            .timeout
            .unwrap_or_else(|| LONGEST + rand::rng().random_range(0..LONGEST));
        let (now, bookmarks) = (Instant::now(), options.bookmarks);
        let (ends, bookmark) = (now + Duration::from_secs(seconds), now + BOOKMARK);
        let first = if bookmarks { ends.min(bookmark) } else { ends };
        // What was published since the address was read counts too.
        let mut published = self.published.subscribe();
        published.mark_changed();
        Ok(WatchStream {
            registry: Arc::clone(self),
            news: Arc::clone(&self.news),
            address: address.clone(),
            announce: options.send_initial && options.bookmarks,
            initial: initial.into(),
            everything: everything(address, &options, &place),
            renderer,
            events,
            revision,
            ends,
            bookmark,
            alarm: Box::pin(sleep_until(first)),
            // A token of its own: to wait for one takes a lock that all watches would share.
            stopping: self.tasks.stopping().child_token(),
            published,
            over: false,
            options,
        })
    }

    /// The state after which a watch begins, and what of it is told first.
    fn beginning(&self, options: &ListOptions, place: &Place) -> Result<(u64, Vec<Entry>), Status> {
        let with_state = matches!(options.since, Since::Unset | Since::Any) || options.send_initial;
        let (revision, mut initial) = match options.since {
            Since::NotOlder(wanted) | Since::Exact(wanted) => {
                self.check_reached(wanted)?;
                if with_state {
                    self.store.list(place.prefix())
                } else {
                    (wanted, Vec::new())
                }
            }
            Since::Unset | Since::Any => self.store.list(place.prefix()),
        };
        if let Place::At(key) = place {
            initial.retain(|entry| entry.key == *key);
        }
        Ok((revision, initial))
    }
}

/// Whether the caller asks for every object at a place.
fn everything(address: &Address, options: &ListOptions, place: &Place) -> bool {
    let named = address.name.is_empty() && options.fields.is_only("metadata.name");
    match place {
        Place::Under(_) => !options.selective && address.name.is_empty(),
        Place::At(_) => options.labels.is_empty() && (options.fields.is_empty() || named),
    }
}

impl WatchStream {
    /// The body of the answer.
    pub(crate) fn chunks(self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        futures::stream::unfold(self, |mut watch| async move {
            let chunk = watch.chunk().await?;
            Some((Ok(chunk.into_bytes()), watch))
        })
    }

    /// The next bytes; `None` at the end.
    async fn chunk(&mut self) -> Option<Chunk> {
        if self.over {
            return None;
        }
        let mut chunk = Chunk::default();
        while chunk.is_empty() {
            self.fill_initial(&mut chunk.buffer).await;
            self.fill_ready(&mut chunk).await;
            if !chunk.is_empty() {
                break;
            }
            if self.over {
                return None;
            }
            self.wait(&mut chunk).await;
            if self.over && chunk.is_empty() {
                return None;
            }
        }
        Some(chunk)
    }

    async fn fill_initial(&mut self, buffer: &mut Vec<u8>) {
        while buffer.len() < CHUNK {
            let Some(entry) = self.initial.pop_front() else {
                break;
            };
            let filled = match self.renderer.as_stored() {
                Some(_) => self.add_stored(&entry, buffer),
                None => self.add(&entry, buffer).await,
            };
            if let Err(status) = filled {
                return self.fail(&status, buffer);
            }
        }
        if self.initial.is_empty() && self.announce {
            self.announce = false;
            self.write_bookmark(true, buffer);
        }
    }

    async fn add(&mut self, entry: &Entry, buffer: &mut Vec<u8>) -> Result<(), Status> {
        let object = self.registry.read(&self.address, entry).await?;
        if matches(&self.address, &self.options, &object)? {
            self.write("ADDED", object, buffer);
        }
        Ok(())
    }

    /// As [`Self::add`], of what is shown as it is stored: no more is read than the selectors need.
    fn add_stored(&self, entry: &Entry, buffer: &mut Vec<u8>) -> Result<(), Status> {
        let object = match (self.everything, self.options.fields.is_empty()) {
            (true, _) => None,
            (false, true) => Some(objects::head(entry)?),
            (false, false) => Some(objects::read(entry)?),
        };
        let chosen = |object: &Object| matches(&self.address, &self.options, object);
        if object.as_ref().map_or(Ok(true), chosen)? {
            self.write_stored("ADDED", objects::stored(entry), buffer)?;
        }
        Ok(())
    }

    /// Writes an event of bytes that are shown as they are stored.
    fn write_stored(
        &self,
        kind: &str,
        stored: Stored<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Status> {
        let whole = buffer.len();
        buffer.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        let written = self.renderer.write(stored, buffer);
        if written.is_err() {
            buffer.truncate(whole);
        }
        written?;
        buffer.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Writes the events that are there already.
    async fn fill_ready(&mut self, chunk: &mut Chunk) {
        while self.initial.is_empty() && !self.over && chunk.len() < CHUNK {
            match self.events.next().now_or_never() {
                Some(event) => self.take(event, chunk).await,
                None => break,
            }
        }
    }

    /// Waits for an event, the next bookmark, or the end.
    async fn wait(&mut self, chunk: &mut Chunk) {
        enum Woken {
            Event(Result<Arc<Event>, StoreError>),
            Published,
            Alarm,
            End,
        }
        let custom = self.address.custom.is_some();
        let woken = tokio::select! {
            biased;
            event = self.events.next() => Woken::Event(event),
            () = self.stopping.cancelled() => Woken::End,
            Ok(()) = self.published.changed(), if custom => Woken::Published,
            () = &mut self.alarm => Woken::Alarm,
        };
        match woken {
            Woken::Event(event) => self.take(event, chunk).await,
            Woken::Published => {
                let catalogue = self.published.borrow_and_update().clone();
                self.over = catalogue.is_some_and(|now| !now.has(&self.address));
            }
            Woken::Alarm | Woken::End => {
                self.revision = self.revision.max(self.events.progress());
                let now = Instant::now();
                self.over = matches!(woken, Woken::End) || now >= self.ends;
                if self.options.bookmarks {
                    self.bookmark = now + BOOKMARK;
                    self.write_bookmark(false, &mut chunk.buffer);
                }
                self.alarm.as_mut().reset(self.bookmark.min(self.ends));
            }
        }
    }

    async fn take(&mut self, event: Result<Arc<Event>, StoreError>, chunk: &mut Chunk) {
        let event = match event {
            Ok(event) => event,
            Err(StoreError::Closed) => {
                self.over = true;
                return;
            }
            Err(error) => {
                let status = Status::expired(format!("the watch fell too far behind: {error}"));
                return self.fail(&status, &mut chunk.buffer);
            }
        };
        self.revision = event.revision;
        let told = match self.unread(&event) {
            Some(line) => line.map(|line| chunk.push(line)),
            None => self.read_and_tell(&event, chunk).await,
        };
        if let Err(status) = told {
            self.fail(&status, &mut chunk.buffer);
        }
    }

    /// The line of a change where every change is told and objects are shown as they are stored: nothing is read for it.
    fn unread(&self, event: &Event) -> Option<Result<Bytes, Status>> {
        let plain = self.everything && self.address.custom.is_none();
        let _shown = self.renderer.as_stored().filter(|_| plain)?;
        let (kind, bytes) = match &event.kind {
            EventKind::Delete { previous } => ("DELETED", previous),
            EventKind::Put { value, previous } => match previous {
                None => ("ADDED", value),
                Some(_) => ("MODIFIED", value),
            },
        };
        let revision = event.revision;
        let line = || {
            let mut line = Vec::new();
            self.write_stored(kind, Stored { bytes, revision }, &mut line)?;
            Ok(line)
        };
        Some(self.news.line(self.telling(revision, kind), line))
    }

    async fn read_and_tell(&self, event: &Event, chunk: &mut Chunk) -> Result<(), Status> {
        match self.seen(event).await? {
            Some((kind, object)) => self.tell(event.revision, kind, &object, chunk),
            None => Ok(()),
        }
    }

    /// What the event is to this watch: an object that stops matching is deleted for it, one that begins to is added.
    async fn seen(&self, event: &Event) -> Result<Option<(&'static str, Arc<Object>)>, Status> {
        let before = |bytes| self.object((event.revision, true), bytes);
        let chosen = |object: &Object| matches(&self.address, &self.options, object);
        match &event.kind {
            EventKind::Delete { previous } => {
                let object = before(previous).await?;
                Ok(chosen(object.as_ref())?.then_some(("DELETED", object)))
            }
            EventKind::Put { value, previous } => {
                let object = self.object((event.revision, false), value).await?;
                let now = chosen(object.as_ref())?;
                let then = match previous {
                    None => false,
                    Some(_) if self.everything => true,
                    Some(previous) => chosen(before(previous).await?.as_ref())?,
                };
                Ok(match (then, now) {
                    (false, false) => None,
                    (false, true) => Some(("ADDED", object)),
                    (true, true) => Some(("MODIFIED", object)),
                    (true, false) => {
                        let last = match previous {
                            Some(previous) => before(previous).await?,
                            None => object,
                        };
                        Some(("DELETED", last))
                    }
                })
            }
        }
    }

    /// The object of a change, in the version of the request.
    async fn object(&self, change: (u64, bool), bytes: &Bytes) -> Result<Arc<Object>, Status> {
        let object = self.news.object(change, bytes)?;
        if self.address.conversion().is_none() {
            return Ok(object);
        }
        let object = Object::clone(&object);
        let shown = self.registry.presented(&self.address, object).await?;
        Ok(Arc::new(shown))
    }

    /// Writes an event, which others may have written already. Ages in tables, and kinds whose form depends on their definition,
    /// are each watch's own.
    fn tell(
        &self,
        revision: u64,
        kind: &'static str,
        object: &Arc<Object>,
        chunk: &mut Chunk,
    ) -> Result<(), Status> {
        let (custom, form) = (self.address.custom.is_some(), &self.renderer.representation);
        if custom || matches!(form, Representation::Table(_)) {
            self.write(kind, Object::clone(object), &mut chunk.buffer);
            return Ok(());
        }
        let line = self.news.line(self.telling(revision, kind), || {
            let mut line = Vec::new();
            self.write(kind, Object::clone(object), &mut line);
            Ok(line)
        })?;
        chunk.push(line);
        Ok(())
    }

    fn telling(&self, revision: u64, kind: &'static str) -> Telling {
        Telling {
            revision,
            kind,
            api_version: self.renderer.api_version.clone(),
            representation: self.renderer.representation.clone(),
        }
    }

    fn write(&self, kind: &str, object: Object, buffer: &mut Vec<u8>) {
        line(kind, &self.renderer.object(object), buffer);
    }

    fn write_bookmark(&self, initial_events_end: bool, buffer: &mut Vec<u8>) {
        line(
            "BOOKMARK",
            &self.renderer.bookmark(self.revision, initial_events_end),
            buffer,
        );
    }

    fn fail(&mut self, status: &Status, buffer: &mut Vec<u8>) {
        self.over = true;
        line("ERROR", &json!(status.to_object()), buffer);
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: &'a Value,
}

fn line(kind: &str, object: &Value, buffer: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _infallible = serde_json::to_writer(&mut *buffer, &Line { kind, object });
    buffer.push(b'\n');
}
