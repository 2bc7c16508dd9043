//! A compiled workload: what it is and what can be made of it.

use crate::concurrent::Concurrent;
use crate::engine::{Compiled, Core, Kind};
use crate::execution::{self, Execution, Program};
use crate::granted;
use crate::guest::{Account, Guest};
use crate::imports;
use crate::program::Command;
use crate::{CommandContainer, ComponentError, Container, Digest, HttpContainer};
use std::sync::Arc;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// A compiled component that containers are made of. Clones share the code.
#[derive(Clone)]
pub struct Workload(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    kind: Kind,
    compiled: Arc<Compiled>,
    imports: Vec<String>,
    pre: InstancePre<Guest>,
    http: Option<ProxyPre<Guest>>,
    /// Of WASI 0.3.
    service: Option<ServicePre<Guest>>,
    command: Option<Command>,
}

impl Workload {
    pub(crate) fn new(
        core: Arc<Core>,
        kind: Kind,
        compiled: Arc<Compiled>,
    ) -> Result<Self, ComponentError> {
        let imports = imports::names(&compiled.component);
        osier_wasm::check_imports(&imports)?;
        let pre = core
            .linker(kind)
            .instantiate_pre(&compiled.component)
            .map_err(|error| imports::unlinked(&error))?;
        let http = ProxyPre::new(pre.clone()).ok();
        let modern = kind == Kind::Concurrent;
        let service = modern.then(|| ServicePre::new(pre.clone()).ok()).flatten();
        let command = Command::of(&pre, modern);
        Ok(Self(Arc::new(Inner {
            core,
            kind,
            compiled,
            imports,
            pre,
            http,
            service,
            command,
        })))
    }

    /// Digest of the bytes it was made of.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.compiled.digest
    }

    /// Whether it exports wasi:http/incoming-handler, or wasi:http/handler of WASI 0.3.
    #[must_use]
    pub fn serves_http(&self) -> bool {
        self.0.http.is_some() || self.0.service.is_some()
    }

    /// Whether it exports wasi:cli/run.
    #[must_use]
    pub fn is_command(&self) -> bool {
        self.0.command.is_some()
    }

    /// Full names of its imports, without interfaces that hold only types.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// Makes a container that serves HTTP. Costs no instance until the first request.
    ///
    /// # Errors
    /// If the component exports no HTTP handler, imports what is not granted, or the memory limit is below its initial memory.
    pub fn http(&self, container: Container) -> Result<HttpContainer, ComponentError> {
        let core = self.0.core.clone();
        self.fits(&container, &self.0.pre)?;
        if let Some(service) = &self.0.service {
            let concurrent = Concurrent::new(core, service.clone(), container);
            return Ok(HttpContainer::concurrent(concurrent));
        }
        let Some(pre) = &self.0.http else {
            return Err(missing(
                "wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3",
                "build it as an HTTP component (world wasi:http/proxy, or wasi:http/service)",
            ));
        };
        Ok(HttpContainer::new(core, pre.clone(), container))
    }

    /// Makes a container that runs once.
    ///
    /// # Errors
    /// If the component exports no `run`, imports what is not granted, or the memory limit is below its initial memory.
    pub fn command(&self, container: Container) -> Result<CommandContainer, ComponentError> {
        let Some(command) = &self.0.command else {
            return Err(missing(
                "wasi:cli/run@0.2",
                "build it as a program with a main function (world wasi:cli/command)",
            ));
        };
        self.fits(&container, &self.0.pre)?;
        let parts = (self.0.core.clone(), self.0.kind);
        Ok(CommandContainer::new(parts, command.clone(), container))
    }

    /// What can be run of it beside a container: in the container's sandbox, within its limits, and accounted to it.
    ///
    /// # Errors
    /// If the component does not export it, or imports what is not granted.
    pub fn beside(
        &self,
        container: Container,
        account: &Account,
        program: &Program,
    ) -> Result<Execution, ComponentError> {
        granted::check(&self.0.imports, &container.grants)?;
        let parts = (self.0.core.clone(), self.0.kind, self.0.pre.clone());
        Execution::new(parts, container, account, program)
    }

    /// Full names of the functions that it exports, `INTERFACE#FUNCTION` for those of an interface.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        execution::functions(&self.0.compiled.component)
    }

    /// It has what it imports, and one instance fits into the container's memory, or no request would ever be served.
    fn fits(&self, container: &Container, pre: &InstancePre<Guest>) -> Result<(), ComponentError> {
        granted::check(&self.0.imports, &container.grants)?;
        let needs = imports::initial_memory(pre.component());
        if needs > container.memory_limit {
            return Err(ComponentError::Limit {
                what: "the memory limit",
                limit: container.memory_limit,
                needs,
            });
        }
        Ok(())
    }
}

fn missing(export: &str, remedy: &str) -> ComponentError {
    ComponentError::Export {
        export: export.into(),
        remedy: remedy.into(),
    }
}
