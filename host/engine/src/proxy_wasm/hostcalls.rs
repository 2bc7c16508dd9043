//! The functions that a module may import from `env`.

mod bodies;
mod calls;
mod general;
mod maps;
mod sharing;

use super::state::State;
use wasmtime::{Caller, Linker};

pub(super) use general::{Lines, logged};

/// What a closure of the linker is called with.
type Guest<'a> = Caller<'a, State>;

/// The module that they are imported from.
const ENV: &str = "env";

/// Links every host function.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    general::link(linker)?;
    maps::link(linker)?;
    bodies::link(linker)?;
    sharing::link(linker)?;
    calls::link(linker)
}
