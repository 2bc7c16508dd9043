//! Bytes before they are compiled: what they are, wrapping of core modules, custom sections.
//!
//! WASI preview1 modules are wrapped into components, so that there is one host path and one set of limits. The other way,
//! `wasmtime_wasi::p1`, needs no adapter (about 20 KB of code in each component), but a second linker, a second store
//! type, and commands that behave differently.

use crate::ComponentError;
use std::borrow::Cow;
use std::collections::BTreeMap;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Custom sections are kept if their name starts with this; names, debug information and producers are not.
const SECTION_PREFIX: &str = "osier";

/// The bytes as a component: as they are, or wrapped.
///
/// # Errors
/// They are no WebAssembly, or a core module that is none of preview1.
pub fn component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, ComponentError> {
    if Parser::is_component(wasm) {
        Ok(Cow::Borrowed(wasm))
    } else if Parser::is_core_wasm(wasm) {
        wrap(wasm).map(Cow::Owned)
    } else {
        let start = String::from_utf8_lossy(&wasm[..wasm.len().min(16)]);
        Err(ComponentError::NotWasm {
            start: format!("{start:?}"),
        })
    }
}

/// Reads a module or component to its end by the rules of WebAssembly.
pub(crate) fn validate(wasm: &[u8]) -> Result<(), ComponentError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    validator.validate_all(wasm).map(|_| ()).map_err(invalid)
}

fn wrap(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    // The encoder trusts what it wraps, and panics where lengths lead beyond the end.
    validate(module)?;
    let adapter = if exports(module, |name| name == "_start")? {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| ComponentError::NotWasi {
            reason: one_line(&format!("{error:#}")),
        })
}

/// Whether the bytes are a core module of proxy-wasm, which is run as it is (<https://github.com/proxy-wasm/spec>).
pub(crate) fn is_proxy_wasm(wasm: &[u8]) -> Result<bool, ComponentError> {
    Ok(Parser::is_core_wasm(wasm) && exports(wasm, |name| name.starts_with("proxy_abi_version_"))?)
}

/// Whether a core module exports such a name.
fn exports(module: &[u8], wanted: impl Fn(&str) -> bool) -> Result<bool, ComponentError> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(exports) = payload.map_err(invalid)? {
            for export in exports {
                if wanted(export.map_err(invalid)?.name) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Custom sections of a component and of the modules in it; the outermost of a name counts.
///
/// # Errors
/// The bytes are damaged.
pub fn sections(component: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, ComponentError> {
    let mut depth = 0u32;
    let mut found = BTreeMap::<String, (u32, Vec<u8>)>::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if section.name().starts_with(SECTION_PREFIX) => {
                let inner = found
                    .entry(section.name().to_owned())
                    .or_insert((u32::MAX, Vec::new()));
                if inner.0 > depth {
                    *inner = (depth, section.data().to_vec());
                }
            }
            _ => {}
        }
    }
    Ok(found
        .into_iter()
        .map(|(name, (_, data))| (name, data))
        .collect())
}

pub(crate) fn invalid(error: wasmparser::BinaryReaderError) -> ComponentError {
    ComponentError::Invalid {
        reason: error.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A core module with one type, one import and one empty exported function, written by hand.
    fn module(import: (&str, &str), export: &str) -> Vec<u8> {
        fn name(text: &str) -> Vec<u8> {
            let mut bytes = vec![u8::try_from(text.len()).unwrap()];
            bytes.extend(text.bytes());
            bytes
        }
        fn section(id: u8, body: Vec<u8>) -> Vec<u8> {
            let mut bytes = vec![id, u8::try_from(body.len()).unwrap()];
            bytes.extend(body);
            bytes
        }
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend(section(1, vec![2, 0x60, 0, 0, 0x60, 1, 0x7f, 0]));
        wasm.extend(section(
            2,
            [vec![1], name(import.0), name(import.1), vec![0, 1]].concat(),
        ));
        wasm.extend(section(3, vec![1, 0]));
        wasm.extend(section(5, vec![1, 0, 1]));
        wasm.extend(section(
            7,
            [
                vec![2],
                name(export),
                vec![0, 1],
                name("memory"),
                vec![2, 0],
            ]
            .concat(),
        ));
        wasm.extend(section(10, vec![1, 2, 0, 0x0b]));
        wasm
    }

    #[test]
    fn a_module_that_is_cut_is_refused() {
        let whole = [
            &b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0"[..],
            &b"\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b"[..],
        ]
        .concat();
        for end in 0..whole.len() {
            // Between two sections it is a module still; nowhere does it panic.
            let _read = component(&whole[..end]);
        }
        let cut = component(&whole[..whole.len() - 1]);
        assert!(matches!(cut, Err(ComponentError::Invalid { .. })));
    }

    #[test]
    fn a_preview1_command_becomes_a_component_that_exports_run() {
        let module = module(("wasi_snapshot_preview1", "proc_exit"), "_start");
        let wrapped = component(&module).unwrap();
        assert!(Parser::is_component(&wrapped));
        let text = String::from_utf8_lossy(&wrapped);
        assert!(text.contains("wasi:cli/run@0.2"), "no run export");
    }

    #[test]
    fn a_module_that_wants_more_than_preview1_is_refused_with_the_import() {
        let refused = component(&module(("env", "launch_missiles"), "_start"))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("env") && refused.contains("wasi_snapshot_preview1"),
            "{refused}"
        );
    }

    #[test]
    fn other_files_are_refused_with_what_they_start_with() {
        for (bytes, start) in [
            (&b"#!/bin/sh\nexit"[..], "#!/bin/sh\\nexit"),
            (b"", "\"\""),
            (b"\x7fELF", "ELF"),
        ] {
            let refused = component(bytes).unwrap_err();
            assert!(
                matches!(&refused, ComponentError::NotWasm { .. })
                    && refused.to_string().contains(start),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_outermost_section_of_a_name_counts() {
        fn section(name: &str, data: &[u8]) -> Vec<u8> {
            let mut body = vec![u8::try_from(name.len()).unwrap()];
            body.extend(name.bytes());
            body.extend(data);
            let mut bytes = vec![0, u8::try_from(body.len()).unwrap()];
            bytes.extend(body);
            bytes
        }
        let inner = [
            b"\0asm\x01\0\0\0".to_vec(),
            section("osier.a", b"inner"),
            section("osier.b", b"inner"),
        ]
        .concat();
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        wasm.extend([1, u8::try_from(inner.len()).unwrap()]);
        wasm.extend(inner);
        wasm.extend(section("osier.a", b"outer"));
        wasm.extend(section("producers", b"x"));
        let sections = sections(&wasm).unwrap();
        let found: Vec<_> = sections
            .iter()
            .map(|(name, data)| (name.as_str(), data.as_slice()))
            .collect();
        assert_eq!(found, [("osier.a", &b"outer"[..]), ("osier.b", b"inner")]);
    }
}
