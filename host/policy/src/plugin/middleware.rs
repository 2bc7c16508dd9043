//! Plugins that are components of wasi:http: what they are given, and how their exchanges are counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use osier_engine::{CallError, Middleware, MiddlewareTerms, Workload};
use osier_process::Tasks;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::binding::Unanswered;
use super::load::Loader;
use super::spec::Spec;
use super::{Plugin, Runtime, kind_of};
use crate::fault::{Fault, LoadError};
use crate::key::ObjectKey;

/// The variable by which a middleware gets `spec.config`, as JSON.
const CONFIG: &str = "OSIER_CONFIG";
/// Requests beside which one is asked in shadow mode at the same time; the others are not looked at.
const SHADOWS: usize = 64;
const INTERFACE: &str = "wasi:http/incoming-handler@0.2";

impl Loader<'_> {
    /// A component of wasi:http answers one hook.
    pub(super) fn load_middleware(
        &self,
        key: &ObjectKey,
        spec: &Spec,
        workload: &Workload,
    ) -> Result<Plugin, LoadError> {
        let plugin = key.to_string();
        let faults = faults(spec);
        if !faults.is_empty() {
            return Err(LoadError::Spec { plugin, faults });
        }
        let mut grants = self.grants(&plugin, spec);
        if spec.config.as_object().is_none_or(|all| !all.is_empty()) {
            grants
                .env
                .push((CONFIG.to_owned(), spec.config.to_string()));
        }
        let terms = MiddlewareTerms {
            name: plugin.clone(),
            limits: spec.limits,
            instances: u32::try_from(spec.instances).unwrap_or(u32::MAX),
            grants,
            tasks: self.tasks.clone(),
        };
        let made = Middleware::new(workload, terms);
        let middleware = made.map_err(|source| LoadError::Component { plugin, source })?;
        let what = (
            workload.digest().to_string(),
            INTERFACE.to_owned(),
            workload.imports().to_vec(),
        );
        let shadows = Arc::new(Semaphore::new(SHADOWS));
        let runtime = Runtime::Middleware(middleware, shadows);
        Ok(self.filtering(key, spec.failure, what, runtime))
    }
}

/// What cannot be given to a component of wasi:http: it has no way to use it.
fn faults(spec: &Spec) -> Vec<Fault> {
    let given = [
        ("http", &spec.http),
        ("keyvalue", &spec.buckets),
        ("logs", &spec.streams),
        ("metrics", &spec.meters),
    ];
    let unusable = given.into_iter().filter(|(_, names)| !names.is_empty());
    let fault = |(grant, _)| {
        let detail = "does not go with a component of wasi:http, whose only call is the next step of the chain; remove the grant";
        Fault::new(format!("spec.grants.{grant}"), detail)
    };
    unusable.map(fault).collect()
}

impl Plugin {
    /// The middleware, if it is one.
    pub(crate) fn middleware(&self) -> Option<&Middleware> {
        match &self.runtime {
            Runtime::Middleware(middleware, _) => Some(middleware),
            Runtime::Component(_) | Runtime::ProxyWasm(_) => None,
        }
    }

    /// The middleware, and leave to be asked beside a request; none if it is asked about as many as it may be.
    pub(crate) fn shadowed(&self) -> Option<(&Middleware, OwnedSemaphorePermit)> {
        match &self.runtime {
            Runtime::Middleware(middleware, shadows) => {
                let seat = Arc::clone(shadows).try_acquire_owned();
                Some((middleware, seat.ok()?))
            }
            Runtime::Component(_) | Runtime::ProxyWasm(_) => None,
        }
    }

    /// Where what happens beside requests runs.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Counts the part of an exchange that was carried.
    pub(crate) fn carried(&self, took: Duration) {
        self.health.calls.fetch_add(1, Ordering::Relaxed);
        self.metrics.latency.observe(took.as_secs_f64());
    }

    /// It did not do its part.
    pub(crate) fn uncarried(&self, error: &CallError) -> Unanswered {
        let what = error.to_string();
        self.failed(kind_of(error), &what);
        Unanswered(what)
    }
}
