//! Plugins and policies on this node: fetched, loaded and compiled off the request path, swapped
//! in whole. What fails leaves in force what was, and says so in the object's status.

mod course;
mod found;
mod made;
mod rollout;
mod security;
mod status;
mod troubles;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{ATTRIBUTE_MANIFESTS, PLUGINS, POLICIES};
use osier_client::{Backoff, Client, Informer, Recorder, Reference, Scope};
use osier_distribution::Credentials;
use osier_policy::{CompiledPolicy, ObjectKey, Plugin, PolicyHost, PolicySet, Unavailable};
use osier_process::{Tasks, clock};
use osier_standing::PolicyHere;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::components::Components;
use crate::gate::PolicyGate;
use crate::mesh::Mirrors;
use crate::pod::Shared;
use course::{Course, Entry};
use found::{failure_policy, missing, plugin_names, plugin_of, waits};
use made::{Made, Version};
use osier_images::{PullPolicy, Puller};
use security::Security;
use status::{Standing, Writer};
use troubles::Troubles;

/// A plugin that could not be loaded is tried again: its image may have been imported meanwhile.
const RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// Counters in statuses are at most this old.
const REFRESH: Duration = Duration::from_secs(1);

/// For how long a policy decides on as it was when its plugin was deleted: whoever deletes both does it one after the other. Then
/// its calls go by its failure policy, as they do after a restart.
pub const PLUGIN_GRACE: Duration = Duration::from_secs(30);

/// The result of loading one version of a plugin.
struct Loaded {
    key: ObjectKey,
    version: Version,
    result: Result<Arc<Plugin>, String>,
}

/// What the extensions of a data plane work with.
pub(crate) struct Room {
    pub(crate) client: Client,
    pub(crate) components: Arc<Components>,
    pub(crate) recorder: Recorder,
    pub(crate) node_name: String,
    pub(crate) root_namespace: String,
    pub(crate) mirrors: Mirrors,
    pub(crate) tasks: Tasks,
}

impl Room {
    /// That of a node.
    pub(crate) fn of(shared: &Shared, mirrors: Mirrors) -> Self {
        Self {
            mirrors,
            client: shared.client.clone(),
            components: Arc::clone(&shared.components),
            recorder: shared.recorder.clone(),
            node_name: shared.settings.node_name.clone(),
            root_namespace: shared.settings.root_namespace.clone(),
            tasks: shared.tasks.clone(),
        }
    }
}

/// Keeps the gate's policies up to date.
pub(crate) struct Extensions {
    room: Room,
    host: PolicyHost,
    gate: Arc<PolicyGate>,
    plugins: Arc<Informer>,
    policies: Arc<Informer>,
    manifests: Arc<Informer>,
    security: Security,
    /// What the policies' expressions may name: the manifests that `host` knows.
    spoken: Vec<(String, Version)>,
    /// Since the last time that policies were published.
    learned: bool,
    known: BTreeMap<ObjectKey, Entry>,
    /// What is in force of each policy, and why its newest version is not.
    compiled: BTreeMap<ObjectKey, InForce>,
    statuses: Writer,
    troubles: Troubles,
    recorder: Recorder,
    sender: mpsc::Sender<Loaded>,
    receiver: mpsc::Receiver<Loaded>,
    ready: watch::Sender<bool>,
}

/// A policy on this node.
#[derive(Default)]
struct InForce {
    policy: Option<Arc<CompiledPolicy>>,
    faults: Vec<String>,
    /// What it was last compiled from.
    made_of: Option<Made>,
    /// Since when a plugin is away and it decides on as it was, until it is back, the policy goes too, or the grace is over.
    kept: Option<Instant>,
}

fn key_of(object: &Object) -> ObjectKey {
    ObjectKey::new(object.namespace(), object.name())
}

