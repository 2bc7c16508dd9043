//! Headers and trailers.

use super::{ENV, Guest};
use crate::proxy_wasm::abi::{Fault, Map, Status, answer};
use crate::proxy_wasm::memory::{Place, Span, hand, read, write_u32};
use crate::proxy_wasm::state::State;
use osier_abi::headers::decode;
use wasmtime::Linker;

/// What is done with one name of a map.
#[derive(Clone, Copy)]
enum Change {
    Add,
    Set,
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_get_header_map_size",
        |mut g: Guest<'_>, map: u32, out: u32| answer(size(&mut g, map, out)),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_header_map_pairs",
        |mut g: Guest<'_>, map: u32, at: u32, len: u32| answer(pairs(&mut g, map, Place(at, len))),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_header_map_pairs",
        |mut g: Guest<'_>, map: u32, a: u32, n: u32| answer(set_pairs(&mut g, map, Span(a, n))),
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_header_map_value",
        |mut g: Guest<'_>, map: u32, a: u32, n: u32, at: u32, len: u32| {
            answer(value(&mut g, map, Span(a, n), Place(at, len)))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_add_header_map_value",
        |mut g: Guest<'_>, map: u32, a: u32, n: u32, v: u32, vn: u32| {
            answer(change(&mut g, map, (Span(a, n), Span(v, vn)), Change::Add))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_replace_header_map_value",
        |mut g: Guest<'_>, map: u32, a: u32, n: u32, v: u32, vn: u32| {
            answer(change(&mut g, map, (Span(a, n), Span(v, vn)), Change::Set))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_remove_header_map_value",
        |mut g: Guest<'_>, map: u32, a: u32, n: u32| answer(remove(&mut g, map, Span(a, n))),
    )?;
    Ok(())
}

fn size(guest: &mut Guest<'_>, map: u32, out: u32) -> Result<(), Fault> {
    let bytes = guest.data_mut().map(Map::of(map)?)?.encode().len();
    Ok(write_u32(
        guest,
        out,
        u32::try_from(bytes).unwrap_or(u32::MAX),
    )?)
}

fn pairs(guest: &mut Guest<'_>, map: u32, out: Place) -> Result<(), Fault> {
    let headers = guest.data_mut().map(Map::of(map)?)?;
    // As in Envoy: no pairs are no bytes, which the SDKs expect of absent trailers.
    let wire = if headers.is_empty() {
        Vec::new()
    } else {
        headers.encode()
    };
    hand(guest, &wire, out)
}

fn set_pairs(guest: &mut Guest<'_>, map: u32, wire: Span) -> Result<(), Fault> {
    let wire = read(guest, wire)?;
    let pairs = decode(&wire)?;
    let map = Map::of(map)?;
    Ok(guest
        .data_mut()
        .edit(map, |headers| headers.replace(&pairs))?)
}

fn value(guest: &mut Guest<'_>, map: u32, name: Span, out: Place) -> Result<(), Fault> {
    let name = read(guest, name)?;
    let value = guest.data_mut().value(Map::of(map)?, &name)?;
    hand(guest, &value, out)
}

fn change(
    guest: &mut Guest<'_>,
    map: u32,
    (name, value): (Span, Span),
    change: Change,
) -> Result<(), Fault> {
    let (name, value) = (read(guest, name)?, read(guest, value)?);
    let map = Map::of(map)?;
    let done = guest.data_mut().edit(map, |headers| {
        let edit = match change {
            Change::Add => headers.add(&name, &value),
            Change::Set => headers.set(&name, &value),
        };
        edit.map(|edit| vec![edit])
    });
    Ok(done?)
}

fn remove(guest: &mut Guest<'_>, map: u32, name: Span) -> Result<(), Fault> {
    let name = read(guest, name)?;
    let map = Map::of(map)?;
    let removed = guest
        .data_mut()
        .edit(map, |headers| headers.remove(&name).map(|edit| vec![edit]));
    match removed {
        Err(Status::BadArgument) if name.starts_with(b":") => Err(Status::BadArgument.into()),
        done => Ok(done?),
    }
}
