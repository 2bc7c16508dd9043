//! The garbage collector: what an object owned goes after it, before it, or is let go, as its
//! deletion asked. Ownership is by uid, never by name alone.

mod graph;

use std::sync::Arc;

use osier_api::{Object, OwnerReference, Resource, resources};
use osier_client::{CONTROLLER, Change, Client, ClientError, DeleteOptions, Part, WorkQueue};
use parking_lot::Mutex;
use serde_json::json;

use crate::Context;
use crate::informers::Informers;
use crate::reconcile::{self, Outcome, gone_is_fine};
use graph::{FOREGROUND, Graph, ORPHAN, Owner, Verdict};

const WORKERS: usize = 4;

/// An object by resource, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Item {
    resource: Ordered,
    namespace: String,
    name: String,
}

/// A kind, ordered by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ordered(&'static Resource);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let names = |one: &Self| (one.0.group, one.0.plural);
        names(self).cmp(&names(other))
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Garbage {
    client: Client,
    informers: Informers,
    graph: Arc<Mutex<Graph>>,
}

/// Starts the collector.
pub(crate) fn start(context: &Context) {
    let this = Arc::new(Garbage {
        client: context.client.clone(),
        informers: context.informers.clone(),
        graph: Arc::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run("garbage", &queue, (WORKERS, &context.tasks), move |item| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&item).await }
    });
}

impl Item {
    fn of(resource: &'static Resource, object: &Object) -> Self {
        Self {
            resource: Ordered(resource),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
        }
    }

    fn resource(&self) -> &'static Resource {
        self.resource.0
    }
}

impl Garbage {
    fn listen(&self, queue: &WorkQueue<Item>) {
        let (graph, queue) = (Arc::clone(&self.graph), queue.clone());
        self.informers.follow(move |informer| {
            let (graph, queue, resource) = (Arc::clone(&graph), queue.clone(), informer.resource());
            informer.on_change(move |change| note(&graph, &queue, resource, change));
        });
    }

    async fn reconcile(&self, item: &Item) -> Result<Outcome, ClientError> {
        self.informers.synced().await;
        let resource = item.resource();
        let informer = self.informers.find(resource);
        let Some(object) = informer.and_then(|informer| informer.get(&item.namespace, &item.name))
        else {
            return Ok(Outcome::Done);
        };
        if object.deletion_timestamp().is_some() {
            self.finish(resource, &object).await?;
            return Ok(Outcome::Done);
        }
        self.collect(resource, &object).await
    }

    /// An object that is being deleted may wait for us, by one of our finalizers.
    async fn finish(&self, resource: &'static Resource, owner: &Object) -> Result<(), ClientError> {
        let finalizers = owner.finalizers();
        let has = |name: &str| finalizers.contains(&name);
        let dependents = self.graph.lock().dependents_of(owner.uid());
        if has(ORPHAN) {
            for dependent in &dependents {
                self.disown(dependent, &[owner.uid().to_owned()]).await?;
            }
            self.drop_finalizer(resource, owner, ORPHAN).await?;
        } else if has(FOREGROUND)
            && !dependents
                .iter()
                .any(|dependent| self.blocks(dependent, owner.uid()))
        {
            self.drop_finalizer(resource, owner, FOREGROUND).await?;
        }
        Ok(())
    }

    async fn collect(
        &self,
        resource: &'static Resource,
        object: &Object,
    ) -> Result<Outcome, ClientError> {
        let mut owners = Vec::new();
        for reference in object.owner_references() {
            let state = self.look_up(object.namespace(), &reference).await?;
            owners.push((reference.uid.clone(), state));
        }
        let has_dependents = !self.graph.lock().dependents_of(object.uid()).is_empty();
        match graph::judge(object, &owners, has_dependents) {
            Verdict::Keep => {}
            Verdict::Disown(uids) => self.disown(&Item::of(resource, object), &uids).await?,
            Verdict::Delete(propagation) => {
                let options = DeleteOptions {
                    propagation: Some(propagation),
                    ..DeleteOptions::exactly(object)
                };
                let of = (object.namespace(), object.name());
                gone_is_fine(self.client.delete(resource, of, &options).await)?;
            }
        }
        Ok(Outcome::Done)
    }

