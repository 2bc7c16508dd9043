//! Plugins: components that are asked questions synchronously, through interfaces that this crate does not know.

mod keyvalue;

pub use keyvalue::{KeyValue, KeyValueError, Taken, Terms};
pub use wasmtime::component::{Type, Val};

use crate::{CallError, ComponentError, Digest, Output};
use std::sync::Arc;
use std::time::Duration;

/// A compiled plugin. Clones share the code.
#[derive(Clone)]
pub struct PluginComponent {}

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

impl PluginComponent {
    /// Digest of the bytes it was made of.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        todo!()
    }

    /// The interfaces that it exports, in order.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        todo!()
    }

    /// Full names of what it imports, without interfaces that hold only types.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        todo!()
    }

    /// A custom section of the component.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let _ = name;
        todo!()
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
        drop((grants, limits));
        todo!()
    }
}

/// A plugin that is linked and ready to be instantiated. Clones share it.
#[derive(Clone)]
pub struct PreparedPlugin {}

impl PreparedPlugin {
    /// Makes an instance. Takes about 20 microseconds for a small guest.
    ///
    /// # Errors
    /// If the guest's start function fails, or the pool is exhausted (`Overloaded`).
    pub fn instantiate(&self) -> Result<PluginInstance, CallError> {
        todo!()
    }
}

/// A function of a plugin; good for every instance of the same component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionHandle(u32);

/// One instance. It is called by one thread at a time.
pub struct PluginInstance {}

impl PluginInstance {
    /// Finds a function.
    pub fn function(&mut self, interface: &str, function: &str) -> Option<FunctionHandle> {
        let _ = (interface, function, FunctionHandle(0));
        todo!()
    }

    /// Calls a function on this thread. `results` must be as long as the function has results.
    ///
    /// # Errors
    /// After any error the instance is of no more use: drop it.
    pub fn call(
        &mut self,
        function: FunctionHandle,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<(), CallError> {
        let _ = (function, args, results);
        todo!()
    }

    /// Bytes of linear memory that it holds.
    #[must_use]
    pub fn memory(&self) -> u64 {
        todo!()
    }
}
