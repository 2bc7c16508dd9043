//! The guest's memory: reading what it points to, and handing it bytes in a block that it allocated itself.

use super::abi::{Fault, Status};
use super::state::State;
use wasmtime::{Caller, Memory};

/// A block in the guest's memory: address and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) u32, pub(super) u32);

/// Where the guest wants the address and the length of what it gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) u32, pub(super) u32);

/// Most bytes that cross at once.
const MOST: u32 = 16 << 20;

pub(super) type Guest<'a, 'c> = &'a mut Caller<'c, State>;

fn memory(guest: Guest<'_, '_>) -> Result<Memory, Status> {
    if let Some(memory) = guest.data().memory {
        return Ok(memory);
    }
    let found = guest
        .get_export("memory")
        .and_then(|export| export.into_memory());
    let memory = found.ok_or(Status::InvalidMemoryAccess)?;
    guest.data_mut().memory = Some(memory);
    Ok(memory)
}

/// Copies a block out.
pub(super) fn read(guest: Guest<'_, '_>, span: Span) -> Result<Vec<u8>, Status> {
    let memory = memory(guest)?;
    if span.1 > MOST {
        return Err(Status::BadArgument);
    }
    let (from, length) = (span.0 as usize, span.1 as usize);
    let data = memory.data(&*guest);
    let end = from
        .checked_add(length)
        .ok_or(Status::InvalidMemoryAccess)?;
    data.get(from..end)
        .map(<[u8]>::to_vec)
        .ok_or(Status::InvalidMemoryAccess)
}

/// Copies a block out as text; what is no UTF-8 is replaced.
pub(super) fn text(guest: Guest<'_, '_>, span: Span) -> Result<String, Status> {
    read(guest, span).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes bytes at an address.
pub(super) fn write(guest: Guest<'_, '_>, at: u32, bytes: &[u8]) -> Result<(), Status> {
    let memory = memory(guest)?;
    memory
        .write(&mut *guest, at as usize, bytes)
        .map_err(|_| Status::InvalidMemoryAccess)
}

/// Writes a number at an address.
pub(super) fn write_u32(guest: Guest<'_, '_>, at: u32, number: u32) -> Result<(), Status> {
    write(guest, at, &number.to_le_bytes())
}

/// Hands bytes to the guest: a block of its own, and where it is.
pub(super) fn hand(guest: Guest<'_, '_>, bytes: &[u8], place: Place) -> Result<(), Fault> {
    let length = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let mut at = 0;
    if length > 0 {
        let allocate = guest
            .data()
            .allocate
            .clone()
            .ok_or(Status::InvalidMemoryAccess)?;
        at = allocate.call(&mut *guest, length)?;
        if at == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        write(guest, at, bytes)?;
    }
    write_u32(guest, place.0, at)?;
    write_u32(guest, place.1, length)?;
    Ok(())
}
