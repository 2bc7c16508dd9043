//! The engine: wasmtime engines for workloads, plugins and, once there is one, workloads of WASI 0.3, their clocks, and the compile cache.

use crate::guest::Guest;
use crate::machine::{Calls, Pool};
use crate::plugin::PluginComponent;
use crate::reaper::Reaper;
use crate::ticker::{Clock, Ticker};
use crate::{ComponentError, EngineError, Workload};
use osier_process::Tasks;
use osier_wasm::{Cache, Digest};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use wasmtime::Module;
use wasmtime::component::{Component, Linker};

/// Plugin instances alive at the same time: plugins are few and small, and workers keep only some of each.
const PLUGIN_INSTANCES: u32 = 512;
/// Plugins answer within milliseconds, so their clock is finer than that of workloads.
const PLUGIN_TICK: Duration = Duration::from_millis(1);

/// How to start an [`Engine`]. Take `Settings::new` and change what differs.
#[derive(Clone)]
pub struct Settings {
    /// Where compiled code is kept; made with mode 0700 if it is not there.
    pub cache_dir: PathBuf,
    /// Bytes of compiled code to keep; beyond that the least recently used goes first.
    pub cache_bytes: u64,
    /// Instances of workloads alive at the same time, if the machine allows as many.
    pub max_instances: u32,
    /// One tick of workloads: the unit of `cpu_share`.
    pub tick: Duration,
    /// How long an instance without requests is kept warm.
    pub idle: Duration,
    /// Instances without requests that are kept warm, of all containers together; beyond that the longest idle go.
    pub max_warm: u32,
    /// Where guests that outlive their response are finished.
    pub tasks: Tasks,
    /// Bytes of compiled functions to keep in memory, so that a component that differs little from one before is compiled sooner. Then everything is
    /// compiled, even what is on disk: it fills the memory. 0 for engines that run things: it makes the first compilation dearer.
    pub reuse: usize,
}

impl Settings {
    /// The usual settings: 1 GiB of compiled code, 1,000 instances, ticks of 5 ms, 30 s of idleness for 1,000 of them.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>, tasks: Tasks) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_bytes: 1 << 30,
            max_instances: 1000,
            tick: Duration::from_millis(5),
            idle: Duration::from_secs(30),
            max_warm: 1000,
            tasks,
            reuse: 0,
        }
    }
}

/// Handle to the engine; clones share it. Its threads end with the last clone and the last workload and plugin made by it.
#[derive(Clone)]
pub struct Engine(Arc<Core>);

/// What engine, workloads and plugins share.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) workloads: Side,
    pub(crate) plugins: Side,
    linker: Linker<Guest>,
    /// What WASI 0.3 needs: made with the first component of it.
    concurrency: OnceLock<Concurrency>,
    cache: Cache,
    /// Components in use, so that a thousand pods of one image share its code.
    components: Mutex<HashMap<(Kind, Digest), Weak<Compiled>>>,
    /// Likewise modules of proxy-wasm.
    modules: Mutex<HashMap<Digest, Weak<CompiledModule>>>,
    /// Held while a component is compiled: pods of one image that start together wait for the first.
    compiling: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
    reaper: Reaper,
}

/// The engine for workloads of WASI 0.3, and what they are linked with.
pub(crate) struct Concurrency {
    pub(crate) side: Side,
    pub(crate) linker: Linker<Guest>,
}

/// One of the engines with its clock.
pub(crate) struct Side {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) clock: Clock,
    /// Part of a cache file's name: everything that decides about the machine code.
    key: String,
    _ticker: Ticker,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Workload,
    /// A workload of WASI 0.3.
    Concurrent,
    Plugin,
}

/// A compiled component and what was read from its bytes.
pub(crate) struct Compiled {
    pub(crate) digest: Digest,
    pub(crate) component: Component,
    pub(crate) sections: BTreeMap<String, Vec<u8>>,
}

/// A compiled module of proxy-wasm.
pub(crate) struct CompiledModule {
    pub(crate) digest: Digest,
    pub(crate) module: Module,
}

impl Engine {
    /// Starts the engine.
    ///
    /// # Errors
    /// If the cache directory cannot be used or the machine cannot run the engine at all.
    pub fn start(settings: Settings) -> Result<Self, EngineError> {
        let cache = Cache::open(&settings.cache_dir, settings.cache_bytes).map_err(|source| {
            EngineError::Cache {
                path: settings.cache_dir.clone(),
                source,
            }
        })?;
        let reuse = settings.reuse;
        let pool = Pool::fitting(settings.max_instances, true);
        let how = (pool, Calls::Serial, reuse);
        let workloads = Side::start("osier-tick", how, settings.tick)?;
        let how = (Pool::fitting(PLUGIN_INSTANCES, false), Calls::Serial, reuse);
        let plugins = Side::start("osier-plugin-tick", how, PLUGIN_TICK)?;
        let linker =
            crate::linker::workloads(&workloads.engine).map_err(|error| EngineError::Machine {
                reason: format!("{error:#}"),
            })?;
        let reaper = Reaper::start(settings.idle, settings.max_warm)?;
        Ok(Self(Arc::new(Core {
            settings,
            workloads,
            plugins,
            linker,
            concurrency: OnceLock::new(),
            cache,
            components: Mutex::default(),
            modules: Mutex::default(),
            compiling: Mutex::default(),
            reaper,
        })))
    }

