//! `wasi:sockets/ip-name-lookup`, answered by what the mesh knows.

use super::{Answer, code, function, network, resource};
use crate::guest::Guest;
use std::net::IpAddr;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::IpAddress;
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};

const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// The addresses of a name that the program has not taken yet.
struct Addresses(std::vec::IntoIter<IpAddr>);

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut names = linker.instance(INTERFACE)?;
    resource::<Addresses>(&mut names, "resolve-address-stream")?;
    function(&mut names, "resolve-addresses", resolve)?;
    function(
        &mut names,
        "[method]resolve-address-stream.resolve-next-address",
        next,
    )?;
    function(
        &mut names,
        "[method]resolve-address-stream.subscribe",
        subscribed,
    )
}

fn resolve(
    guest: &mut Guest,
    (right, name): (Resource<Network>, String),
) -> Answer<Resource<Addresses>> {
    guest.table.get(&right)?;
    let network = match network(guest) {
        Ok(network) => network,
        Err(denied) => return Ok(Err(denied)),
    };
    match network.lookup(&name) {
        Ok(found) => Ok(Ok(guest.table.push(Addresses(found.into_iter()))?)),
        Err(fault) => {
            // Programs look names up in vain all the time: a search list, a record of another kind.
            tracing::debug!(name, %fault, "a name was looked up in vain");
            Ok(Err(code(fault.kind)))
        }
    }
}

fn next(guest: &mut Guest, (this,): (Resource<Addresses>,)) -> Answer<Option<IpAddress>> {
    let addresses = guest.table.get_mut(&this)?;
    Ok(Ok(addresses.0.next().map(Into::into)))
}

fn subscribed(
    guest: &mut Guest,
    (this,): (Resource<Addresses>,),
) -> wasmtime::Result<Resource<DynPollable>> {
    subscribe(&mut guest.table, this)
}

#[wasmtime_wasi::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {}
}
