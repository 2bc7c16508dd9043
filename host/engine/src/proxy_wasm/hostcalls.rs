//! The functions that a module may import from `env`.

mod bodies;
mod calls;
mod general;
mod maps;
mod sharing;

use super::abi::Status;
use super::state::State;
use wasmtime::{Caller, Linker, Module, Val};

pub(super) use general::{Lines, logged};

/// What a closure of the linker is called with.
type Guest<'a> = Caller<'a, State>;

/// The module that they are imported from.
const ENV: &str = "env";

/// What Higress' functions for Redis begin with.
const REDIS: &str = "proxy_redis_";

/// Links what `module` imports of Higress' dialect: a guest that calls it is told that it is not offered.
pub(super) fn link_dialect(linker: &mut Linker<State>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        let ours = import.module() == ENV && import.name().starts_with(REDIS);
        let ty = import.ty().func().filter(|_| ours).cloned();
        // One of another shape stays unknown, and is refused by name.
        let Some(ty) = ty.filter(|ty| ty.results().len() == 1) else {
            continue;
        };
        linker.func_new(ENV, import.name(), ty, |_, _, results| {
            if let [result] = results {
                *result = Val::I32(Status::Unimplemented as i32);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Links every host function.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    general::link(linker)?;
    maps::link(linker)?;
    bodies::link(linker)?;
    sharing::link(linker)?;
    calls::link(linker)
}
