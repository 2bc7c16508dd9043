//! A module of proxy-wasm: recognised, compiled, linked.

use super::state::State;
use super::{Refusal, Terms, Vm, hostcalls, wasi};
use crate::engine::{CompiledModule, Core, Engine};
use crate::{ComponentError, Digest};
use std::sync::Arc;
use wasmparser::{Parser, Payload};
use wasmtime::{InstancePre, Linker};

/// What the export that names the version begins with.
const MARKER: &str = "proxy_abi_version_";
/// The versions that this host speaks. 0.2.1 only says more exactly what 0.2.0 meant; 0.2.100 is Higress' dialect of it, with Redis calls,
/// which are answered as not offered.
const VERSIONS: [&str; 3] = [
    "proxy_abi_version_0_2_1",
    "proxy_abi_version_0_2_0",
    "proxy_abi_version_0_2_100",
];
/// Size of a WebAssembly page.
const PAGE: u64 = 64 << 10;

/// A compiled module. Clones share the code.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    compiled: Arc<CompiledModule>,
    pre: InstancePre<State>,
    version: String,
}

/// True if the bytes are a module of proxy-wasm, of whatever version.
#[must_use]
pub fn is_module(wasm: &[u8]) -> bool {
    Parser::is_core_wasm(wasm) && version(wasm).is_some()
}

/// The export that names the ABI's version.
fn version(wasm: &[u8]) -> Option<String> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(exports) = payload.ok()? {
            let mut names = exports.into_iter().filter_map(Result::ok);
            return names
                .find(|export| export.name.starts_with(MARKER))
                .map(|export| export.name.to_owned());
        }
    }
    None
}

impl Engine {
    /// Compiles a module of proxy-wasm or loads it from the cache. Blocks.
    ///
    /// # Errors
    /// If the bytes are no such module, or one that imports what is not offered.
    pub fn proxy_wasm(&self, wasm: &[u8]) -> Result<Module, ComponentError> {
        Module::new(Arc::clone(self.core()), wasm)
    }
}

impl Module {
    fn new(core: Arc<Core>, wasm: &[u8]) -> Result<Self, ComponentError> {
        let version = version(wasm).unwrap_or_default();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(ComponentError::Export {
                export: VERSIONS[0].to_owned(),
                remedy: format!("it speaks {version}; build it with an SDK for proxy-wasm 0.2.1"),
            });
        }
        let compiled = core.module(wasm)?;
        let module = &compiled.module;
        let mut linker = Linker::new(&core.plugins.engine);
        let pre = wasi::link(&mut linker, module)
            .and_then(|()| hostcalls::link(&mut linker))
            .and_then(|()| hostcalls::link_dialect(&mut linker, module))
            .and_then(|()| linker.instantiate_pre(module));
        let pre = pre.map_err(|error| unlinked(&error))?;
        Ok(Self(Arc::new(Inner {
            core,
            compiled,
            pre,
            version,
        })))
    }

    /// Digest of the bytes it was made of.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.compiled.digest
    }

    /// The ABI that it speaks, `proxy-wasm 0.2.1`.
    #[must_use]
    pub fn abi(&self) -> String {
        let version = self.0.version.trim_start_matches(MARKER);
        format!("proxy-wasm {}", version.replace('_', "."))
    }

    /// What it imports, `env.proxy_log`.
    #[must_use]
    pub fn imports(&self) -> Vec<String> {
        let imports = self.0.compiled.module.imports();
        imports
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect()
    }

    /// The callbacks that it exports, `proxy_on_request_headers`.
    #[must_use]
    pub fn callbacks(&self) -> Vec<String> {
        let exports = self.0.compiled.module.exports();
        let callback = |name: &&str| name.starts_with("proxy_on_");
        exports
            .map(|export| export.name())
            .filter(callback)
            .map(str::to_owned)
            .collect()
    }

    /// True if it exports a callback.
    #[must_use]
    pub fn has(&self, callback: &str) -> bool {
        self.0.compiled.module.get_export(callback).is_some()
    }

    /// Bytes of linear memory that one VM holds before it runs.
    #[must_use]
    pub fn initial_memory(&self) -> u64 {
        let exports = self.0.compiled.module.exports();
        let memories = exports.filter_map(|export| export.ty().memory().map(|ty| ty.minimum()));
        memories.sum::<u64>().saturating_mul(PAGE)
    }

    /// Starts a VM: its code begins, and it is configured. Blocks, for up to some seconds.
    ///
    /// # Errors
    /// It trapped, or refuses its configuration.
    pub fn start(&self, terms: &Arc<Terms>) -> Result<Vm, Refusal> {
        Vm::start(&self.0.core.plugins, &self.0.pre, terms)
    }
}

fn unlinked(error: &wasmtime::Error) -> ComponentError {
    let reason = format!("{error:#}");
    let import = reason
        .split('`')
        .nth(1)
        .unwrap_or("something")
        .replace("::", ".");
    ComponentError::Import {
        import,
        remedy: "a module of proxy-wasm may import the functions of ABI 0.2.1 and WASI preview1"
            .into(),
    }
}