impl Extensions {
    pub(crate) fn new(
        room: Room,
        host: PolicyHost,
        gate: Arc<PolicyGate>,
        ready: watch::Sender<bool>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(16);
        let mirror = |resource| {
            Informer::start(room.client.clone(), resource, Scope::default(), &room.tasks)
        };
        Self {
            plugins: mirror(&PLUGINS),
            policies: mirror(&POLICIES),
            manifests: mirror(&ATTRIBUTE_MANIFESTS),
            security: Security::new(mirror),
            spoken: Vec::new(),
            learned: false,
            troubles: Troubles::default(),
            statuses: Writer::new(room.client.clone(), &room.node_name),
            recorder: room.recorder.clone(),
            room,
            host,
            gate,
            known: BTreeMap::new(),
            compiled: BTreeMap::new(),
            sender,
            receiver,
            ready,
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let (mut plugins, mut policies) = (self.plugins.changed(), self.policies.changed());
        let mut manifests = self.manifests.changed();
        self.plugins.synced().await;
        self.policies.synced().await;
        self.manifests.synced().await;
        self.security.synced().await;
        self.secure();
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            plugins.borrow_and_update();
            policies.borrow_and_update();
            manifests.borrow_and_update();
            self.learn();
            self.load_plugins();
            self.publish();
            self.tell().await;
            tokio::select! {
                _ = plugins.changed() => {}
                _ = policies.changed() => {}
                _ = manifests.changed() => {}
                () = self.security.changed() => self.secure(),
                loaded = self.receiver.recv() => if let Some(loaded) = loaded {
                    self.take(loaded);
                },
                _ = refresh.tick() => {}
            }
        }
    }

    fn secure(&mut self) {
        self.security.publish(&self.gate, &self.room.root_namespace);
    }

    /// From now on expressions may name what the manifests declare. Admission refuses those that disagree; should two meet all the
    /// same, the first by name counts.
    fn learn(&mut self) {
        let objects = self.manifests.list();
        let version = |object: &Arc<Object>| (object.name().to_owned(), Version::of(object));
        let mut spoken: Vec<_> = objects.iter().map(version).collect();
        spoken.sort_by(|(a, _), (b, _)| a.cmp(b));
        if spoken == self.spoken {
            return;
        }
        let mut sorted: Vec<_> = objects.iter().collect();
        sorted.sort_by_key(|object| object.name());
        let declared = sorted.into_iter().map(|object| {
            let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
            (object.name(), spec)
        });
        let (host, faults) = self.host.knowing(declared);
        for (manifest, fault) in faults {
            tracing::warn!(manifest, %fault, "an attribute is left out");
        }
        (self.host, self.spoken, self.learned) = (host, spoken, true);
    }

    /// Starts to load what is new, and forgets what is gone.
    fn load_plugins(&mut self) {
        let objects = self.plugins.list();
        let (host, now, mut admitted) = (&self.host, Instant::now(), Vec::new());
        self.known.retain(|key, _| {
            let stays = objects.iter().any(|object| key_of(object) == *key);
            if !stays {
                host.unload(key);
            }
            stays
        });
        for object in &objects {
            let (key, version) = (key_of(object), Version::of(object));
            let entry = self.known.entry(key.clone()).or_default();
            if !entry.starts(&version, now) {
                continue;
            }
            // Where the object was admitted it was loaded, and no call need find it missing.
            let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
            match host.loaded(&key, spec).filter(|_| entry.plugin.is_none()) {
                Some(plugin) => admitted.push(Loaded {
                    key,
                    version,
                    result: Ok(plugin),
                }),
                None => self.spawn(key, version, Arc::clone(object)),
            }
        }
        for loaded in admitted {
            self.take(loaded);
        }
    }

