//! A loaded plugin: what it answers, what it may use, its instances, and how it has been doing.

mod binding;
mod cpu;
mod load;
mod middleware;
mod pool;
mod reporting;
mod spec;
mod status;
mod vms;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use osier_bounded::CALM;
use osier_engine::plugin::hooks::{Answer, Handles, Params};
use osier_engine::plugin::{FunctionHandle, Lost};
use osier_engine::{CallError, Middleware};
use osier_process::{Crowded, Tasks};
use tokio::sync::Semaphore;

use crate::fault::FailurePolicy;
use crate::key::ObjectKey;
use crate::template::Template;
use osier_capabilities::{FailureKind, PluginMetrics, plugin_of};
use osier_expressions::Attributes;

pub(crate) use binding::{Asked, Binding, Unanswered};
pub(crate) use load::{CONFIGURATION, Loader, fingerprint, read_schema};
use pool::{Instance, NoInstance, Pool};
pub(crate) use reporting::Reporting;
pub(crate) use spec::{failure, unknown};
use status::Health;
pub use status::PluginStatus;
pub(crate) use vms::{Seat, Vms, is_framing};

/// A plugin that is loaded, configured and proven to start. Policies hold it; the last one to let go frees it.
pub struct Plugin {
    key: ObjectKey,
    label: Arc<str>,
    digest: String,
    interfaces: Vec<String>,
    imports: Vec<String>,
    schema: Option<serde_json::Value>,
    templates: Vec<(Template, osier_engine::plugin::FunctionHandle)>,
    hooks: Handles,
    failure: FailurePolicy,
    runtime: Runtime,
    tasks: Tasks,
    metrics: PluginMetrics,
    health: Health,
    since: SystemTime,
}

/// How a plugin runs.
enum Runtime {
    /// A component: instances that answer one question at a time.
    Component(Arc<Pool>),
    /// A module of proxy-wasm: VMs that carry streams.
    ProxyWasm(Vms),
    /// A component of wasi:http: instances that carry exchanges, and how many of these may be shadows.
    Middleware(Middleware, Arc<Semaphore>),
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin {} ({})", self.label, self.digest)
    }
}

impl Plugin {
    /// Namespace and name of the object.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// `NAMESPACE/NAME`, as verdicts name it.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Digest of the component.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// True of a call that the plugin itself makes: what it asks others may not come back to it.
    pub(crate) fn makes(&self, attributes: &Attributes<'_>) -> bool {
        let source = &attributes.source;
        source.namespace == Some(&*self.key.namespace)
            && source
                .name
                .and_then(plugin_of)
                .is_some_and(|name| name == self.key.name)
    }

