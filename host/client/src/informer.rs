//! An informer mirrors a collection: it lists once, then follows the watch, and lists again only
//! when the watch cannot go on. One task writes; readers share the objects that changed last without copying them.
//!
//! The course of it is the pure machine of [`machine`]; this file is the loop around it.

mod index;
mod machine;
mod mirror;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use osier_api::{Object, Resource, managed};
use osier_process::{CancellationToken, Tasks};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::client::Client;
use crate::error::ClientError;
use crate::request::Query;
use crate::watch::{Watch, WatchEvent};
pub use index::{Grouping, Index};
use machine::{Input, State};
pub use mirror::Change;
use mirror::{Kept, Mirror};

/// Which part of a collection is mirrored.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// One namespace, or all when empty.
    pub namespace: String,
    /// Selectors.
    pub query: Query,
    /// Applied to every object before it is kept: what nobody reads need not be held in memory.
    pub trim: Option<fn(&mut Object)>,
    /// Which objects are mirrored, judged when they are trimmed; all without this. A change of another is none.
    pub only: Option<fn(&Object) -> bool>,
    /// Of very many objects, those that did not change for long are held as text and read anew for each who asks: for who looks at
    /// few of them at a time.
    pub packed: bool,
}

/// Called by the writer for each change, in order; must not block. Typically it adds keys to a
/// [`crate::WorkQueue`], which keeps what waits bounded by the number of objects.
type Handler = Box<dyn Fn(&Change) + Send + Sync>;

/// A live mirror of a collection.
pub struct Informer {
    resource: &'static Resource,
    mirror: Arc<RwLock<Mirror>>,
    handlers: Mutex<Vec<Handler>>,
    version: watch::Sender<u64>,
    synced: watch::Sender<bool>,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Informer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informer")
            .field("resource", &self.resource.plural)
            .finish_non_exhaustive()
    }
}

impl Informer {
    /// Starts to mirror `scope` of a resource; ends when the tasks stop.
    pub fn start(
        client: Client,
        resource: &'static Resource,
        scope: Scope,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let mirror = Mirror::bounded(scope.packed.then_some(mirror::TREES));
        let informer = Arc::new(Self {
            resource,
            mirror: Arc::new(RwLock::new(mirror)),
            handlers: Mutex::new(Vec::new()),
            version: watch::Sender::new(0),
            synced: watch::Sender::new(false),
            stopping: tasks.stopping().child_token(),
        });
        let stopping = informer.stopping.clone();
        let writer = Writer {
            client,
            scope,
            informer: Arc::clone(&informer),
        };
        tasks.spawn("informer", async move {
            tokio::select! {
                () = writer.run() => {}
                () = stopping.cancelled() => {}
            }
        });
        informer
    }

    /// Ends the mirror of a kind that is no longer served: all its objects are gone.
    pub fn stop(&self) {
        self.stopping.cancel();
        self.write(|mirror| {
            mirror.begin();
            mirror.end()
        });
    }

    /// The mirrored resource.
    pub fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// One object as last seen.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let kept = self.mirror.read().get(namespace, name);
        kept.map(|kept| kept.tree())
    }

    /// All objects, ordered by namespace and name.
    pub fn list(&self) -> Vec<Arc<Object>> {
        let kept = self.mirror.read().all();
        kept.iter().map(Kept::tree).collect()
    }

    /// The objects of one namespace, ordered by name.
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<Object>> {
        let kept = self.mirror.read().of(namespace);
        kept.iter().map(Kept::tree).collect()
    }

    /// How many objects are mirrored.
    pub fn len(&self) -> usize {
        self.mirror.read().len()
    }

    /// Nothing is mirrored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A counter that moves with every change; receivers that lag see only the last.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Waits for the first complete list.
    pub async fn synced(&self) {
        // The sender lives as long as we do: waiting cannot fail.
        let mut synced = self.synced.subscribe();
        let _seen = synced.wait_for(|synced| *synced).await;
    }

    /// The first complete list has been read.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Calls `handler` for every object known and then for every change.
    pub fn on_change(&self, handler: impl Fn(&Change) + Send + Sync + 'static) {
        let mut handlers = self.handlers.lock();
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// The one way in for changes. The handlers' lock is taken first, so that one who registers
    /// meanwhile sees each object exactly once.
    fn write(&self, update: impl FnOnce(&mut Mirror) -> Vec<Change>) {
        let handlers = self.handlers.lock();
        let changes = update(&mut self.mirror.write());
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            for handler in handlers.iter() {
                handler(change);
            }
        }
        drop(handlers);
        self.version.send_modify(|version| *version += 1);
    }
}

struct Writer {
    client: Client,
    scope: Scope,
    informer: Arc<Informer>,
}

impl Writer {
    async fn run(self) {
        let mut state = State::Listing { failures: 0 };
        let mut stream = None;
        loop {
            tokio::time::sleep(state.wait(rand::random())).await;
            let input = match state {
                State::Listing { .. } => self.list().await,
                State::Opening { revision, .. } => self.open(revision, &mut stream).await,
                State::Following { .. } => self.follow(&mut stream).await,
            };
            state = state.next(input);
        }
    }

    async fn list(&self) -> Input {
        self.informer.mirror.write().begin();
        // What a page tells is told at once: all objects untrimmed would be many times what is kept of them.
        let take = |page: Vec<Object>| {
            let put = |mirror: &mut Mirror| {
                page.into_iter()
                    .flat_map(|it| self.put(mirror, it))
                    .collect()
            };
            self.informer.write(put);
        };
        let (resource, scope) = (self.informer.resource, &self.scope);
        let listed = self
            .client
            .each_page(resource, &scope.namespace, &scope.query, take)
            .await;
        match listed {
            Ok(revision) => {
                self.informer.write(Mirror::end);
                self.informer.synced.send_replace(true);
                Input::Listed(revision)
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn open(&self, revision: u64, stream: &mut Option<Watch>) -> Input {
        let opened = self.client.watch(
            self.informer.resource,
            &self.scope.namespace,
            &self.scope.query,
            revision,
        );
        match opened.await {
            Ok(watch) => {
                *stream = Some(watch);
                Input::Opened
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn follow(&self, stream: &mut Option<Watch>) -> Input {
        let Some(watch) = stream else {
            return Input::Ended;
        };
        match watch.next().await {
            None => Input::Ended,
            Some(Err(error)) => self.failed(&error),
            Some(Ok(WatchEvent::Bookmark(revision))) => Input::Reached(revision),
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let revision = object.resource_version();
                self.informer.write(|mirror| self.put(mirror, object));
                Input::Reached(revision)
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                let revision = object.resource_version();
                self.informer.write(|mirror| mirror.delete(object));
                Input::Reached(revision)
            }
        }
    }

    fn put(&self, mirror: &mut Mirror, mut object: Object) -> Vec<Change> {
        // Nobody in this process asks who set which field, and the list is half of a small object.
        managed::forget(&mut object);
        if let Some(trim) = self.scope.trim {
            trim(&mut object);
        }
        if self.scope.only.is_none_or(|only| only(&object)) {
            mirror.put(object)
        } else {
            mirror.delete(object)
        }
    }

    fn failed(&self, error: &ClientError) -> Input {
        tracing::debug!(resource = self.informer.resource.plural, %error, "informer");
        if error.is_gone() {
            Input::Gone
        } else {
            Input::Failed
        }
    }
}

/// The longest pause that a healthy server causes: none.
const NO_PAUSE: Duration = Duration::ZERO;
