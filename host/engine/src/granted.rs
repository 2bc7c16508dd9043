//! What workloads may be granted beyond WASI's own: a module for each capability, all of one shape. Each answers its interface out of the
//! container's [`Grants`], and is linked for everybody: what a component imports without a grant is refused before there is an instance.

mod configuration;
mod keyvalue;
mod logging;

use crate::ComponentError;
use crate::guest::Guest;
use osier_capabilities::Grants;
use osier_wasm::Capability;
use wasmtime::component::Linker;

/// Adds all capabilities to a linker.
pub(crate) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    keyvalue::add(linker)?;
    configuration::add(linker)?;
    logging::add(linker)
}

/// Refuses the first import that the container is not granted.
pub(crate) fn check(imports: &[String], grants: &Grants) -> Result<(), ComponentError> {
    osier_wasm::check_grants(imports, |capability| match capability {
        Capability::KeyValue => !grants.buckets.is_empty(),
        Capability::Configuration => grants.configuration.is_some(),
        Capability::Logging => grants.logging.is_some(),
    })
}