    fn spawn(&self, key: ObjectKey, version: Version, object: Arc<Object>) {
        let (host, components, sender) = (
            self.host.clone(),
            Arc::clone(&self.room.components),
            self.sender.clone(),
        );
        let tasks = self.room.tasks.clone();
        self.room.tasks.spawn("load-plugin", async move {
            let of = key.clone();
            let image = object.text(&["spec", "image"]).to_owned();
            let mut spec = object.get(&["spec"]).cloned().unwrap_or_default();
            let proven = proven(&components.puller, &image, &mut spec).await;
            let pulled = components
                .puller
                .pull(&image, PullPolicy::IfNotPresent, Credentials::default())
                .await;
            let fetched = components.fetch(&image).await;
            let work = tasks.spawn_blocking("compile-plugin", move || {
                proven?;
                let bytes = components.bytes(&image);
                let bytes = bytes.map_err(|error| match (pulled, fetched) {
                    (Err(reason), _) => format!("spec.image: {reason}"),
                    (_, Err(reason)) => format!("spec.image: {reason}"),
                    _ => format!("spec.image: {error}"),
                })?;
                host.load(&of, &spec, &bytes)
                    .map_err(|error| error.to_string())
            });
            let result = work
                .await
                .unwrap_or_else(|error| Err(format!("loading it failed: {error}")));
            // Nobody listens when the process stops.
            let _told = sender
                .send(Loaded {
                    key,
                    version,
                    result,
                })
                .await;
        });
    }

    fn take(&mut self, loaded: Loaded) {
        let Some(entry) = self.known.get_mut(&loaded.key) else {
            // It was deleted while it was being loaded.
            return self.host.unload(&loaded.key);
        };
        let object = self.plugins.get(&loaded.key.namespace, &loaded.key.name);
        if let Some(object) = object {
            match &loaded.result {
                Ok(plugin) => self.recorder.normal(
                    &Reference::to(&object),
                    "Loaded",
                    format!("Loaded {}", plugin.digest()),
                ),
                Err(error) => {
                    self.recorder
                        .warning(&Reference::to(&object), "LoadFailed", error.as_str())
                }
            }
        }
        entry.finish(
            loaded.version,
            loaded.result,
            (Instant::now(), clock::now()),
        );
    }

    /// Compiles all policies and swaps them in. A call whose policy has no plugin here, be it that it is being loaded for the first time
    /// or that it could not be, goes by the failure policy; a changed policy waits for a new plugin while the version before decides.
    fn publish(&mut self) {
        let opening = !*self.ready.borrow();
        if opening
            && self
                .known
                .values()
                .any(|entry| matches!(entry.course, Course::Loading { .. }))
        {
            return;
        }
        let objects = self.policies.list();
        let before = self.compiled.len();
        self.compiled
            .retain(|key, _| objects.iter().any(|object| key_of(object) == *key));
        let mut changed = opening || self.learned || self.compiled.len() != before;
        for object in &objects {
            changed |= self.compile(object);
            let compiled = self.compiled.get(&key_of(object));
            if let Some(policy) = compiled.and_then(|known| known.policy.as_deref()) {
                rollout::heed(object, policy);
            }
        }
        if changed {
            let policies: Vec<_> = self
                .compiled
                .values()
                .filter_map(|known| known.policy.clone())
                .collect();
            let set = PolicySet::new(policies, &self.room.root_namespace);
            let set = set.speaking(Arc::clone(self.host.vocabulary()));
            self.gate.publish(Arc::new(set));
            self.ready.send_replace(true);
            self.learned = false;
        }
    }

