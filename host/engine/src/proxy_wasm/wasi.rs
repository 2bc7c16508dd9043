//! The part of WASI preview1 that modules of proxy-wasm need: standard output, clocks, random numbers, environment. There are no files.

use super::hostcalls::logged;
use super::memory::{Span, read, write, write_u32};
use super::state::State;
use rand::RngCore;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Caller, FuncType, Linker, Module, Val, ValType};
use wasmtime_wasi::I32Exit;

/// Both names that toolchains use.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];
/// Error numbers of preview1.
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
/// Buffers of one write.
const MOST_BUFFERS: u32 = 64;
/// Bytes kept of a line that has not ended.
const MOST_LINE: usize = 16 << 10;
/// Random bytes at once.
const MOST_RANDOM: u32 = 64 << 10;

type Guest<'a> = Caller<'a, State>;

/// True for a module that this file serves.
pub(super) fn serves(module: &str) -> bool {
    MODULES.contains(&module)
}

/// Links what `module` imports of WASI. What is not offered says so to the guest when it is called, as on a system without it.
pub(super) fn link(linker: &mut Linker<State>, module: &Module) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| serves(import.module())) {
        if let Some(ty) = import.ty().func() {
            missing(linker, (import.module(), import.name()), ty.clone())?;
        }
    }
    for name in MODULES {
        link_output(linker, name)?;
        link_facts(linker, name)?;
    }
    Ok(())
}

fn missing(
    linker: &mut Linker<State>,
    (module, name): (&str, &str),
    ty: FuncType,
) -> wasmtime::Result<()> {
    // Opened directories are asked for until there is no next one.
    let answer = if name.starts_with("fd_") { BADF } else { NOSYS };
    let numbered =
        ty.results().len() == 1 && ty.results().all(|result| matches!(result, ValType::I32));
    let called = name.to_owned();
    linker.func_new(module, name, ty, move |_, _, results| match results {
        [result] if numbered => {
            *result = Val::I32(answer);
            Ok(())
        }
        _ => Err(wasmtime::Error::msg(format!("{called} is not offered"))),
    })?;
    Ok(())
}

fn link_output(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "fd_write",
        |mut g: Guest<'_>, fd: i32, at: u32, count: u32, out: u32| {
            fd_write(&mut g, fd, (at, count), out)
        },
    )?;
    linker.func_wrap(module, "fd_close", |_: Guest<'_>, _: i32| SUCCESS)?;
    linker.func_wrap(
        module,
        "fd_fdstat_get",
        |mut g: Guest<'_>, fd: i32, out: u32| {
            // A character device without rights.
            let mut stat = [0; 24];
            stat[0] = 2;
            match fd {
                0..=2 => told(write(&mut g, out, &stat)),
                _ => BADF,
            }
        },
    )?;
    linker.func_wrap(
        module,
        "proc_exit",
        |_: Guest<'_>, code: i32| -> wasmtime::Result<()> { Err(I32Exit(code).into()) },
    )?;
    linker.func_wrap(module, "sched_yield", |_: Guest<'_>| SUCCESS)?;
    Ok(())
}

fn link_facts(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "clock_time_get",
        |mut g: Guest<'_>, clock: u32, _: i64, out: u32| time(&mut g, clock, out),
    )?;
    linker.func_wrap(
        module,
        "clock_res_get",
        |mut g: Guest<'_>, _: u32, out: u32| told(write(&mut g, out, &1_000_u64.to_le_bytes())),
    )?;
    linker.func_wrap(
        module,
        "random_get",
        |mut g: Guest<'_>, at: u32, count: u32| random(&mut g, Span(at, count)),
    )?;
    linker.func_wrap(
        module,
        "environ_sizes_get",
        |mut g: Guest<'_>, count: u32, bytes: u32| {
            let env = environment(&g);
            sizes(&mut g, &env, (count, bytes))
        },
    )?;
    linker.func_wrap(
        module,
        "environ_get",
        |mut g: Guest<'_>, pointers: u32, bytes: u32| {
            let env = environment(&g);
            lay_out(&mut g, &env, (pointers, bytes))
        },
    )?;
    linker.func_wrap(
        module,
        "args_sizes_get",
        |mut g: Guest<'_>, count: u32, bytes: u32| sizes(&mut g, &[], (count, bytes)),
    )?;
    linker.func_wrap(module, "args_get", |_: Guest<'_>, _: u32, _: u32| SUCCESS)?;
    Ok(())
}