    /// Compiles a workload or loads it from the cache. Blocks: a cold component costs about 2 ms for each KB.
    ///
    /// # Errors
    /// If the bytes are no component, or one that cannot be linked here.
    pub fn workload(&self, wasm: &[u8]) -> Result<Workload, ComponentError> {
        let kind = match osier_wasm::is_concurrent(wasm) {
            true => Kind::Concurrent,
            false => Kind::Workload,
        };
        if kind == Kind::Concurrent {
            self.0.concurrency()?;
        }
        let compiled = self.0.compiled(kind, wasm)?;
        Workload::new(self.0.clone(), kind, compiled)
    }

    /// Compiles a plugin or loads it from the cache. Blocks.
    ///
    /// # Errors
    /// If the bytes are no component.
    pub fn plugin(&self, wasm: &[u8]) -> Result<PluginComponent, ComponentError> {
        PluginComponent::new(self.0.clone(), self.0.compiled(Kind::Plugin, wasm)?)
    }

    /// Makes a plugin ready that differs in the range `at` from `like`, as [`osier_wasm::exchange`] does it; else as [`Engine::plugin`]. Blocks.
    ///
    /// # Errors
    /// If the bytes are no component.
    pub fn plugin_like(
        &self,
        (like, at): (&[u8], Range<usize>),
        wasm: &[u8],
    ) -> Result<(), ComponentError> {
        let name = |wasm| format!("{}-{}", Digest::of(wasm).hex(), self.0.plugins.key);
        if !self.0.cache.has(&name(like)) {
            self.plugin(like)?;
        }
        let code = self.0.cache.load(&name(like));
        match code.and_then(|code| osier_wasm::exchange((like, at), wasm, code)) {
            Some(code) => {
                self.0.cache.keep(&name(wasm), &code);
                Ok(())
            }
            None => self.plugin(wasm).map(drop),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0
    }
}

impl Side {
    fn start(
        name: &'static str,
        how: (Pool, Calls, usize),
        tick: Duration,
    ) -> Result<Self, EngineError> {
        let engine = crate::machine::engine(how)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let key = format!("{:016x}", hasher.finish());
        let ticker = Ticker::start(name, engine.clone(), tick)?;
        Ok(Self {
            engine,
            clock: ticker.clock(),
            key,
            _ticker: ticker,
        })
    }
}

impl Concurrency {
    fn start(settings: &Settings) -> Result<Self, EngineError> {
        let pool = Pool::fitting(settings.max_instances, true);
        let how = (pool, Calls::Concurrent, settings.reuse);
        let side = Side::start("osier-tick-0.3", how, settings.tick)?;
        let linker =
            crate::linker::concurrent(&side.engine).map_err(|error| EngineError::Machine {
                reason: format!("{error:#}"),
            })?;
        Ok(Self { side, linker })
    }
}

impl Core {
    /// What workloads of a kind are linked with.
    pub(crate) fn linker(&self, kind: Kind) -> &Linker<Guest> {
        match (kind, self.concurrency.get()) {
            (Kind::Concurrent, Some(concurrency)) => &concurrency.linker,
            _ => &self.linker,
        }
    }

    /// What WASI 0.3 needs, made now if it is not there.
    fn concurrency(&self) -> Result<(), ComponentError> {
        let _turn = self.components.lock();
        if self.concurrency.get().is_none() {
            let made = Concurrency::start(&self.settings);
            let made = made.map_err(|error| ComponentError::Invalid {
                reason: error.to_string(),
            })?;
            let _first = self.concurrency.set(made);
        }
        Ok(())
    }

    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// The engine of a kind of components.
    pub(crate) fn side(&self, kind: Kind) -> &Side {
        match (kind, self.concurrency.get()) {
            (Kind::Plugin, _) => &self.plugins,
            (Kind::Concurrent, Some(concurrency)) => &concurrency.side,
            _ => &self.workloads,
        }
    }

    fn compiled(&self, kind: Kind, wasm: &[u8]) -> Result<Arc<Compiled>, ComponentError> {
        let digest = Digest::of(wasm);
        let key = (kind, digest.clone());
        self.in_turn(&digest, || {
            in_use(&self.components, key, || self.compile(kind, &digest, wasm))
        })
    }

