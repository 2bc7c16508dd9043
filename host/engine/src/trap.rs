//! Turns wasmtime's errors into ours: out of memory, deadline, trap, with a backtrace that a person can read.

use crate::CallError;
use crate::memory::Meter;
use std::fmt::Write;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Frames shown of a backtrace.
const FRAMES: usize = 12;

/// Why a call of a guest with this meter failed.
pub(crate) fn classify(error: &wasmtime::Error, memory: &Meter) -> CallError {
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Overloaded;
    }
    if memory.refused() {
        return CallError::OutOfMemory {
            limit: memory.limit(),
        };
    }
    CallError::Trap {
        reason: reason(error),
        backtrace: backtrace(error),
    }
}

fn reason(error: &wasmtime::Error) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap
            .to_string()
            .trim_start_matches("wasm trap: ")
            .to_owned();
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return format!("the guest called exit({})", exit.0);
    }
    let root = error
        .chain()
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    root.lines().next().unwrap_or_default().to_owned()
}

/// One frame a line, innermost first. A guest without names shows its function numbers.
fn backtrace(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return text;
    };
    for frame in trace.frames().iter().take(FRAMES) {
        let module = frame.module().name().unwrap_or("guest");
        let _ = match frame.func_name() {
            Some(name) => writeln!(text, "{module}!{name}"),
            None => writeln!(text, "{module}!function {}", frame.func_index()),
        };
    }
    if trace.frames().len() > FRAMES {
        let _ = writeln!(text, "and {} more", trace.frames().len() - FRAMES);
    }
    text
}
