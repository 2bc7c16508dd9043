//! Claims and their volumes: what is decided of them (crate claims) is written.

use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES};
use osier_claims::{Change as Edit, Plan, View, Write};
use osier_client::{
    CONTROLLER, Client, ClientError, Informer, Part, Recorder, Reference, WorkQueue,
};

use crate::informers::Informers;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::{Context, facts};

const WORKERS: usize = 2;

/// The mirrors of what claims are decided from.
#[derive(Clone)]
pub(crate) struct Mirrors {
    claims: Arc<Informer>,
    volumes: Arc<Informer>,
    classes: Arc<Informer>,
    pods: Arc<Informer>,
}

impl Mirrors {
    pub(crate) fn of(informers: &Informers) -> Option<Self> {
        let of = |resource| informers.of(resource).cloned();
        Some(Self {
            claims: of(&PERSISTENT_VOLUME_CLAIMS)?,
            volumes: of(&PERSISTENT_VOLUMES)?,
            classes: of(&STORAGE_CLASSES)?,
            pods: of(&PODS)?,
        })
    }

    /// All but that of pods.
    pub(crate) fn of_storage(&self) -> [&Arc<Informer>; 3] {
        [&self.claims, &self.volumes, &self.classes]
    }

    pub(crate) async fn synced(&self) {
        self.pods.synced().await;
        for mirror in self.of_storage() {
            mirror.synced().await;
        }
    }
}

impl View for Mirrors {
    fn claim(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.claims.get(namespace, name)
    }

    fn volume(&self, name: &str) -> Option<Arc<Object>> {
        self.volumes.get("", name)
    }

    fn volumes(&self) -> Vec<Arc<Object>> {
        self.volumes.list()
    }

    fn class(&self, name: &str) -> Option<Arc<Object>> {
        self.classes.get("", name)
    }

    fn pods(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.pods.list_in(namespace)
    }
}

/// Starts the controller. The key of a volume has no namespace.
pub(crate) fn start(context: &Context) {
    let Some(mirrors) = Mirrors::of(&context.informers) else {
        return;
    };
    let queue = WorkQueue::new(CONTROLLER);
    listen(&mirrors, &queue);
    let (client, recorder) = (
        context.client.clone(),
        context.recorder("persistentvolume-controller"),
    );
    let tasks = (WORKERS, &context.tasks);
    reconcile::run("claims", &queue, tasks, move |key| {
        let (mirrors, client, recorder) = (mirrors.clone(), client.clone(), recorder.clone());
        async move { reconcile(&mirrors, (&client, &recorder), &key).await }
    });
}

fn listen(mirrors: &Mirrors, queue: &WorkQueue<Key>) {
    let own = queue.clone();
    mirrors.pods.on_change(move |change| {
        // A pod that has ended or is gone lets go of its claims.
        let pod = change.object();
        let lets_go = change.is_deleted() || facts::is_finished(pod);
        let names = osier_claims::claims(pod).filter(|_| lets_go);
        names.for_each(|claim| add_named(&own, pod.namespace(), claim));
    });
    let own = queue.clone();
    mirrors.claims.on_change(move |change| {
        own.add(Key::of(change.object()));
        add_named(&own, "", change.object().text(&["spec", "volumeName"]));
    });
    let (own, claims) = (queue.clone(), Arc::clone(&mirrors.claims));
    mirrors
        .volumes
        .on_change(move |change| volume_changed(change.object(), &claims, &own));
    let (own, claims) = (queue.clone(), Arc::clone(&mirrors.claims));
    mirrors
        .classes
        .on_change(move |_| add_waiting(&claims, &own));
}

fn volume_changed(volume: &Object, claims: &Informer, queue: &WorkQueue<Key>) {
    let of = |field: &str| volume.text(&["spec", "claimRef", field]);
    queue.add(Key::of(volume));
    match of("name") {
        "" => add_waiting(claims, queue),
        name => add_named(queue, of("namespace"), name),
    }
}

fn add_named(queue: &WorkQueue<Key>, namespace: &str, name: &str) {
    if !name.is_empty() {
        queue.add(Key::new(namespace, name));
    }
}

/// Claims without a volume may get one.
fn add_waiting(claims: &Informer, queue: &WorkQueue<Key>) {
    let all = claims.list().into_iter();
    let waits = all.filter(|claim| claim.text(&["spec", "volumeName"]).is_empty());
    waits.for_each(|claim| queue.add(Key::of(&claim)));
}

/// What is to be done for a volume or a claim that is there.
fn decided(mirrors: &Mirrors, key: &Key) -> Option<(Arc<Object>, Plan)> {
    if key.namespace.is_empty() {
        let volume = mirrors.volume(&key.name)?;
        let plan = osier_claims::volume(&volume, mirrors);
        return Some((volume, plan));
    }
    let claim = mirrors.claim(&key.namespace, &key.name)?;
    let plan = osier_claims::claim(&claim, mirrors);
    Some((claim, plan))
}

async fn reconcile(
    mirrors: &Mirrors,
    (client, recorder): (&Client, &Recorder),
    key: &Key,
) -> Result<Outcome, ClientError> {
    mirrors.synced().await;
    let Some((object, plan)) = decided(mirrors, key) else {
        return Ok(Outcome::Done);
    };
    if !plan.writes.is_empty() && is_there(client, plan.without).await? {
        // The mirror is behind: its news bring the volume back here.
        return Ok(Outcome::Done);
    }
    execute(client, plan.writes).await?;
    let about = Reference::to(&object);
    match plan.told {
        Some(told) if told.warning => recorder.warning(&about, told.reason, told.message),
        Some(told) => recorder.normal(&about, told.reason, told.message),
        None => {}
    }
    Ok(Outcome::Done)
}

/// Asks the API itself for the claim of this namespace, name and uid.
async fn is_there(
    client: &Client,
    claim: Option<(String, String, String)>,
) -> Result<bool, ClientError> {
    let Some((namespace, name, uid)) = claim else {
        return Ok(false);
    };
    let found = client.get(&PERSISTENT_VOLUME_CLAIMS, &namespace, &name);
    match found.await {
        Ok(found) => Ok(found.uid() == uid),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes one after the other; what is gone, or there already, is as it should be.
pub(crate) async fn execute(client: &Client, writes: Vec<Write>) -> Result<(), ClientError> {
    for write in writes {
        let of = (write.namespace.as_str(), write.name.as_str());
        let written = match write.change {
            Edit::Create(object) => client.create(write.resource, &object).await,
            Edit::Patch(patch) => client.patch(write.resource, of, patch, Part::Whole).await,
            Edit::Status(patch) => client.patch(write.resource, of, patch, Part::Status).await,
        };
        match written {
            Err(error) if error.is_already_exists() => {}
            other => gone_is_fine(other)?,
        }
    }
    Ok(())
}
