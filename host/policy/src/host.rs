//! The host of policy: loads plugins, compiles policies, owns counters and metrics.

use std::collections::HashMap;
use std::sync::Arc;

use osier_capabilities::{Callout, Callouts, CounterStore, Counters};
use osier_engine::Engine;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use parking_lot::Mutex;
use serde_json::Value as Json;

use crate::fault::{Fault, LoadError, Unavailable};
use crate::key::ObjectKey;
use crate::plugin::{Loader, Plugin, PluginStatus, fingerprint};
use crate::policy::{CompiledPolicy, Compiler, Missing};
use osier_capabilities::Families;
use osier_capabilities::MeterBook;
use osier_capabilities::Spaces;
use osier_expressions::{Places, Vocabulary};

/// Loads plugins and compiles policies. Clones share everything.
#[derive(Clone)]
pub struct PolicyHost {
    inner: Arc<Inner>,
    vocabulary: Arc<Vocabulary>,
}

struct Inner {
    engine: Engine,
    families: Families,
    tasks: Tasks,
    counters: Arc<dyn CounterStore>,
    meters: MeterBook,
    spaces: Spaces,
    callouts: Arc<Callouts>,
    places: Mutex<Places>,
    /// What was loaded last for each object, so that loading it again costs nothing.
    loaded: Mutex<HashMap<ObjectKey, Loaded>>,
}

struct Loaded {
    fingerprint: String,
    plugin: Arc<Plugin>,
}

impl PolicyHost {
    /// An empty host, whose plugins count on this node.
    pub fn new(engine: Engine, metrics: &Metrics, tasks: Tasks) -> Self {
        Self::counting(engine, metrics, tasks, Arc::new(Counters::default()))
    }

    /// An empty host, whose plugins count into `counters`.
    pub fn counting(
        engine: Engine,
        metrics: &Metrics,
        tasks: Tasks,
        counters: Arc<dyn CounterStore>,
    ) -> Self {
        let inner = Inner {
            engine,
            families: Families::new(metrics),
            tasks,
            counters,
            meters: MeterBook::new(metrics),
            spaces: Spaces::new(metrics),
            callouts: Arc::default(),
            places: Mutex::default(),
            loaded: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            vocabulary: Arc::default(),
        }
    }

    /// The same host, which compiles policies against the standard vocabulary and what AttributeManifests declare (name and `spec` of each).
    /// The second value names what was left out because it is at fault: the manifest, and what is wrong.
    pub fn knowing<'m>(
        &self,
        manifests: impl IntoIterator<Item = (&'m str, &'m Json)>,
    ) -> (Self, Vec<(&'m str, Fault)>) {
        let mut vocabulary = Vocabulary::default();
        let faults = self.inner.places.lock().add(&mut vocabulary, manifests);
        let host = Self {
            inner: self.inner.clone(),
            vocabulary: Arc::new(vocabulary),
        };
        (host, faults)
    }

    /// From now on plugins may call what they are granted, by this way. Only the first one counts.
    pub fn join_callout(&self, callout: Arc<dyn Callout>) {
        self.inner.callouts.join(callout);
    }

    /// The attributes that expressions may name.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Compiles, configures and proves a plugin. Blocking. The same bytes and spec give the plugin that is already there; after an error what
    /// was loaded before stays as it was.
    ///
    /// # Errors
    /// Names the field and the remedy.
    pub fn load(
        &self,
        key: &ObjectKey,
        spec: &Json,
        wasm: &[u8],
    ) -> Result<Arc<Plugin>, LoadError> {
        let host = &*self.inner;
        let loader = Loader {
            engine: &host.engine,
            counters: &*host.counters,
            meters: &host.meters,
            families: &host.families,
            tasks: &host.tasks,
            spaces: &host.spaces,
            callouts: &host.callouts,
        };
        let code = loader.code(key, wasm)?;
        let fingerprint = fingerprint(spec);
        let digest = code.digest();
        if let Some(known) = host.loaded.lock().get(key)
            && known.fingerprint == fingerprint
            && known.plugin.digest() == digest
        {
            return Ok(known.plugin.clone());
        }
        let plugin = Arc::new(loader.load(key, spec, &code)?);
        plugin.begin();
        let loaded = Loaded {
            fingerprint,
            plugin: plugin.clone(),
        };
        host.loaded.lock().insert(key.clone(), loaded);
        Ok(plugin)
    }

    /// What was loaded last for an object, if it was of this spec: where the object was admitted, that is the plugin itself.
    #[must_use]
    pub fn loaded(&self, key: &ObjectKey, spec: &Json) -> Option<Arc<Plugin>> {
        let loaded = self.inner.loaded.lock();
        let known = loaded.get(key)?;
        (known.fingerprint == fingerprint(spec)).then(|| known.plugin.clone())
    }

    /// Forgets a plugin; policies that hold it keep it until they go.
    pub fn unload(&self, key: &ObjectKey) {
        self.inner.loaded.lock().remove(key);
        self.inner.meters.forget(&key.to_string());
        self.inner.spaces.forget(&key.to_string());
    }

    /// Compiles a policy against the vocabulary and the types of its plugins.
    ///
    /// # Errors
    /// Every wrong field at once.
    pub fn check_policy(
        &self,
        key: &ObjectKey,
        spec: &Json,
        plugin_of: &dyn Fn(&str) -> Option<Arc<Plugin>>,
    ) -> Result<CompiledPolicy, Vec<Fault>> {
        self.compile(key, spec, &|name| {
            plugin_of(name).ok_or_else(|| {
                Missing::Fault(format!(
                    "no Plugin `{name}` is loaded in namespace {} or the root namespace; apply it first and see its status",
                    key.namespace
                ))
            })
        })
    }

    /// As [`PolicyHost::check_policy`], but a plugin that is not there does not keep the policy out of force: calls that match it go by the
    /// failure policy, so that a plugin which cannot be fetched never opens a door.
    ///
    /// # Errors
    /// Every wrong field at once.
    pub fn enforce_policy(
        &self,
        key: &ObjectKey,
        spec: &Json,
        plugin_of: &dyn Fn(&str) -> Result<Arc<Plugin>, Unavailable>,
    ) -> Result<CompiledPolicy, Vec<Fault>> {
        self.compile(key, spec, &|name| {
            plugin_of(name).map_err(Missing::Unavailable)
        })
    }

    fn compile(
        &self,
        key: &ObjectKey,
        spec: &Json,
        plugin_of: &dyn Fn(&str) -> Result<Arc<Plugin>, Missing>,
    ) -> Result<CompiledPolicy, Vec<Fault>> {
        let compiler = Compiler {
            vocabulary: &self.vocabulary,
            families: &self.inner.families,
            plugin_of,
        };
        compiler.compile(key, spec)
    }

    /// How a plugin is doing on this node.
    pub fn status(&self, plugin: &Plugin) -> PluginStatus {
        plugin.status()
    }
}
