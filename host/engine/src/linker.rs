//! What workloads are linked with.

use crate::guest::Guest;
use crate::{granted, sockets};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// All of WASI 0.2 and its HTTP, and what a pod may be granted beyond it. What a guest may reach is decided by its context: its mounts, the
/// network of its pod, its grants, and standard streams that lead to the container's [`crate::Output`].
pub(crate) fn workloads(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    sockets::add(&mut linker)?;
    granted::add(&mut linker)?;
    Ok(linker)
}

/// The same, and WASI 0.3 with its HTTP and its sockets.
pub(crate) fn concurrent(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = workloads(engine)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    sockets::add_modern(&mut linker)?;
    Ok(linker)
}
