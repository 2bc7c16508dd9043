//! A compiled workload: what it is and what can be made of it.
use crate::{CommandContainer, ComponentError, Container, Digest, HttpContainer};

/// A compiled component that containers are made of. Clones share the code.
#[derive(Clone)]
pub struct Workload {}

impl Workload {
    /// Digest of the bytes it was made of.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        todo!()
    }

    /// Whether it exports wasi:http/incoming-handler.
    #[must_use]
    pub fn serves_http(&self) -> bool {
        todo!()
    }

    /// Whether it exports wasi:cli/run.
    #[must_use]
    pub fn is_command(&self) -> bool {
        todo!()
    }

    /// Full names of its imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        todo!()
    }

    /// Makes a container that serves HTTP. Costs no instance until the first request.
    ///
    /// # Errors
    /// If the component exports no HTTP handler or the memory limit is below its initial memory.
    pub fn http(&self, container: Container) -> Result<HttpContainer, ComponentError> {
        drop(container);
        todo!()
    }

    /// Makes a container that runs once.
    ///
    /// # Errors
    /// If the component exports no `run` or the memory limit is below its initial memory.
    pub fn command(&self, container: Container) -> Result<CommandContainer, ComponentError> {
        drop(container);
        todo!()
    }
}
