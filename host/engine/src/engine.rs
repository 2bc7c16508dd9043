//! The engine: two wasmtime engines (workloads and plugins), their clocks, and the compile cache.
use crate::plugin::PluginComponent;
use crate::{ComponentError, EngineError, Workload};
use osier_process::Tasks;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Where guests that outlive their response are finished.
    pub tasks: Tasks,
}

impl Settings {
    /// The usual settings: 1 GiB of compiled code, 1,000 instances, ticks of 5 ms, 30 s of idleness.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>, tasks: Tasks) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_bytes: 1 << 30,
            max_instances: 1000,
            tick: Duration::from_millis(5),
            idle: Duration::from_secs(30),
            tasks,
        }
    }
}

/// Digest of a component's bytes, `sha256:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest(String);

impl Digest {
    /// Digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        use std::fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in sha2::Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Handle to the engine; clones share it. The last clone stops its threads.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Starts the engine.
    ///
    /// # Errors
    /// If the cache directory cannot be used or the machine cannot run the engine at all.
    pub fn start(settings: Settings) -> Result<Self, EngineError> {
        drop(settings);
        todo!()
    }

    /// Compiles a workload or loads it from the cache. Blocks: a cold component costs about 2 ms for each KB.
    ///
    /// # Errors
    /// If the bytes are no component, or one that cannot be linked here.
    pub fn workload(&self, wasm: &[u8]) -> Result<Workload, ComponentError> {
        let _ = wasm;
        todo!()
    }

    /// Compiles a plugin or loads it from the cache. Blocks.
    ///
    /// # Errors
    /// If the bytes are no component.
    pub fn plugin(&self, wasm: &[u8]) -> Result<PluginComponent, ComponentError> {
        let _ = wasm;
        todo!()
    }
}