    /// Compiles a policy if it or its plugins changed; true if so.
    fn compile(&mut self, object: &Object) -> bool {
        let key = key_of(object);
        let spec = object.get(&["spec"]).cloned().unwrap_or_default();
        let namespaces = [key.namespace.as_str(), self.room.root_namespace.as_str()];
        let entry = self.compiled.entry(key.clone()).or_default();
        let whole = entry.made_of.as_ref().is_some_and(Made::is_whole);
        if whole && waits(&spec, namespaces, &self.known) {
            return false;
        }
        let find = |name: &str| {
            plugin_of(&self.known, namespaces, name).map_err(|reason| Unavailable {
                reason,
                failure: failure_policy(&self.plugins, namespaces, name),
            })
        };
        let identity = |name| find(name).map(|plugin| Arc::as_ptr(&plugin).addr());
        let made = Made {
            version: Version::of(object),
            spoken: self.spoken.clone(),
            plugins: plugin_names(&spec).map(identity).collect(),
            canary: rollout::canary(&spec).map(identity),
        };
        if entry.made_of.as_ref() == Some(&made) {
            entry.kept = None;
            return false;
        }
        // What lies between the deletion of a plugin and of its policies must not refuse calls that were allowed before and will
        // be allowed after.
        let before = entry.made_of.as_ref();
        let lost = before.is_some_and(|before| made.only_lost(before));
        let since = entry.kept.filter(|_| lost).unwrap_or_else(Instant::now);
        entry.kept = (lost && since.elapsed() < PLUGIN_GRACE).then_some(since);
        if entry.kept.is_some() {
            return false;
        }
        match self.host.enforce_policy(&key, &spec, &find) {
            Ok(policy) => {
                entry.policy = Some(Arc::new(policy));
                entry.faults.clear();
            }
            Err(faults) => entry.faults = faults.iter().map(ToString::to_string).collect(),
        }
        entry.made_of = Some(made);
        true
    }

    /// What is wrong with the targets of a policy, once it is known what there is.
    fn unattached(&self, known: &InForce) -> Vec<String> {
        let mirrors = &self.room.mirrors;
        match &known.policy {
            Some(policy) if mirrors.are_synced() => {
                policy.unattached(&self.room.root_namespace, &|sought| mirrors.has(sought))
            }
            _ => Vec::new(),
        }
    }

    async fn tell(&mut self) {
        let Some(fleet) = self.room.mirrors.fleet(&self.room.node_name) else {
            return;
        };
        for object in self.plugins.list() {
            if let Some(entry) = self.known.get(&key_of(&object)) {
                let serving = entry.plugin.as_ref().map(|plugin| plugin.status());
                if let Some(news) = self
                    .troubles
                    .news(&object, serving.as_ref(), Instant::now())
                {
                    let about = Reference::to(&object);
                    self.recorder.warning(&about, "CallsFailed", news);
                }
                self.statuses.plugin(&object, entry, &fleet).await;
            }
        }
        for object in self.policies.list() {
            let known = self.compiled.get(&key_of(&object));
            // Before the first set is in force there is nothing to say.
            if let Some(known) = known.filter(|known| known.made_of.is_some()) {
                let root = &self.room.root_namespace;
                let missing = missing(&object, &self.known, root);
                let (missing, loading): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
                let made_of = known.made_of.as_ref();
                let here = PolicyHere {
                    in_force: known.policy.is_some(),
                    before: made_of.is_some_and(|made| made.version != Version::of(&object)),
                    faults: &known.faults,
                    missing: &missing,
                    loading: loading.iter().all(|loads| *loads),
                    kept: known.kept.map(|_| PLUGIN_GRACE.as_secs()),
                };
                let standing = Standing {
                    here,
                    unattached: self.unattached(known),
                    rollout: known.policy.as_deref().and_then(CompiledPolicy::rollout),
                };
                self.statuses.policy(&object, standing, &fleet).await;
            }
        }
    }
}

/// Sees to it that the image is signed, if the spec says by whom; what is loaded says so no more.
async fn proven(puller: &Arc<Puller>, image: &str, spec: &mut Value) -> Result<(), String> {
    let signers = osier_policy::signers(spec).map_err(|fault| fault.to_string())?;
    let Some(keys) = signers else {
        return Ok(());
    };
    let pulled = puller.pull_signed(image, &keys).await;
    pulled.map_err(|error| format!("spec.image: {error}"))?;
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("verify");
    }
    Ok(())
}
