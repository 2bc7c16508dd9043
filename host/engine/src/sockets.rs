//! `wasi:sockets` on the network of the guest's pod ([`osier_sockets::Network`]): no call here opens a socket of the system.
//!
//! The stock implementation of each interface is replaced as a whole, resources included, but for `network` and `instance-network`,
//! which only stand for the right to ask. A guest of a container without a network may do nothing.

mod modern;
mod names;
mod stream;
mod tcp;
mod udp;

use crate::guest::Guest;
use osier_sockets::{Family, Fault, Kind, Network};
use std::sync::Arc;
use wasmtime::component::{
    ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};

/// What a guest is answered.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// Replaces the sockets of a linker.
pub(crate) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp::add(linker)?;
    udp::add(linker)?;
    names::add(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

pub(crate) use modern::add as add_modern;

/// Defines one function by a plain one over the store's data.
fn function<P, R>(
    instance: &mut LinkerInstance<'_, Guest>,
    name: &str,
    call: fn(&mut Guest, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: 'static,
    (R,): ComponentNamedList + Lower,
{
    instance.func_wrap(name, move |mut store, given: P| {
        Ok((call(store.data_mut(), given)?,))
    })
}

/// Defines a resource that is kept in the store's table.
fn resource<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, Guest>,
    name: &str,
) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut store, index| {
        let resource = Resource::<T>::new_own(index);
        store.data_mut().table.delete(resource)?;
        Ok(())
    })
}

/// The network of a guest that has one.
fn network(guest: &Guest) -> Result<Arc<Network>, ErrorCode> {
    guest.network.clone().ok_or(ErrorCode::AccessDenied)
}

/// A family by its name in WASI 0.2.
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

/// No option that is a number may be zero.
fn set<T: Default + PartialEq>(place: &mut T, value: T) -> Result<(), ErrorCode> {
    if value == T::default() {
        return Err(ErrorCode::InvalidArgument);
    }
    *place = value;
    Ok(())
}

fn answer<T>(done: Result<T, Fault>) -> Result<T, ErrorCode> {
    done.map_err(|fault| code(fault.kind))
}

/// What a program can act on; the words go to its standard error, where a person finds them.
fn told(guest: &mut Guest, what: &str, fault: &Fault) -> ErrorCode {
    complain(guest, what, fault);
    code(fault.kind)
}

/// Says why on the program's standard error, unless it asked for what no network could do.
fn complain(guest: &mut Guest, what: &str, fault: &Fault) {
    if !matches!(fault.kind, Kind::State | Kind::Invalid) {
        guest.complain(&format!("{what}: {fault}"));
    }
}

fn code(kind: Kind) -> ErrorCode {
    match kind {
        Kind::Denied => ErrorCode::AccessDenied,
        Kind::NotBindable => ErrorCode::AddressNotBindable,
        Kind::InUse => ErrorCode::AddressInUse,
        Kind::Refused => ErrorCode::ConnectionRefused,
        Kind::Unreachable => ErrorCode::RemoteUnreachable,
        Kind::Timeout => ErrorCode::Timeout,
        Kind::TooMany => ErrorCode::NewSocketLimit,
        Kind::Invalid => ErrorCode::InvalidArgument,
        Kind::State => ErrorCode::InvalidState,
        Kind::Unknown => ErrorCode::NameUnresolvable,
        Kind::TooLarge => ErrorCode::DatagramTooLarge,
    }
}
