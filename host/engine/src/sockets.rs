//! `wasi:sockets` on the network of the guest's pod ([`osier_sockets::Network`]): no call here opens a socket of the system.
//!
//! The stock implementation of each interface is replaced as a whole, resources included, but for `network` and `instance-network`,
//! which only stand for the right to ask. A guest of a container without a network may do nothing.

mod names;
mod options;
mod stream;
mod tcp;
mod udp;

use crate::guest::Guest;
use osier_sockets::{Fault, Kind, Network};
use std::net::{IpAddr, SocketAddr};
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

/// An address as a socket of this family has it: one of IPv6 sees others by mapped addresses.
fn seen(family: IpAddressFamily, address: SocketAddr) -> SocketAddr {
    match (family, address.ip()) {
        (IpAddressFamily::Ipv6, IpAddr::V4(ip)) => {
            SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
        }
        _ => address,
    }
}

/// The address that a connection has on this side.
fn as_seen(guest: &Guest, bound: SocketAddr, to: SocketAddr) -> SocketAddr {
    let own = guest.network.as_ref().map(|network| network.address());
    let address = match (bound.ip(), to.ip()) {
        (address, _) if !address.is_unspecified() => address,
        (_, remote) if remote.is_loopback() => remote,
        (any, IpAddr::V4(_)) => own.map_or(any, IpAddr::V4),
        (any, IpAddr::V6(_)) => own.map_or(any, |own| own.to_ipv6_mapped().into()),
    };
    SocketAddr::new(address, bound.port())
}

/// What a program can act on; the words go to its standard error, where a person finds them.
fn told(guest: &mut Guest, what: &str, fault: &Fault) -> ErrorCode {
    guest.complain(&format!("{what}: {fault}"));
    code(fault.kind)
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
        Kind::Unknown => ErrorCode::NameUnresolvable,
        Kind::TooLarge => ErrorCode::DatagramTooLarge,
    }
}
