//! Sockets for datagrams.

use super::{Answer, answer, family, network, option, told, told_family};
use crate::guest::Guest;
use crate::sockets::{function, resource};
use osier_sockets::{Datagram, Datagrams, Family, Fault, Kind, Network, Options, Protocol};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use wasmtime::component::{Accessor, LinkerInstance, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress};

/// A socket.
pub(super) struct Udp {
    network: Arc<Network>,
    family: Family,
    options: Options,
    port: Option<Arc<Port>>,
}

/// A port that takes datagrams.
struct Port {
    datagrams: Mutex<Datagrams>,
    /// Who waits for datagrams, one after the other.
    turn: tokio::sync::Mutex<()>,
}

type This = (Resource<Udp>,);
type Asked = (Resource<Udp>, IpSocketAddress);
type Sent = (Resource<Udp>, Vec<u8>, Option<IpSocketAddress>);

pub(super) fn add(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    resource::<Udp>(types, "udp-socket")?;
    function(types, "[static]udp-socket.create", create)?;
    function(types, "[method]udp-socket.bind", bind)?;
    function(types, "[method]udp-socket.connect", connect)?;
    function(types, "[method]udp-socket.disconnect", disconnect)?;
    types.func_wrap_concurrent("[method]udp-socket.send", |guest, given: Sent| {
        // In memory this never waits.
        let sent = guest.with(|mut store| send(store.data_mut(), given));
        Box::pin(std::future::ready(sent.map(|sent| (sent,))))
    })?;
    types.func_wrap_concurrent("[method]udp-socket.receive", |guest, this: This| {
        Box::pin(async move { Ok((receive(guest, this).await?,)) })
    })?;
    function(types, "[method]udp-socket.get-local-address", local)?;
    function(types, "[method]udp-socket.get-remote-address", remote)?;
    function(
        types,
        "[method]udp-socket.get-address-family",
        |guest, (this,): This| Ok(told_family(guest.table.get(&this)?.family)),
    )?;
    option!(types, Udp, "udp-socket", "unicast-hop-limit", hops);
    option!(types, Udp, "udp-socket", "receive-buffer-size", receive);
    option!(types, Udp, "udp-socket", "send-buffer-size", send);
    Ok(())
}

fn fault(kind: Kind) -> Fault {
    Fault::new(kind, "the socket or the address is none for it")
}

impl Udp {
    fn options(&self) -> &Options {
        &self.options
    }

    fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    fn bind(&mut self, address: SocketAddr) -> Result<Arc<Port>, Fault> {
        let bound = self.network.bind(Protocol::Udp, address)?;
        let port = Arc::new(Port {
            datagrams: Mutex::new(Datagrams::on(bound)),
            turn: tokio::sync::Mutex::default(),
        });
        self.port = Some(Arc::clone(&port));
        Ok(port)
    }

    /// The port that it has, or any.
    fn port(&mut self) -> Result<Arc<Port>, Fault> {
        match &self.port {
            Some(port) => Ok(Arc::clone(port)),
            None => self.bind(self.family.any()),
        }
    }

    /// Whether datagrams can go there.
    fn may_send(&self, to: SocketAddr) -> bool {
        to.port() != 0 && !to.ip().is_unspecified() && self.family.has(to)
    }

    fn send(&mut self, data: Vec<u8>, to: Option<SocketAddr>) -> Result<(), Fault> {
        let port = self.port()?;
        let datagrams = port.datagrams.lock();
        let to = match (to, datagrams.peer) {
            (Some(to), Some(peer)) if to != peer => None,
            (to, peer) => to.or(peer),
        };
        let to = to.filter(|to| self.may_send(*to));
        datagrams.send(to.ok_or_else(|| fault(Kind::Invalid))?, data.into())
    }
}

impl Port {
    async fn next(&self) -> Datagram {
        let _turn = self.turn.lock().await;
        loop {
            poll_fn(|context| self.datagrams.lock().poll_ready(context)).await;
            if let Some(datagram) = self.datagrams.lock().take() {
                return datagram;
            }
        }
    }
}

fn create(guest: &mut Guest, (asked,): (IpAddressFamily,)) -> Answer<Resource<Udp>> {
    let network = match network(guest) {
        Ok(network) => network,
        Err(denied) => return Ok(Err(denied)),
    };
    Ok(Ok(guest.table.push(Udp {
        network,
        family: family(asked),
        options: Options::default(),
        port: None,
    })?))
}

fn bind(guest: &mut Guest, (this, address): Asked) -> Answer<()> {
    let address = SocketAddr::from(address);
    let socket = guest.table.get_mut(&this)?;
    let bound = match (&socket.port, socket.family.has(address)) {
        (Some(_), _) => Err(fault(Kind::State)),
        (None, false) => Err(fault(Kind::Invalid)),
        (None, true) => socket.bind(address).map(|_| ()),
    };
    Ok(bound.map_err(|fault| told(guest, &format!("bind {address} (UDP)"), &fault)))
}

fn connect(guest: &mut Guest, (this, address): Asked) -> Answer<()> {
    let to = SocketAddr::from(address);
    let socket = guest.table.get_mut(&this)?;
    let port = match socket.may_send(to) {
        true => socket.port(),
        false => Err(fault(Kind::Invalid)),
    };
    Ok(answer(
        port.map(|port| port.datagrams.lock().peer = Some(to)),
    ))
}

fn disconnect(guest: &mut Guest, (this,): This) -> Answer<()> {
    let port = &guest.table.get(&this)?.port;
    let peer = port
        .as_ref()
        .and_then(|port| port.datagrams.lock().peer.take());
    Ok(peer.map(|_| ()).ok_or(ErrorCode::InvalidState))
}

fn send(guest: &mut Guest, (this, data, to): Sent) -> Answer<()> {
    let to = to.map(SocketAddr::from);
    let sent = guest.table.get_mut(&this)?.send(data, to);
    let where_to = to.map_or_else(|| "its peer".to_owned(), |to| to.to_string());
    Ok(sent.map_err(|fault| told(guest, &format!("send to {where_to} (UDP)"), &fault)))
}

async fn receive(guest: &Accessor<Guest>, (this,): This) -> Answer<(Vec<u8>, IpSocketAddress)> {
    let known = guest.with(|mut store| -> wasmtime::Result<_> {
        let socket = store.data_mut().table.get(&this)?;
        Ok(socket.port.clone().map(|port| (port, socket.family)))
    })?;
    let Some((port, family)) = known else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    let datagram = port.next().await;
    let from = family.seen(datagram.address).into();
    Ok(Ok((datagram.data.into(), from)))
}

fn local(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let port = &guest.table.get(&this)?.port;
    let address = port
        .as_ref()
        .map(|port| port.datagrams.lock().address().into());
    Ok(address.ok_or(ErrorCode::InvalidState))
}

fn remote(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let port = &guest.table.get(&this)?.port;
    let peer = port.as_ref().and_then(|port| port.datagrams.lock().peer);
    Ok(peer.map(Into::into).ok_or(ErrorCode::InvalidState))
}
