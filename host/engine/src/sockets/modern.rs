//! `wasi:sockets` of 0.3: the same network, by operations that wait by themselves and by streams of the component model.

mod tcp;
mod transfer;
mod udp;

use super::complain;
use crate::guest::Guest;
use osier_sockets::{Family, Fault, Kind, Network};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::ErrorCode as NameError;
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, IpAddress, IpAddressFamily};

const TYPES: &str = "wasi:sockets/types@0.3.0";
const NAMES: &str = "wasi:sockets/ip-name-lookup@0.3.0";

/// What a guest is answered.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// Replaces the sockets of a linker.
pub(crate) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    tcp::add(&mut types)?;
    udp::add(&mut types)?;
    let mut names = linker.instance(NAMES)?;
    names.func_wrap_concurrent("resolve-addresses", |guest, (name,): (String,)| {
        let found = guest.with(|mut store| resolve(store.data_mut(), &name));
        Box::pin(std::future::ready(Ok((found,))))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The addresses of a name, as the mesh knows them.
fn resolve(guest: &Guest, name: &str) -> Result<Vec<IpAddress>, NameError> {
    let network = guest.network.as_ref().ok_or(NameError::AccessDenied)?;
    let found = network.lookup(name).map_err(|fault| {
        // Programs look names up in vain all the time: a search list, a record of another kind.
        tracing::debug!(name, %fault, "a name was looked up in vain");
        match fault.kind {
            Kind::Denied => NameError::AccessDenied,
            Kind::Invalid => NameError::InvalidArgument,
            _ => NameError::NameUnresolvable,
        }
    })?;
    Ok(found.into_iter().map(Into::into).collect())
}

/// The network of a guest that has one.
fn network(guest: &Guest) -> Result<Arc<Network>, ErrorCode> {
    guest.network.clone().ok_or(ErrorCode::AccessDenied)
}

fn family(family: IpAddressFamily) -> Family {
    match family {
        IpAddressFamily::Ipv4 => Family::V4,
        IpAddressFamily::Ipv6 => Family::V6,
    }
}

fn told_family(family: Family) -> IpAddressFamily {
    match family {
        Family::V4 => IpAddressFamily::Ipv4,
        Family::V6 => IpAddressFamily::Ipv6,
    }
}

/// What a program can act on; the words go to its standard error too, where a person finds them.
fn told(guest: &mut Guest, what: &str, fault: &Fault) -> ErrorCode {
    complain(guest, what, fault);
    code(fault)
}

fn answer<T>(done: Result<T, Fault>) -> Result<T, ErrorCode> {
    done.map_err(|fault| code(&fault))
}

fn code(fault: &Fault) -> ErrorCode {
    match fault.kind {
        Kind::Denied => ErrorCode::AccessDenied,
        Kind::NotBindable => ErrorCode::AddressNotBindable,
        Kind::InUse => ErrorCode::AddressInUse,
        Kind::Refused => ErrorCode::ConnectionRefused,
        Kind::Unreachable => ErrorCode::RemoteUnreachable,
        Kind::Timeout => ErrorCode::Timeout,
        Kind::Invalid => ErrorCode::InvalidArgument,
        Kind::State => ErrorCode::InvalidState,
        Kind::TooLarge => ErrorCode::DatagramTooLarge,
        Kind::TooMany | Kind::Unknown => ErrorCode::Other(Some(fault.to_string())),
    }
}

/// Defines a pair of functions for one option.
macro_rules! option {
    ($types:expr, $kind:ty, $socket:literal, $name:literal, $field:ident) => {
        crate::sockets::function(
            $types,
            concat!("[method]", $socket, ".get-", $name),
            |guest, (this,): (Resource<$kind>,)| -> Answer<_> {
                Ok(Ok(guest.table.get(&this)?.options().$field))
            },
        )?;
        crate::sockets::function(
            $types,
            concat!("[method]", $socket, ".set-", $name),
            |guest, (this, value): (Resource<$kind>, _)| -> Answer<()> {
                let options = guest.table.get_mut(&this)?.options_mut();
                let kept = crate::sockets::set(&mut options.$field, value);
                Ok(kept.map_err(|_| ErrorCode::InvalidArgument))
            },
        )?;
    };
}
use option;
