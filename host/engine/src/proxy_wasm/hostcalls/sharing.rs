//! Shared data, queues and metrics.

use super::{ENV, Guest};
use crate::proxy_wasm::abi::{Fault, answer};
use crate::proxy_wasm::memory::{Place, Span, hand, read, text, write, write_u32};
use crate::proxy_wasm::state::State;
use osier_abi::Order;
use osier_capabilities::SharedSpace;
use std::sync::Arc;
use wasmtime::Linker;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_data(linker)?;
    link_queues(linker)?;
    link_metrics(linker)
}

fn link_data(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_get_shared_data",
        |mut g: Guest<'_>, a: u32, n: u32, at: u32, len: u32, cas: u32| {
            answer(get_data(&mut g, Span(a, n), Place(at, len), cas))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_shared_data",
        |mut g: Guest<'_>, a: u32, n: u32, v: u32, vn: u32, cas: u32| {
            answer(set_data(&mut g, Span(a, n), Span(v, vn), cas))
        },
    )?;
    Ok(())
}

fn link_queues(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_register_shared_queue",
        |mut g: Guest<'_>, a: u32, n: u32, out: u32| answer(register(&mut g, Span(a, n), out)),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_resolve_shared_queue",
        |mut g: Guest<'_>, _vm: u32, _vm_len: u32, a: u32, n: u32, out: u32| {
            answer(resolve(&mut g, Span(a, n), out))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_dequeue_shared_queue",
        |mut g: Guest<'_>, id: u32, at: u32, len: u32| answer(dequeue(&mut g, id, Place(at, len))),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_enqueue_shared_queue",
        |mut g: Guest<'_>, id: u32, a: u32, n: u32| answer(enqueue(&mut g, id, Span(a, n))),
    )?;
    Ok(())
}

fn link_metrics(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_define_metric",
        |mut g: Guest<'_>, kind: u32, a: u32, n: u32, out: u32| {
            answer(define(&mut g, kind, Span(a, n), out))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_increment_metric",
        |g: Guest<'_>, id: u32, offset: i64| {
            answer(space(&g).increment(id, offset).map_err(Fault::from))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_record_metric",
        |g: Guest<'_>, id: u32, value: u64| {
            answer(space(&g).record(id, value).map_err(Fault::from))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_metric",
        |mut g: Guest<'_>, id: u32, out: u32| answer(metric(&mut g, id, out)),
    )?;
    Ok(())
}

fn space(guest: &Guest<'_>) -> Arc<SharedSpace> {
    Arc::clone(&guest.data().terms.space)
}

fn get_data(guest: &mut Guest<'_>, key: Span, out: Place, cas: u32) -> Result<(), Fault> {
    let key = read(guest, key)?;
    let (value, number) = space(guest).get(&key)?;
    hand(guest, &value, out)?;
    Ok(write_u32(guest, cas, number)?)
}

fn set_data(guest: &mut Guest<'_>, key: Span, value: Span, cas: u32) -> Result<(), Fault> {
    let (key, value) = (read(guest, key)?, read(guest, value)?);
    Ok(space(guest).set(key, value.into(), cas)?)
}

fn register(guest: &mut Guest<'_>, name: Span, out: u32) -> Result<(), Fault> {
    let name = read(guest, name)?;
    let id = space(guest).register(name)?;
    let queues = &mut guest.data_mut().queues;
    if !queues.contains(&id) {
        queues.push(id);
    }
    Ok(write_u32(guest, out, id)?)
}

/// The name of the VM is not looked at: queues belong to one plugin.
fn resolve(guest: &mut Guest<'_>, name: Span, out: u32) -> Result<(), Fault> {
    let name = read(guest, name)?;
    let id = space(guest).resolve(&name)?;
    Ok(write_u32(guest, out, id)?)
}

fn dequeue(guest: &mut Guest<'_>, id: u32, out: Place) -> Result<(), Fault> {
    let message = space(guest).dequeue(id)?;
    hand(guest, &message, out)
}

fn enqueue(guest: &mut Guest<'_>, id: u32, message: Span) -> Result<(), Fault> {
    let message = read(guest, message)?;
    space(guest).enqueue(id, message.into())?;
    Ok(guest.data_mut().order(Order::Queue(id))?)
}

fn define(guest: &mut Guest<'_>, kind: u32, name: Span, out: u32) -> Result<(), Fault> {
    let name = text(guest, name)?;
    let id = space(guest).define(kind, name)?;
    Ok(write_u32(guest, out, id)?)
}

fn metric(guest: &mut Guest<'_>, id: u32, out: u32) -> Result<(), Fault> {
    let value = space(guest).metric(id)?;
    Ok(write(guest, out, &value.to_le_bytes())?)
}