    /// What happens to a call when the plugin gives no answer and the policy does not say.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.failure
    }

    /// Names of the templates that it answers.
    pub fn template_names(&self) -> Vec<&str> {
        self.templates
            .iter()
            .map(|(template, _)| template.interface.as_str())
            .collect()
    }

    /// The state of the plugin on this node.
    pub fn status(&self) -> PluginStatus {
        self.health.status(self)
    }

    /// Counts a failure, remembers it, and says so at most once per interval.
    fn failed(&self, kind: FailureKind, what: &str) {
        self.metrics.failed(kind);
        self.remember(kind, what);
    }

    fn remember(&self, kind: FailureKind, what: &str) {
        if let Some(unsaid) = self.health.failed(what, Instant::now()) {
            tracing::warn!(
                plugin = %self.label,
                reason = ?kind,
                unsaid,
                "a plugin gave no answer: {what}"
            );
        }
    }

    /// The hooks that it answers.
    pub(crate) fn hooks(&self) -> &Handles {
        &self.hooks
    }

    /// Calls a hook. `extra` bytes are allowed in the answer beside the usual ones.
    pub(crate) fn call_typed<P: Params, R: Answer>(
        &self,
        function: FunctionHandle,
        params: P,
        extra: usize,
    ) -> Result<R, Unanswered> {
        let instance = self.instance()?;
        let (answer, instance) = self.observed(instance, |instance| {
            instance.guest.call_typed(function, params, extra)
        })?;
        self.give(instance);
        Ok(answer)
    }

    /// The VMs, if it is a module of proxy-wasm.
    pub(crate) fn vms(&self) -> Option<&Vms> {
        match &self.runtime {
            Runtime::ProxyWasm(vms) => Some(vms),
            Runtime::Component(_) | Runtime::Middleware(..) => None,
        }
    }

    fn pool(&self) -> Option<&Arc<Pool>> {
        match &self.runtime {
            Runtime::Component(pool) => Some(pool),
            Runtime::ProxyWasm(_) | Runtime::Middleware(..) => None,
        }
    }

    /// Live instances or VMs.
    fn live(&self) -> usize {
        match &self.runtime {
            Runtime::Component(pool) => pool.live(),
            Runtime::ProxyWasm(vms) => vms.live(),
            Runtime::Middleware(middleware, _) => middleware.live(),
        }
    }

    /// Bytes of linear memory of the idle ones.
    fn memory(&self) -> u64 {
        match &self.runtime {
            Runtime::Component(pool) => pool.memory(),
            Runtime::ProxyWasm(vms) => vms.memory(),
            Runtime::Middleware(middleware, _) => middleware.memory(),
        }
    }

    /// Processor time of its calls: of middlewares as it was, else estimated.
    fn cpu(&self) -> Duration {
        self.health.spent.total(match &self.runtime {
            Runtime::Middleware(middleware, _) => middleware.cpu(),
            Runtime::Component(_) | Runtime::ProxyWasm(_) => Duration::ZERO,
        })
    }

    /// The plugin answered what is no answer.
    pub(crate) fn misanswered(&self, what: &str) {
        self.failed(FailureKind::Answer, what);
    }

    fn instance(&self) -> Result<Box<Instance>, Unanswered> {
        self.take().map_err(|reason| self.no_instance(reason))
    }

    /// An instance of a component. A module of proxy-wasm has no templates, so nobody asks it for one.
    fn take(&self) -> Result<Box<Instance>, NoInstance> {
        self.pool()
            .map_or(Err(NoInstance::Busy), |pool| pool.take())
    }

    fn give(&self, instance: Box<Instance>) {
        if let Some(pool) = self.pool() {
            pool.give(instance);
        }
    }

    /// Runs a call on an instance. After any error the instance is dropped.
    fn observed<R: Send>(
        &self,
        mut instance: Box<Instance>,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError> + Send,
    ) -> Result<(R, Box<Instance>), Unanswered> {
        let called = self.run(|| {
            let called = self.timed(|| call(&mut instance));
            // Where it ran, its memory is given back, too.
            called.map(|answer| (answer, instance))
        });
        let called = called.unwrap_or(Err(CallError::Overloaded));
        called.map_err(|error| {
            self.lost_instance();
            self.broken(&error)
        })
    }

    /// Runs a call into a guest: here, or aside if its calls overran too often lately, because here others wait for the thread.
    fn run<R: Send>(&self, call: impl FnOnce() -> R + Send) -> Result<R, Crowded> {
        match self.health.conduct.is_apart(Instant::now) {
            false => Ok(call()),
            true => self.tasks.aside("plugin-aside", call),
        }
    }

    /// One call into a guest, counted and timed.
    fn timed<R>(&self, call: impl FnOnce() -> R) -> R {
        let measuring = self.health.count();
        let started = Instant::now();
        let called = call();
        self.metrics
            .latency
            .observe(started.elapsed().as_secs_f64());
        self.health.spent.add(measuring);
        called
    }

    /// A call broke off.
    fn broken(&self, error: &CallError) -> Unanswered {
        let (kind, what) = (kind_of(error), error.to_string());
        self.failed(kind, &what);
        let overran = matches!(kind, FailureKind::Deadline | FailureKind::Memory);
        if overran && self.health.conduct.overran(Instant::now()) {
            tracing::warn!(
                plugin = %self.label,
                "a plugin overran its limits several times: until it has not for {CALM:?}, its calls run aside, on threads that step back behind all others"
            );
        }
        Unanswered(what)
    }

    fn lost_instance(&self) {
        if let Some(pool) = self.pool() {
            pool.lost();
            pool::refill_later(pool, &self.tasks);
        }
    }

    /// It would not have refused for what it found, but for want of an answer: that is the failure policy's to judge.
    fn forsaken(&self, lost: Lost) -> Unanswered {
        let (kind, what) = match lost {
            Lost::Counters => (FailureKind::Counters, "the shared counters do not answer"),
            Lost::Calls => (
                FailureKind::Calls,
                "a service that it calls does not answer",
            ),
        };
        self.failed(kind, what);
        Unanswered(what.to_owned())
    }

    fn no_instance(&self, reason: NoInstance) -> Unanswered {
        let (kind, what) = match reason {
            NoInstance::Busy => (
                FailureKind::Overload,
                "every instance is busy; raise spec.limits.instances".to_owned(),
            ),
            NoInstance::Call(error) => (kind_of(&error), format!("a new instance failed: {error}")),
            NoInstance::Refused(reason) => (
                FailureKind::Trap,
                format!("a new instance refused its configuration: {reason}"),
            ),
        };
        self.failed(kind, &what);
        Unanswered(what)
    }
}

/// The kind of failure that an engine error is.
fn kind_of(error: &CallError) -> FailureKind {
    match error {
        CallError::Deadline { .. } => FailureKind::Deadline,
        CallError::OutOfMemory { .. } => FailureKind::Memory,
        CallError::Overloaded => FailureKind::Overload,
        _ => FailureKind::Trap,
    }
}
