//! `wasi:sockets/udp`: sockets for datagrams, and their two directions.

use super::{Answer, function, network, resource, set, told};
use crate::guest::Guest;
use bytes::Bytes;
use osier_sockets::{Bound, Datagrams, Family, Options, Protocol};
use parking_lot::Mutex;
use std::any::Any;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagram, OutgoingDatagram};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};

const INTERFACE: &str = "wasi:sockets/udp@0.2.12";
const CREATE: &str = "wasi:sockets/udp-create-socket@0.2.12";
/// Datagrams that are received or sent by one call.
const AT_ONCE: u64 = 16;

/// A socket.
struct Udp {
    family: Family,
    options: Options,
    state: State,
}

enum State {
    New,
    /// A port, about which the program has not heard yet.
    Binding(Bound),
    /// A port that takes datagrams, shared with the two directions.
    Open(Arc<Mutex<Datagrams>>),
    /// It came to nothing.
    Over,
}

/// What the program receives.
struct Received {
    datagrams: Arc<Mutex<Datagrams>>,
    family: Family,
}

/// What the program sends.
struct Sent {
    datagrams: Arc<Mutex<Datagrams>>,
    /// As many were promised room.
    permits: u64,
}

type This = (Resource<Udp>,);

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut create = linker.instance(CREATE)?;
    function(&mut create, "create-udp-socket", create_socket)?;
    let mut udp = linker.instance(INTERFACE)?;
    resource::<Udp>(&mut udp, "udp-socket")?;
    resource::<Received>(&mut udp, "incoming-datagram-stream")?;
    resource::<Sent>(&mut udp, "outgoing-datagram-stream")?;
    socket(&mut udp)?;
    directions(&mut udp)
}

/// Defines a pair of functions for one option.
macro_rules! option {
    ($udp:expr, $name:literal, $field:ident) => {
        function(
            $udp,
            concat!("[method]udp-socket.", $name),
            |guest, (this,): This| -> Answer<_> { Ok(Ok(guest.table.get(&this)?.options.$field)) },
        )?;
        function(
            $udp,
            concat!("[method]udp-socket.set-", $name),
            |guest, (this, value): (Resource<Udp>, _)| {
                Ok(set(&mut guest.table.get_mut(&this)?.options.$field, value))
            },
        )?;
    };
}

fn socket(udp: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    function(udp, "[method]udp-socket.start-bind", start_bind)?;
    function(udp, "[method]udp-socket.finish-bind", finish_bind)?;
    function(udp, "[method]udp-socket.stream", stream)?;
    function(udp, "[method]udp-socket.local-address", local_address)?;
    function(udp, "[method]udp-socket.remote-address", remote_address)?;
    function(udp, "[method]udp-socket.address-family", family)?;
    function(udp, "[method]udp-socket.subscribe", subscribed::<Udp>)?;
    option!(udp, "unicast-hop-limit", hops);
    option!(udp, "receive-buffer-size", receive);
    option!(udp, "send-buffer-size", send);
    Ok(())
}

fn directions(udp: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    function(udp, "[method]incoming-datagram-stream.receive", receive)?;
    function(
        udp,
        "[method]incoming-datagram-stream.subscribe",
        subscribed::<Received>,
    )?;
    function(
        udp,
        "[method]outgoing-datagram-stream.check-send",
        check_send,
    )?;
    function(udp, "[method]outgoing-datagram-stream.send", send)?;
    function(
        udp,
        "[method]outgoing-datagram-stream.subscribe",
        subscribed::<Sent>,
    )
}

fn create_socket(guest: &mut Guest, (family,): (IpAddressFamily,)) -> Answer<Resource<Udp>> {
    if let Err(denied) = network(guest) {
        return Ok(Err(denied));
    }
    let socket = Udp {
        family: super::family(family),
        options: Options::default(),
        state: State::New,
    };
    Ok(Ok(guest.table.push(socket)?))
}

fn start_bind(
    guest: &mut Guest,
    (this, right, address): (Resource<Udp>, Resource<Network>, IpSocketAddress),
) -> Answer<()> {
    guest.table.get(&right)?;
    let address = SocketAddr::from(address);
    let socket = guest.table.get(&this)?;
    match socket.state {
        State::New => {}
        State::Binding(_) => return Ok(Err(ErrorCode::ConcurrencyConflict)),
        _ => return Ok(Err(ErrorCode::InvalidState)),
    }
    if !socket.family.has(address) {
        return Ok(Err(ErrorCode::InvalidArgument));
    }
    let bound = network(guest).map(|network| network.bind(Protocol::Udp, address));
    Ok(match bound {
        Err(denied) => Err(denied),
        Ok(Err(fault)) => Err(told(guest, &format!("bind {address} (UDP)"), &fault)),
        Ok(Ok(bound)) => {
            guest.table.get_mut(&this)?.state = State::Binding(bound);
            Ok(())
        }
    })
}

fn finish_bind(guest: &mut Guest, (this,): This) -> Answer<()> {
    let socket = guest.table.get_mut(&this)?;
    match std::mem::replace(&mut socket.state, State::Over) {
        State::Binding(bound) => {
            socket.state = State::Open(Arc::new(Mutex::new(Datagrams::on(bound))));
            Ok(Ok(()))
        }
        other => {
            socket.state = other;
            Ok(Err(ErrorCode::NotInProgress))
        }
    }
}

