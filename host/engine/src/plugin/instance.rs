//! Instances of plugins and the calls to them: limits of memory, of time, and of what is answered.

use super::hooks::{Answer, Params};
use super::{
    FunctionHandle, Inner, KeyValue, LogStreams, Meters, Outside, PluginGrants, PluginLimits,
    grants,
};
use crate::cpu::thread_time;
use crate::memory::{Budget, Meter};
use crate::ticker::Clock;
use crate::watch::Watch;
use crate::{CallError, ComponentError, imports, trap};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Func, Instance, InstancePre, ResourceTable, TypedFunc, Val};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Custom section in which a plugin names what it can do without.
const OPTIONAL: &str = "osier.optional";
/// Resources that one instance may hold.
const RESOURCES: usize = 1000;
/// Instantiation runs a language's start-up code once, for which a call's deadline would be too short.
const START: Duration = Duration::from_secs(2);
/// What wasmtime says when an answer exceeds the bytes allowed.
const TOO_MUCH: &str = "too much data is being copied";

/// A plugin that is linked and ready to be instantiated. Clones share it.
#[derive(Clone)]
pub struct PreparedPlugin(Arc<Prepared>);

struct Prepared {
    plugin: Arc<Inner>,
    pre: InstancePre<Host>,
    grants: PluginGrants,
    limits: PluginLimits,
}

/// Data of a plugin's store.
pub(super) struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Meter,
    watch: Watch,
    counters: Option<Arc<dyn KeyValue>>,
    streams: Option<Arc<dyn LogStreams>>,
    meters: Option<Arc<dyn Meters>>,
    outside: Option<Arc<dyn Outside>>,
    /// What did not answer the guest during this call.
    lost: Option<Lost>,
}

/// What did not answer a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The counters.
    Counters,
    /// Another service.
    Calls,
}

