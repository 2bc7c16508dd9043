//! WebAssembly before anything of it is compiled.

/// What a module or component is, and what it imports and exports.
pub(crate) fn module(bytes: &[u8]) {
    let of_proxies = osier_engine::proxy_wasm::is_module(bytes);
    let read = osier_engine::interfaces(bytes);
    assert!(!of_proxies || bytes.starts_with(b"\0asm"));
    if let Err(error) = read {
        assert!(!error.to_string().is_empty());
    }
}
