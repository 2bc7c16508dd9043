//! Plugins: components that are asked questions synchronously, through interfaces that this crate does not know.
//!
//! Everything is read from the component itself: what it exports, what it imports, its custom sections. A call goes
//! through untyped values, which its caller keeps and fills in place. A plugin computes, or it traps; what it asks
//! of other services (`calls`) it waits for on the thread of its caller.

mod calls;
mod grants;
pub mod hooks;
mod instance;
mod keyvalue;
mod logging;
mod metering;
mod prompt;
mod reflect;

pub use grants::Need;
pub(crate) use grants::need as needs;
pub use instance::{Lost, PluginInstance, PreparedPlugin};
pub use osier_capabilities::{KeyValue, LogStreams, Meters, Outside};
pub use wasmtime::component::types::Record;
pub use wasmtime::component::{Type, Val};

use crate::engine::{Compiled, Core};
use crate::{ComponentError, Digest, Output, imports};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::ComponentExportIndex;

/// A compiled plugin. Clones share the code.
#[derive(Clone)]
pub struct PluginComponent(Arc<Inner>);

pub(crate) struct Inner {
    core: Arc<Core>,
    compiled: Arc<Compiled>,
    interfaces: Vec<Interface>,
    /// Where the functions are, in the order of `interfaces`: what a [`FunctionHandle`] counts.
    exports: Vec<ComponentExportIndex>,
    imports: Vec<String>,
}

/// An interface that a plugin exports.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Full name with version, `osier:policy/quota@0.1.0`.
    pub name: String,
    /// Its functions.
    pub functions: Vec<Function>,
}

/// A function of an interface.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Names and types of its parameters.
    pub params: Vec<(String, Type)>,
    /// Type of its result, if it has one.
    pub results: Option<Type>,
}

/// What a plugin may use besides its own computation. The default is nothing.
#[derive(Clone, Default)]
pub struct PluginGrants {
    /// The real time.
    pub clock: bool,
    /// Random numbers.
    pub random: bool,
    /// Counters of the host (`osier:policy/counters`).
    pub keyvalue: Option<Arc<dyn KeyValue>>,
    /// Logs of the host (`osier:policy/log`).
    pub streams: Option<Arc<dyn LogStreams>>,
    /// Metrics of the host (`osier:policy/metrics`).
    pub meters: Option<Arc<dyn Meters>>,
    /// Calls to other services (`osier:policy/http`).
    pub outside: Option<Arc<dyn Outside>>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Where standard output and error go; nowhere if none.
    pub logs: Option<Arc<dyn Output>>,
}

/// What one instance or call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Bytes over all linear memories of one instance.
    pub memory: u64,
    /// Processor time of one call.
    pub deadline: Duration,
    /// Bytes that one answer may have, counted as the host holds them.
    pub answer_bytes: usize,
}

impl Default for PluginLimits {
    /// 16 MiB, 5 ms, 128 KiB.
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            deadline: Duration::from_millis(5),
            answer_bytes: 128 << 10,
        }
    }
}

/// A function of a plugin; good for every instance of the same component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionHandle(u32);

impl PluginComponent {
    pub(crate) fn new(core: Arc<Core>, compiled: Arc<Compiled>) -> Result<Self, ComponentError> {
        let (interfaces, exports) = reflect::interfaces(&compiled.component)?;
        let imports = imports::names(&compiled.component);
        Ok(Self(Arc::new(Inner {
            core,
            compiled,
            interfaces,
            exports,
            imports,
        })))
    }

    /// Digest of the bytes it was made of.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.compiled.digest
    }

    /// The interfaces that it exports, in order; functions outside an interface are left out.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.0.interfaces
    }

    /// Full names of what it imports, without interfaces that hold only types.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// What each import needs before the plugin can be loaded.
    #[must_use]
    pub fn needs(&self) -> Vec<(&str, Need)> {
        let needs = self.imports().iter();
        needs
            .map(|import| (import.as_str(), grants::need(import)))
            .collect()
    }

    /// Bytes of linear memory that one instance holds before it runs, as far as its modules tell.
    #[must_use]
    pub fn initial_memory(&self) -> u64 {
        imports::initial_memory(&self.0.compiled.component)
    }

    /// A custom section of the component or of a module in it, if its name starts with `osier`.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.0.compiled.sections.get(name).map(Vec::as_slice)
    }

    /// Finds a function.
    #[must_use]
    pub fn function(&self, interface: &str, function: &str) -> Option<FunctionHandle> {
        let all = self
            .0
            .interfaces
            .iter()
            .flat_map(|i| i.functions.iter().map(move |f| (&i.name, &f.name)));
        let at = all
            .into_iter()
            .position(|(i, f)| i == interface && f == function)?;
        u32::try_from(at).ok().map(FunctionHandle)
    }

    /// Links it with what is granted.
    ///
    /// # Errors
    /// An import that is not granted, by its name.
    pub fn prepare(
        &self,
        grants: PluginGrants,
        limits: PluginLimits,
    ) -> Result<PreparedPlugin, ComponentError> {
        PreparedPlugin::new(self.0.clone(), grants, limits)
    }
}
