//! Buffers: bodies, answers to calls, configuration.

use super::{ENV, Guest};
use crate::proxy_wasm::abi::{Buffer, Fault, Status, answer};
use crate::proxy_wasm::memory::{Place, Span, hand, read, write_u32};
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::stream::Side;
use bytes::{Bytes, BytesMut};
use wasmtime::Linker;

/// Bytes that a body may have after a guest changed it.
const MOST: usize = 16 << 20;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_get_buffer_bytes",
        |mut g: Guest<'_>, kind: u32, start: u32, most: u32, at: u32, len: u32| {
            answer(get(&mut g, kind, (start, most), Place(at, len)))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_buffer_status",
        |mut g: Guest<'_>, kind: u32, len: u32, flags: u32| {
            answer(status(&mut g, kind, (len, flags)))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_buffer_bytes",
        |mut g: Guest<'_>, kind: u32, start: u32, size: u32, a: u32, n: u32| {
            answer(set(&mut g, kind, (start, size), Span(a, n)))
        },
    )?;
    Ok(())
}

/// A copy of a part of a buffer.
fn part(state: &mut State, kind: Buffer, start: usize, most: usize) -> Result<Bytes, Status> {
    let cut = |bytes: &[u8]| {
        let start = start.min(bytes.len());
        let end = start.saturating_add(most).min(bytes.len());
        Bytes::copy_from_slice(&bytes[start..end])
    };
    Ok(match kind {
        Buffer::RequestBody => cut(body(state, Side::Request)?),
        Buffer::ResponseBody => cut(body(state, Side::Response)?),
        Buffer::CallBody => cut(&state.answer.as_ref().ok_or(Status::NotFound)?.body),
        Buffer::VmConfiguration => cut(&state.terms.vm_configuration),
        Buffer::PluginConfiguration => cut(&state.terms.configuration),
    })
}

fn body(state: &mut State, side: Side) -> Result<&mut BytesMut, Status> {
    let message = state.stream()?.message(side);
    match message.body_open {
        true => Ok(&mut message.body),
        false => Err(Status::NotFound),
    }
}

fn get(
    guest: &mut Guest<'_>,
    kind: u32,
    (start, most): (u32, u32),
    out: Place,
) -> Result<(), Fault> {
    if start.checked_add(most).is_none() {
        return Err(Status::BadArgument.into());
    }
    let kind = Buffer::of(kind)?;
    let bytes = part(guest.data_mut(), kind, start as usize, most as usize)?;
    hand(guest, &bytes, out)
}

fn status(guest: &mut Guest<'_>, kind: u32, (len, flags): (u32, u32)) -> Result<(), Fault> {
    let kind = Buffer::of(kind)?;
    let bytes = part(guest.data_mut(), kind, 0, usize::MAX)?;
    write_u32(guest, len, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    Ok(write_u32(guest, flags, 0)?)
}

/// Replaces a part of a body; from its end on, appends.
fn set(
    guest: &mut Guest<'_>,
    kind: u32,
    (start, size): (u32, u32),
    new: Span,
) -> Result<(), Fault> {
    let side = match Buffer::of(kind)? {
        Buffer::RequestBody => Side::Request,
        Buffer::ResponseBody => Side::Response,
        _ => return Err(Status::BadArgument.into()),
    };
    let new = read(guest, new)?;
    let body = body(guest.data_mut(), side)?;
    let start = (start as usize).min(body.len());
    let end = start.saturating_add(size as usize).min(body.len());
    if body.len() - (end - start) + new.len() > MOST {
        return Err(Status::InternalFailure.into());
    }
    let tail = body.split_off(end);
    body.truncate(start);
    body.extend_from_slice(&new);
    body.unsplit(tail);
    Ok(())
}
