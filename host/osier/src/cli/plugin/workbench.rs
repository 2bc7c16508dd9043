//! The engine and policy room of production, without a node around them. Compiled code is shared with the node of the data directory, so that a
//! component that was tested here starts there at once.

use super::build::Built;
use crate::configuration;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use osier_engine::{ComponentError, Engine, Settings};
use osier_policy::PolicyHost;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use std::path::Path;
use std::time::Duration;

/// Components above this size take seconds to compile: it is said that they do.
const SLOW: usize = 512 << 10;
/// Bytes of functions that are kept between two compilations: twice those of a component with Python inside.
const REUSED: usize = 256 << 20;

/// Starts the engine.
pub(super) fn engine(data_dir: Option<&Path>) -> anyhow::Result<Engine> {
    let cache = configuration::resolve_data_dir(data_dir)?.join("cache");
    let settings = Settings {
        // Nothing but plugins runs here.
        max_instances: 16,
        ..Settings::new(cache, Tasks::new())
    };
    Engine::start(settings).context("the WebAssembly engine did not start")
}

/// Starts an engine that compiles the same component again and again, into the cache of the node of a data directory.
pub(super) fn again(data_dir: &Path) -> anyhow::Result<Engine> {
    let settings = Settings {
        max_instances: 16,
        reuse: REUSED,
        ..Settings::new(data_dir.join("cache"), Tasks::new())
    };
    Engine::start(settings).context("the WebAssembly engine did not start")
}

/// A policy room that nobody else uses.
pub(super) fn room(engine: &Engine) -> PolicyHost {
    PolicyHost::new(engine.clone(), &Metrics::new(), Tasks::new())
}

/// Reads a component, and compiles it with a sign of life if that takes long. The next time the code comes from the cache.
pub(super) fn component(engine: &Engine, file: &Path) -> anyhow::Result<Vec<u8>> {
    let wasm = std::fs::read(file).with_context(|| file.display().to_string())?;
    let bar = (wasm.len() > SLOW).then(|| {
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
        bar.set_message(format!(
            "compiling {} ({} MiB; once for this machine)",
            file.display(),
            (wasm.len() >> 20).max(1)
        ));
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    });
    let compiled = compile(engine, &wasm);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    compiled.with_context(|| file.display().to_string())?;
    Ok(wasm)
}

/// Compiles what was built, or makes it of what it is like.
pub(super) fn compile_built(engine: &Engine, built: &Built) -> Result<(), ComponentError> {
    match &built.like {
        Some((like, at)) => engine.plugin_like((like, at.clone()), &built.wasm),
        None => compile(engine, &built.wasm),
    }
}

/// Compiles what may be a plugin, as what it is.
pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> Result<(), ComponentError> {
    let module = osier_engine::proxy_wasm::is_module(wasm);
    match (module, osier_engine::is_middleware(wasm)) {
        (true, _) => engine.proxy_wasm(wasm).map(drop),
        (false, true) => engine.workload(wasm).map(drop),
        (false, false) => engine.plugin(wasm).map(drop),
    }
}

/// Green or red on a terminal, plain elsewhere and where `NO_COLOR` is set.
pub(super) fn coloured(text: &str, good: bool) -> String {
    use std::io::IsTerminal as _;
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    match (plain, good) {
        (true, _) => text.to_owned(),
        (false, true) => format!("\x1b[32m{text}\x1b[0m"),
        (false, false) => format!("\x1b[31m{text}\x1b[0m"),
    }
}
