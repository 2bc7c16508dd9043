//! From a core module to a component. WASI preview1 is answered inside (`sandbox.wat`): the other way, the adapter that hands it on to WASI 0.2, gives
//! a plugin a dozen imports, and makes Go's garbage collector trap where it runs while the host hands over arguments, because a component
//! may call nobody then.

use crate::{Error, world};
use wit_bindgen_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// WASI preview1, answered inside.
const SANDBOX: &str = include_str!("sandbox.wat");

/// Makes a component of a module that carries its world, as C's bindings see to.
///
/// # Errors
/// Says what of the world the module lacks.
pub fn component_of(module: &[u8]) -> Result<Vec<u8>, Error> {
    let sandbox = wat::parse_str(SANDBOX).map_err(Error::unfit)?;
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", &sandbox))
        .and_then(|encoder| encoder.encode())
        .map_err(Error::unfit)
}

/// The same of a module whose imports and exports are its world, as Go makes them.
///
/// # Errors
/// If it exports nothing that can be asked, or not all of an interface.
pub fn module_to_component(mut module: Vec<u8>) -> Result<Vec<u8>, Error> {
    let (resolve, world) = world::of(&module)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(Error::unfit)?;
    component_of(&module)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A module that calls every kind of preview1 function, and exports a template.
    const MODULE: &str = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "osier:policy/checknothing@0.1.0#check") (result i32)
            (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 64)))
            (drop (call $random (i32.const 64) (i32.const 8)))
            (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))
            (i32.const 1024)))"#;

    #[test]
    fn preview1_is_answered_inside() {
        let module = wat::parse_str(MODULE).unwrap();
        let component = module_to_component(module).unwrap();
        let text = String::from_utf8_lossy(&component);
        assert!(text.contains("osier:policy/checknothing@0.1.0"));
        assert!(!text.contains("wasi:"), "it imports WASI");
    }

    #[test]
    fn what_an_interface_lacks_is_said() {
        let module = r#"(module (memory (export "memory") 1)
            (func (export "osier:filter/request@0.1.0#on-request") (param i32) (result i32) (i32.const 0)))"#;
        let error = module_to_component(wat::parse_str(module).unwrap()).unwrap_err();
        assert!(error.to_string().contains("on-request-body"), "{error}");
    }
}
