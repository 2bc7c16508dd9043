//! Sockets for connections.

use super::transfer::{Accepted, Received, Sent};
use super::{Answer, answer, family, network, option, told, told_family};
use crate::guest::Guest;
use crate::sockets::{function, resource};
use osier_sockets::{Options, Socket};
use std::future::poll_fn;
use std::iter;
use std::net::SocketAddr;
use std::task::Poll;
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, FutureReader, LinkerInstance, Resource, StreamReader};
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress};

/// A socket; a type of its own, because resources are told apart by their types.
pub(super) struct Tcp(pub(super) Socket);

type This = (Resource<Tcp>,);
type Asked = (Resource<Tcp>, IpSocketAddress);
/// What becomes of a direction.
type Told = FutureReader<Result<(), ErrorCode>>;

impl Tcp {
    fn options(&self) -> &Options {
        &self.0.options
    }

    fn options_mut(&mut self) -> &mut Options {
        &mut self.0.options
    }
}

pub(super) fn add(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    resource::<Tcp>(types, "tcp-socket")?;
    function(types, "[static]tcp-socket.create", create)?;
    function(types, "[method]tcp-socket.bind", bind)?;
    types.func_wrap_concurrent("[method]tcp-socket.connect", |guest, asked: Asked| {
        Box::pin(async move { Ok((connect(guest, asked).await?,)) })
    })?;
    types.func_wrap("[method]tcp-socket.listen", |store, this: This| {
        Ok((listen(store, this)?,))
    })?;
    types.func_wrap(
        "[method]tcp-socket.send",
        |store, given: (Resource<Tcp>, StreamReader<u8>)| Ok((send(store, given)?,)),
    )?;
    types.func_wrap("[method]tcp-socket.receive", |store, this: This| {
        Ok((receive(store, this)?,))
    })?;
    state(types)?;
    options(types)
}

fn state(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    function(types, "[method]tcp-socket.get-local-address", local)?;
    function(types, "[method]tcp-socket.get-remote-address", remote)?;
    function(
        types,
        "[method]tcp-socket.get-is-listening",
        |guest, (this,): This| Ok(guest.table.get(&this)?.0.is_listening()),
    )?;
    function(
        types,
        "[method]tcp-socket.get-address-family",
        |guest, (this,): This| Ok(told_family(guest.table.get(&this)?.0.family())),
    )
}

fn options(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    option!(types, Tcp, "tcp-socket", "keep-alive-idle-time", idle);
    option!(types, Tcp, "tcp-socket", "keep-alive-interval", interval);
    option!(types, Tcp, "tcp-socket", "keep-alive-count", count);
    option!(types, Tcp, "tcp-socket", "hop-limit", hops);
    option!(types, Tcp, "tcp-socket", "receive-buffer-size", receive);
    option!(types, Tcp, "tcp-socket", "send-buffer-size", send);
    function(
        types,
        "[method]tcp-socket.set-listen-backlog-size",
        |guest, (this, value): (Resource<Tcp>, u64)| -> Answer<()> {
            Ok(answer(guest.table.get_mut(&this)?.0.set_backlog(value)))
        },
    )?;
    function(
        types,
        "[method]tcp-socket.get-keep-alive-enabled",
        |guest, (this,): This| -> Answer<bool> {
            Ok(Ok(guest.table.get(&this)?.options().keep_alive))
        },
    )?;
    function(
        types,
        "[method]tcp-socket.set-keep-alive-enabled",
        |guest, (this, value): (Resource<Tcp>, bool)| -> Answer<()> {
            guest.table.get_mut(&this)?.options_mut().keep_alive = value;
            Ok(Ok(()))
        },
    )
}

fn create(guest: &mut Guest, (asked,): (IpAddressFamily,)) -> Answer<Resource<Tcp>> {
    Ok(match network(guest) {
        Ok(network) => Ok(guest.table.push(Tcp(Socket::new(network, family(asked))))?),
        Err(denied) => Err(denied),
    })
}

fn bind(guest: &mut Guest, (this, address): Asked) -> Answer<()> {
    let address = SocketAddr::from(address);
    let bound = guest.table.get_mut(&this)?.0.bind(address);
    Ok(bound.map_err(|fault| told(guest, &format!("bind {address}"), &fault)))
}

async fn connect(guest: &Accessor<Guest>, (this, address): Asked) -> Answer<()> {
    let to = SocketAddr::from(address);
    let begun = guest.with(|mut store| -> wasmtime::Result<_> {
        let socket = store.data_mut().table.get_mut(&this)?;
        Ok(socket.0.connect(to))
    })?;
    let connected = match begun {
        Err(fault) => Err(fault),
        Ok(()) => {
            let waiting = poll_fn(|context| {
                guest.with(|mut store| -> Poll<wasmtime::Result<_>> {
                    let socket = store.data_mut().table.get_mut(&this)?;
                    socket.0.poll_connect(context).map(Ok)
                })
            });
            waiting.await?
        }
    };
    let fail =
        |fault| guest.with(|mut store| told(store.data_mut(), &format!("connect {to}"), &fault));
    Ok(connected.map_err(fail))
}

fn listen(
    mut store: StoreContextMut<'_, Guest>,
    (this,): This,
) -> Answer<StreamReader<Resource<Tcp>>> {
    let guest = store.data_mut();
    let socket = &mut guest.table.get_mut(&this)?.0;
    if let Err(fault) = socket.listen() {
        return Ok(Err(told(guest, "listen", &fault)));
    }
    let Some(accepting) = socket.take_listener() else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    Ok(Ok(StreamReader::new(&mut store, Accepted(accepting))?))
}

fn send(
    mut store: StoreContextMut<'_, Guest>,
    (this, mut data): (Resource<Tcp>, StreamReader<u8>),
) -> wasmtime::Result<Told> {
    let Some(writer) = store.data_mut().table.get_mut(&this)?.0.take_writer() else {
        data.close(&mut store)?;
        return unable(&mut store);
    };
    let (tell, told) = oneshot::channel();
    data.pipe(&mut store, Sent::new(writer, tell))?;
    FutureReader::new(&mut store, told)
}

fn receive(
    mut store: StoreContextMut<'_, Guest>,
    (this,): This,
) -> wasmtime::Result<(StreamReader<u8>, Told)> {
    let Some(reader) = store.data_mut().table.get_mut(&this)?.0.take_reader() else {
        return Ok((
            StreamReader::new(&mut store, iter::empty())?,
            unable(&mut store)?,
        ));
    };
    let (tell, told) = oneshot::channel();
    Ok((
        StreamReader::new(&mut store, Received::new(reader, tell))?,
        FutureReader::new(&mut store, told)?,
    ))
}

/// There is no connection, or somebody has this direction of it.
fn unable(store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<Told> {
    let told = async { Ok::<_, wasmtime::Error>(Err(ErrorCode::InvalidState)) };
    FutureReader::new(store, told)
}

fn local(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let local = guest.table.get(&this)?.0.local();
    Ok(answer(local.map(Into::into)))
}

fn remote(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let remote = guest.table.get(&this)?.0.remote();
    Ok(answer(remote.map(Into::into)))
}