impl Host {
    pub(super) fn lose(&mut self, lost: Lost) {
        self.lost = Some(lost);
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(super) fn counters(&self) -> Option<&Arc<dyn KeyValue>> {
        self.counters.as_ref()
    }

    pub(super) fn streams(&self) -> Option<&Arc<dyn LogStreams>> {
        self.streams.as_ref()
    }

    pub(super) fn outside(&self) -> Option<&Arc<dyn Outside>> {
        self.outside.as_ref()
    }

    pub(super) fn meters(&self) -> Option<&Arc<dyn Meters>> {
        self.meters.as_ref()
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl PreparedPlugin {
    pub(super) fn new(
        plugin: Arc<Inner>,
        grants: PluginGrants,
        limits: PluginLimits,
    ) -> Result<Self, ComponentError> {
        let optional = plugin.compiled.sections.get(OPTIONAL);
        let optional = optional.and_then(|words| std::str::from_utf8(words).ok());
        grants::check(&plugin.imports, &grants, optional.unwrap_or_default())?;
        let component = &plugin.compiled.component;
        let needs = imports::initial_memory(component);
        if needs > limits.memory {
            return Err(ComponentError::Limit {
                what: "spec.limits.memory",
                limit: limits.memory,
                needs,
            });
        }
        let pre = grants::linker(&plugin.core.plugins.engine, &grants)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(|error| imports::unlinked(&error))?;
        Ok(Self(Arc::new(Prepared {
            plugin,
            pre,
            grants,
            limits,
        })))
    }

    /// Makes an instance. Takes about 20 microseconds for a small guest.
    ///
    /// # Errors
    /// If the guest's start function fails, or the pool is exhausted (`Overloaded`).
    pub fn instantiate(&self) -> Result<PluginInstance, CallError> {
        let side = &self.0.plugin.core.plugins;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let host = Host {
            wasi: grants::context(&self.0.grants),
            table,
            memory: Meter::new(Budget::new(self.0.limits.memory)),
            watch: Watch::Coarse { limit: START },
            counters: self.0.grants.keyvalue.clone(),
            streams: self.0.grants.streams.clone(),
            meters: self.0.grants.meters.clone(),
            outside: self.0.grants.outside.clone(),
            lost: None,
        };
        let mut store = Store::new(&side.engine, host);
        store.limiter(|host| &mut host.memory);
        store.set_hostcall_fuel(self.0.limits.answer_bytes);
        store.epoch_deadline_callback(|mut store| {
            Ok(store.data_mut().watch.on_deadline(thread_time()))
        });
        store.set_epoch_deadline(side.clock.ticks_for(START / 2));
        let running = side.clock.enter();
        let instantiated = self.0.pre.instantiate(&mut store);
        drop(running);
        match instantiated {
            Ok(instance) => Ok(PluginInstance::new(self.0.clone(), store, instance)),
            Err(error) => Err(failure(&error, store.data(), &self.0.limits)),
        }
    }
}

/// One instance. It is called by one thread at a time.
pub struct PluginInstance {
    store: Store<Host>,
    instance: Instance,
    /// Found when first called, by number of the function.
    functions: Vec<Option<Func>>,
    clock: Clock,
    /// Ticks of the first half of the deadline.
    ticks: u64,
    prepared: Arc<Prepared>,
}

impl PluginInstance {
    fn new(prepared: Arc<Prepared>, store: Store<Host>, instance: Instance) -> Self {
        let clock = prepared.plugin.core.plugins.clock.clone();
        let ticks = clock.ticks_for(prepared.limits.deadline / 2);
        let functions = vec![None; prepared.plugin.exports.len()];
        Self {
            store,
            instance,
            functions,
            clock,
            ticks,
            prepared,
        }
    }

    /// Finds a function.
    pub fn function(&mut self, interface: &str, function: &str) -> Option<FunctionHandle> {
        super::PluginComponent(self.prepared.plugin.clone()).function(interface, function)
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
        let (limit, ticks) = (self.prepared.limits.deadline, self.ticks);
        self.run(function, args, results, (limit, ticks))
    }

    /// As [`PluginInstance::call`], with another deadline: for configuration and probes, which are not on a request's path.
    ///
    /// # Errors
    /// After any error the instance is of no more use: drop it.
    pub fn call_within(
        &mut self,
        limit: Duration,
        function: FunctionHandle,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<(), CallError> {
        let ticks = self.clock.ticks_for(limit / 2);
        self.run(function, args, results, (limit, ticks))
    }

    /// Calls a function whose types the host knows. `extra` bytes are allowed in the answer beside the usual ones.
    ///
    /// # Errors
    /// After any error the instance is of no more use: drop it. Other types than the function's are an error too.
    pub fn call_typed<P: Params, R: Answer>(
        &mut self,
        function: FunctionHandle,
        params: P,
        extra: usize,
    ) -> Result<R, CallError> {
        let (limit, ticks) = (self.prepared.limits.deadline, self.ticks);
        let function = self.typed::<P, R>(function)?;
        let answer_bytes = self.prepared.limits.answer_bytes;
        if extra > 0 {
            self.store
                .set_hostcall_fuel(answer_bytes.saturating_add(extra));
        }
        let called = self.timed(limit, ticks, |store| function.call(store, params));
        if extra > 0 {
            self.store.set_hostcall_fuel(answer_bytes);
        }
        called
    }

    /// True if the function takes and gives these types.
    pub fn fits<P: Params, R: Answer>(&mut self, function: FunctionHandle) -> bool {
        self.typed::<P, R>(function).is_ok()
    }

    fn typed<P: Params, R: Answer>(
        &mut self,
        function: FunctionHandle,
    ) -> Result<TypedFunc<P, R>, CallError> {
        let function = self.find(function)?;
        function
            .typed::<P, R>(&self.store)
            .map_err(|error| CallError::Trap {
                reason: format!("the function has other types than its interface: {error:#}"),
                backtrace: String::new(),
            })
    }

    /// What did not answer it during the last call: what it said then may be for want of that.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.store.data().lost
    }

    /// Bytes of linear memory that it holds.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.store.data().memory.held()
    }

    fn run(
        &mut self,
        function: FunctionHandle,
        args: &[Val],
        results: &mut [Val],
        (limit, ticks): (Duration, u64),
    ) -> Result<(), CallError> {
        let function = self.find(function)?;
        self.timed(limit, ticks, |store| function.call(store, args, results))
    }

    /// Runs a call under its deadline.
    fn timed<R>(
        &mut self,
        limit: Duration,
        ticks: u64,
        call: impl FnOnce(&mut Store<Host>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let host = self.store.data_mut();
        host.memory.forget();
        host.lost = None;
        host.watch = Watch::Coarse { limit };
        self.store.set_epoch_deadline(ticks);
        let running = self.clock.enter();
        let called = call(&mut self.store);
        drop(running);
        called.map_err(|error| failure(&error, self.store.data(), &self.prepared.limits))
    }

    fn find(&mut self, FunctionHandle(number): FunctionHandle) -> Result<Func, CallError> {
        let at = number as usize;
        if let Some(Some(function)) = self.functions.get(at) {
            return Ok(*function);
        }
        let index = self.prepared.plugin.exports.get(at);
        let found = index.and_then(|index| self.instance.get_func(&mut self.store, index));
        let unknown = || CallError::Trap {
            reason: "the plugin has no such function".into(),
            backtrace: String::new(),
        };
        let function = found.ok_or_else(unknown)?;
        self.functions[at] = Some(function);
        Ok(function)
    }
}

fn failure(error: &wasmtime::Error, host: &Host, limits: &PluginLimits) -> CallError {
    if let Watch::Over { limit } = host.watch {
        return CallError::Deadline { limit };
    }
    match trap::classify(error, &host.memory) {
        CallError::Trap { reason, backtrace } if reason.contains(TOO_MUCH) => {
            let reason = format!(
                "the guest handed over more than {} bytes at once",
                limits.answer_bytes
            );
            CallError::Trap { reason, backtrace }
        }
        other => other,
    }
}