fn stream(
    guest: &mut Guest,
    (this, peer): (Resource<Udp>, Option<IpSocketAddress>),
) -> Answer<(Resource<Received>, Resource<Sent>)> {
    let socket = guest.table.get(&this)?;
    let State::Open(datagrams) = &socket.state else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    let peer = peer.map(SocketAddr::from);
    let unusable = |peer: SocketAddr| peer.port() == 0 || peer.ip().is_unspecified();
    if peer.is_some_and(unusable) {
        return Ok(Err(ErrorCode::InvalidArgument));
    }
    let opened = (socket.family, Arc::clone(datagrams));
    let is_direction = |child: &(dyn Any + Send)| child.is::<Received>() || child.is::<Sent>();
    if guest.table.iter_children(&this)?.any(is_direction) {
        return Err(wasmtime::Error::msg(
            "the streams that the socket had before are still there",
        ));
    }
    opened.1.lock().peer = peer;
    Ok(Ok(both(guest, &this, opened)?))
}

fn both(
    guest: &mut Guest,
    socket: &Resource<Udp>,
    (family, datagrams): (Family, Arc<Mutex<Datagrams>>),
) -> wasmtime::Result<(Resource<Received>, Resource<Sent>)> {
    let received = Received {
        datagrams: Arc::clone(&datagrams),
        family,
    };
    let sent = Sent {
        datagrams,
        permits: 0,
    };
    Ok((
        guest.table.push_child(received, socket)?,
        guest.table.push_child(sent, socket)?,
    ))
}

fn local_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    Ok(match &guest.table.get(&this)?.state {
        State::Open(datagrams) => Ok(datagrams.lock().address().into()),
        _ => Err(ErrorCode::InvalidState),
    })
}

fn remote_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let peer = match &guest.table.get(&this)?.state {
        State::Open(datagrams) => datagrams.lock().peer,
        _ => None,
    };
    Ok(peer.map(Into::into).ok_or(ErrorCode::InvalidState))
}

fn family(guest: &mut Guest, (this,): This) -> wasmtime::Result<IpAddressFamily> {
    Ok(super::told_family(guest.table.get(&this)?.family))
}

fn subscribed<T: Pollable>(
    guest: &mut Guest,
    (this,): (Resource<T>,),
) -> wasmtime::Result<Resource<DynPollable>> {
    subscribe(&mut guest.table, this)
}

fn receive(
    guest: &mut Guest,
    (this, most): (Resource<Received>, u64),
) -> Answer<Vec<IncomingDatagram>> {
    let received = guest.table.get(&this)?;
    let (family, mut datagrams) = (received.family, received.datagrams.lock());
    let waiting = std::iter::from_fn(|| datagrams.take());
    let most = usize::try_from(most.min(AT_ONCE)).unwrap_or_default();
    let taken = waiting.take(most).map(|datagram| IncomingDatagram {
        data: datagram.data.into(),
        remote_address: family.seen(datagram.address).into(),
    });
    Ok(Ok(taken.collect()))
}

fn check_send(guest: &mut Guest, (this,): (Resource<Sent>,)) -> Answer<u64> {
    guest.table.get_mut(&this)?.permits = AT_ONCE;
    Ok(Ok(AT_ONCE))
}

fn send(guest: &mut Guest, (this, all): (Resource<Sent>, Vec<OutgoingDatagram>)) -> Answer<u64> {
    let sent = guest.table.get_mut(&this)?;
    if all.len() as u64 > sent.permits {
        return Err(wasmtime::Error::msg(
            "more datagrams than there is room for",
        ));
    }
    sent.permits = 0;
    let mut count = 0;
    for datagram in all {
        let to = datagram.remote_address.map(SocketAddr::from);
        match one(guest, &this, to, datagram.data.into())? {
            Ok(()) => count += 1,
            Err(_) if count > 0 => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(count))
}

/// Sends one datagram, to where it says or to the socket's only other side.
fn one(
    guest: &mut Guest,
    this: &Resource<Sent>,
    to: Option<SocketAddr>,
    data: Bytes,
) -> Answer<()> {
    let datagrams = guest.table.get(this)?.datagrams.lock();
    let to = match (to, datagrams.peer) {
        (Some(to), Some(peer)) if to != peer => return Ok(Err(ErrorCode::InvalidArgument)),
        (to, peer) => to.or(peer),
    };
    let Some(to) = to.filter(|to| to.port() != 0 && !to.ip().is_unspecified()) else {
        return Ok(Err(ErrorCode::InvalidArgument));
    };
    let sent = datagrams.send(to, data);
    drop(datagrams);
    Ok(sent.map_err(|fault| told(guest, &format!("send to {to} (UDP)"), &fault)))
}

#[wasmtime_wasi::async_trait]
impl Pollable for Udp {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl Pollable for Received {
    async fn ready(&mut self) {
        poll_fn(|context| self.datagrams.lock().poll_ready(context)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Sent {
    async fn ready(&mut self) {}
}