    /// An owner that no mirror holds is asked for at the API itself before it counts as gone: the
    /// mirrors of different resources may be of different ages.
    async fn look_up(
        &self,
        namespace: &str,
        reference: &OwnerReference,
    ) -> Result<Owner, ClientError> {
        let known = self.graph.lock().item(&reference.uid).cloned();
        if let Some(item) = known {
            return Ok(self.state(&item));
        }
        let group = reference
            .api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        let custom = || self.informers.custom_kind(group, &reference.kind);
        let Some(resource) = resources::by_kind(group, &reference.kind).or_else(custom) else {
            // A kind that we do not serve cannot be gone for all we know.
            return Ok(Owner::Solid);
        };
        let namespace = if resource.namespaced { namespace } else { "" };
        match self.client.get(resource, namespace, &reference.name).await {
            Ok(owner) if owner.uid() == reference.uid => Ok(state(&owner)),
            Ok(_) => Ok(Owner::Absent),
            Err(error) if error.is_not_found() => Ok(Owner::Absent),
            Err(error) => Err(error),
        }
    }

    fn state(&self, item: &Item) -> Owner {
        self.object(item)
            .map_or(Owner::Solid, |object| state(&object))
    }

    fn object(&self, item: &Item) -> Option<Arc<Object>> {
        self.informers
            .find(item.resource())?
            .get(&item.namespace, &item.name)
    }

    fn blocks(&self, dependent: &Item, owner: &str) -> bool {
        self.object(dependent)
            .is_some_and(|object| graph::blocks(&object, owner))
    }

    async fn disown(&self, item: &Item, uids: &[String]) -> Result<(), ClientError> {
        let resource = item.resource();
        let Some(object) = self.object(item) else {
            return Ok(());
        };
        let left = graph::disowned(&object, uids);
        // An empty list is none.
        let left = (!left.is_empty()).then_some(left);
        let patch = json!({"metadata": {"resourceVersion": object.resource_version().to_string(),
            "ownerReferences": left}});
        gone_is_fine(
            self.client
                .patch(resource, (&item.namespace, &item.name), patch, Part::Whole)
                .await,
        )
    }

    async fn drop_finalizer(
        &self,
        resource: &'static Resource,
        object: &Object,
        name: &str,
    ) -> Result<(), ClientError> {
        let kept: Vec<String> = object
            .finalizers()
            .iter()
            .filter(|known| **known != name)
            .map(|known| (*known).to_owned())
            .collect();
        let patch = json!({"metadata": {"resourceVersion": object.resource_version().to_string(), "finalizers": kept}});
        let of = (object.namespace(), object.name());
        gone_is_fine(self.client.patch(resource, of, patch, Part::Whole).await)
    }
}

fn state(owner: &Object) -> Owner {
    let waits = owner.deletion_timestamp().is_some() && owner.finalizers().contains(&FOREGROUND);
    if waits { Owner::Waiting } else { Owner::Solid }
}

/// Keeps the graph and queues what a change concerns: the object itself if it has owners or is
/// going, its dependents when it is gone or waits for them, its owners when it is gone.
fn note(
    graph: &Mutex<Graph>,
    queue: &WorkQueue<Item>,
    resource: &'static Resource,
    change: &Change,
) {
    let object = change.object();
    let item = Item::of(resource, object);
    let mut graph = graph.lock();
    if change.is_deleted() {
        for dependent in graph.remove(&item, object) {
            queue.add(dependent);
        }
        for owner in object.owner_references() {
            if let Some(owner) = graph.item(&owner.uid) {
                queue.add(owner.clone());
            }
        }
        return;
    }
    graph.put(&item, change.old().map(AsRef::as_ref), object);
    let leaving = object.deletion_timestamp().is_some();
    if leaving && state(object) == Owner::Waiting {
        for dependent in graph.dependents_of(object.uid()) {
            queue.add(dependent);
        }
    }
    if leaving && !object.finalizers().is_empty() || is_news(change) {
        queue.add(item);
    }
}

/// The object has owners, and which they are is new.
fn is_news(change: &Change) -> bool {
    let references = |object: &Object| object.get(&["metadata", "ownerReferences"]).cloned();
    let now = references(change.object());
    now.is_some() && change.old().is_none_or(|old| references(old) != now)
}