    /// A module of proxy-wasm: in use, from the cache, or compiled now.
    pub(crate) fn module(&self, wasm: &[u8]) -> Result<Arc<CompiledModule>, ComponentError> {
        let digest = Digest::of(wasm);
        self.in_turn(&digest, || {
            in_use(&self.modules, digest.clone(), || {
                let name = format!("{}-{}-module", digest.hex(), self.plugins.key);
                let module = self.code(&self.plugins, &name, wasm)?;
                let digest = digest.clone();
                Ok(CompiledModule { digest, module })
            })
        })
    }

    /// Waits for whoever compiles the same bytes, so that they are compiled once.
    fn in_turn<T>(&self, digest: &Digest, work: impl FnOnce() -> T) -> T {
        let mut compiling = self.compiling.lock();
        let turn = compiling.entry(digest.clone()).or_default().clone();
        drop(compiling);
        let mine = turn.lock();
        let made = work();
        drop(mine);
        let mut compiling = self.compiling.lock();
        if Arc::strong_count(&turn) <= 2 {
            compiling.remove(digest);
        }
        made
    }

    fn compile(
        &self,
        kind: Kind,
        digest: &Digest,
        wasm: &[u8],
    ) -> Result<Compiled, ComponentError> {
        let side = self.side(kind);
        let bytes = osier_wasm::component(wasm)?;
        // A wrapped module goes by the digest of the wrapped bytes, because the adapter changes with our version.
        let name = match &bytes {
            Cow::Borrowed(_) => format!("{}-{}", digest.hex(), side.key),
            Cow::Owned(wrapped) => format!("{}-{}", Digest::of(wrapped).hex(), side.key),
        };
        Ok(Compiled {
            digest: digest.clone(),
            component: self.code(side, &name, &bytes)?,
            sections: osier_wasm::sections(&bytes)?,
        })
    }

    /// Machine code out of the cache, or made now.
    fn code<T: Code>(&self, side: &Side, name: &str, bytes: &[u8]) -> Result<T, ComponentError> {
        let known = (self.settings.reuse == 0).then(|| self.cache.load(name));
        let known = known.flatten();
        if let Some(made) = known.and_then(|code| self.trusted(side, name, &code)) {
            return Ok(made);
        }
        let invalid = |error: wasmtime::Error| ComponentError::Invalid {
            reason: one_line(&error),
        };
        let begun = Instant::now();
        let made = T::compile(&side.engine, bytes).map_err(invalid)?;
        tracing::info!(name, bytes = bytes.len(), took = ?begun.elapsed(), "compiled");
        self.cache
            .keep(name, &made.machine_code().map_err(invalid)?);
        Ok(made)
    }

    #[expect(
        unsafe_code,
        reason = "wasmtime cannot check machine code; the cache holds only what this user wrote, whole"
    )]
    fn trusted<T: Code>(&self, side: &Side, name: &str, code: &[u8]) -> Option<T> {
        // SAFETY: `code` comes from `Cache::load`, which checked directory, owner and digest.
        let loaded = unsafe { T::deserialize(&side.engine, code) };
        loaded
            .inspect_err(|error| {
                tracing::warn!(
                    name,
                    error = one_line(error),
                    "compiled code does not fit this engine; compiling again"
                );
                self.cache.forget(name);
            })
            .ok()
    }
}

/// What machine code can be loaded as.
trait Code: Sized {
    /// # Safety
    /// The bytes must be what wasmtime serialized.
    #[expect(unsafe_code, reason = "wasmtime's own contract")]
    unsafe fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Self>;
    fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Self>;
    fn machine_code(&self) -> wasmtime::Result<Vec<u8>>;
}

#[expect(unsafe_code, reason = "wasmtime's own contract")]
impl Code for Component {
    unsafe fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::deserialize(engine, code) }
    }

    fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn machine_code(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }
}

#[expect(unsafe_code, reason = "wasmtime's own contract")]
impl Code for Module {
    unsafe fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::deserialize(engine, code) }
    }

    fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn machine_code(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }
}

/// What is in use of a key; if nothing is, it is made.
fn in_use<K: Eq + Hash, T>(
    all: &Mutex<HashMap<K, Weak<T>>>,
    key: K,
    make: impl FnOnce() -> Result<T, ComponentError>,
) -> Result<Arc<T>, ComponentError> {
    let known = all.lock().get(&key).and_then(Weak::upgrade);
    if let Some(known) = known {
        return Ok(known);
    }
    let made = Arc::new(make()?);
    let mut all = all.lock();
    all.retain(|_, one| one.strong_count() > 0);
    all.insert(key, Arc::downgrade(&made));
    Ok(made)
}

fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
