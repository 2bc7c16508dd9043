//! What a component imports and exports, read from its bytes without compiling them.

use crate::{ComponentError, binary};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Parser, Payload, ValidPayload, Validator, WasmFeatures};

/// Looks through a whole component, a preview1 module as the component that it is wrapped into, or a module of proxy-wasm, before anybody
/// keeps it: what is cut off or broken is noticed here, and not when a pod is to run.
///
/// # Errors
/// When the bytes are no WebAssembly, are damaged, or make a component that offers nothing to call.
pub fn check(wasm: &[u8]) -> Result<(), ComponentError> {
    if binary::is_proxy_wasm(wasm)? {
        return binary::validate(wasm);
    }
    let component = binary::component(wasm)?;
    binary::validate(&component)?;
    match interfaces(&component)?.1.is_empty() {
        true => Err(ComponentError::Empty),
        false => Ok(()),
    }
}

/// Whether a component is one of WASI 0.3, whose calls are asynchronous. What is wrong with its bytes is said when it is compiled.
#[must_use]
pub fn is_concurrent(wasm: &[u8]) -> bool {
    let modern = |name: &String| name.starts_with("wasi:") && name.contains("@0.3.");
    interfaces(wasm).is_ok_and(|(imports, exports)| imports.iter().chain(&exports).any(modern))
}

/// The names of a component's imports and exports, its own and not those of components inside it. A preview1 module is read as the
/// component that it is wrapped into.
///
/// # Errors
/// When the bytes are no WebAssembly, or are damaged.
pub fn interfaces(wasm: &[u8]) -> Result<(Vec<String>, Vec<String>), ComponentError> {
    let component = binary::component(wasm)?;
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(&component) {
        match payload.map_err(binary::invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            // The last end is the component's own.
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(binary::invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(binary::invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// The names of what must be answered when a component runs: its imports, without interfaces that hold only types.
///
/// # Errors
/// When the bytes are no WebAssembly, or are damaged.
pub fn needed(wasm: &[u8]) -> Result<Vec<String>, ComponentError> {
    let component = binary::component(wasm)?;
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut types = None;
    for payload in Parser::new(0).parse_all(&component) {
        let payload = payload.map_err(binary::invalid)?;
        // Bodies of functions are left to the compiler.
        if let ValidPayload::End(known) = validator.payload(&payload).map_err(binary::invalid)? {
            types = Some(known);
        }
    }
    let (imports, _) = interfaces(wasm)?;
    let Some(types) = types else {
        return Ok(imports);
    };
    let answered = |import: &String| {
        let item = types.component_item_for_import(import);
        match item.map(|item| item.ty) {
            Some(ComponentEntityType::Type { .. }) => false,
            Some(ComponentEntityType::Instance(instance)) => {
                let mut exports = types[instance].exports.values();
                !exports.all(|item| matches!(item.ty, ComponentEntityType::Type { .. }))
            }
            _ => true,
        }
    };
    Ok(imports.into_iter().filter(answered).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_or_empty_is_refused() {
        let header = |bytes: &[u8]| check(bytes).map_err(|error| error.to_string());
        assert!(header(b"\0asm").is_err());
        // A whole component and a whole module without anything in them.
        for empty in [b"\0asm\x0d\0\x01\0", b"\0asm\x01\0\0\0"] {
            let told = header(empty).err().unwrap_or_default();
            assert!(told.contains("exports nothing"), "{told}");
        }
        // A module of proxy-wasm is no component and need not become one: it exports the function `proxy_abi_version_0_2_1`.
        let module = [
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x1b\x01\x17".as_slice(),
            b"proxy_abi_version_0_2_1\0\0\x0a\x04\x01\x02\0\x0b",
        ]
        .concat();
        check(&module).unwrap();
        assert!(check(&module[..module.len() - 1]).is_err());
        // A section that promises more than is there.
        let told = header(b"\0asm\x0d\0\x01\0\x07\x40\x01").err();
        assert!(told.is_some_and(|told| told.contains("invalid")));
    }
}