fn told<T, E>(done: Result<T, E>) -> i32 {
    done.map_or(FAULT, |_| SUCCESS)
}

fn fd_write(guest: &mut Guest<'_>, fd: i32, (at, count): (u32, u32), out: u32) -> i32 {
    if !(1..=2).contains(&fd) {
        return BADF;
    }
    let mut written = 0u32;
    for place in 0..count.min(MOST_BUFFERS) {
        let Ok(entry) = read(guest, Span(at.wrapping_add(place * 8), 8)) else {
            return FAULT;
        };
        let number = |from: usize| {
            let bytes = entry
                .get(from..from + 4)
                .and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let Ok(bytes) = read(guest, Span(number(0), number(4))) else {
            return FAULT;
        };
        written = written.saturating_add(number(4));
        let state = guest.data_mut();
        state.line.extend_from_slice(&bytes);
        flush(state, if fd == 1 { 2 } else { 4 });
    }
    told(write_u32(guest, out, written))
}

/// Logs the lines that are whole.
fn flush(state: &mut State, level: u32) {
    while let Some(end) = state.line.iter().position(|byte| *byte == b'\n') {
        let rest = state.line.split_off(end + 1);
        let line = std::mem::replace(&mut state.line, rest);
        logged(state, level, String::from_utf8_lossy(&line).trim_end());
    }
    if state.line.len() > MOST_LINE {
        let line = std::mem::take(&mut state.line);
        logged(state, level, &String::from_utf8_lossy(&line));
    }
}

fn time(guest: &mut Guest<'_>, clock: u32, out: u32) -> i32 {
    let clock = match clock {
        0 => ClockId::Realtime,
        1 => ClockId::Monotonic,
        2 => ClockId::ProcessCPUTime,
        3 => ClockId::ThreadCPUTime,
        _ => return INVAL,
    };
    let now = std::time::Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    told(write(guest, out, &now.to_le_bytes()))
}

fn random(guest: &mut Guest<'_>, span: Span) -> i32 {
    if span.1 > MOST_RANDOM {
        return INVAL;
    }
    let mut bytes = vec![0; span.1 as usize];
    rand::rng().fill_bytes(&mut bytes);
    told(write(guest, span.0, &bytes))
}

/// `NAME=VALUE` with a zero behind each.
fn environment(guest: &Guest<'_>) -> Vec<Vec<u8>> {
    let env = guest.data().terms.env.iter();
    env.map(|(name, value)| format!("{name}={value}\0").into_bytes())
        .collect()
}

fn sizes(guest: &mut Guest<'_>, strings: &[Vec<u8>], (count, bytes): (u32, u32)) -> i32 {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let total = strings.iter().map(Vec::len).sum();
    let written = write_u32(guest, count, small(strings.len()));
    told(written.and_then(|()| write_u32(guest, bytes, small(total))))
}

fn lay_out(guest: &mut Guest<'_>, strings: &[Vec<u8>], (pointers, bytes): (u32, u32)) -> i32 {
    let mut at = bytes;
    for (place, string) in (0u32..).zip(strings) {
        let pointer = pointers.wrapping_add(place * 4);
        let written = write_u32(guest, pointer, at).and_then(|()| write(guest, at, string));
        if written.is_err() {
            return FAULT;
        }
        at = at.wrapping_add(u32::try_from(string.len()).unwrap_or(u32::MAX));
    }
    SUCCESS
}
