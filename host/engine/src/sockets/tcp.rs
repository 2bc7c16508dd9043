//! `wasi:sockets/tcp` of 0.2: each operation in two steps.

use super::stream::{Input, Output};
use super::{Answer, answer, function, network, resource, set, told};
use crate::guest::Guest;
use osier_sockets::Socket;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::ShutdownType;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, Network, Pollable, subscribe,
};

const INTERFACE: &str = "wasi:sockets/tcp@0.2.12";
const CREATE: &str = "wasi:sockets/tcp-create-socket@0.2.12";

/// A socket.
struct Tcp {
    socket: Socket,
    step: Option<Step>,
    /// How connecting went, until the program asks.
    outcome: Option<Result<(), osier_sockets::Fault>>,
}

/// What was begun, and the program has not heard how it went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Bind,
    Connect(SocketAddr),
    Listen,
}

/// The two streams of a connection.
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
type This = (Resource<Tcp>,);
type Asked = (Resource<Tcp>, Resource<Network>, IpSocketAddress);

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut create = linker.instance(CREATE)?;
    function(&mut create, "create-tcp-socket", create_socket)?;
    let mut tcp = linker.instance(INTERFACE)?;
    resource::<Tcp>(&mut tcp, "tcp-socket")?;
    function(&mut tcp, "[method]tcp-socket.start-bind", start_bind)?;
    function(&mut tcp, "[method]tcp-socket.finish-bind", finish_bind)?;
    function(&mut tcp, "[method]tcp-socket.start-connect", start_connect)?;
    function(
        &mut tcp,
        "[method]tcp-socket.finish-connect",
        finish_connect,
    )?;
    function(&mut tcp, "[method]tcp-socket.start-listen", start_listen)?;
    function(&mut tcp, "[method]tcp-socket.finish-listen", finish_listen)?;
    function(&mut tcp, "[method]tcp-socket.accept", accept)?;
    state(&mut tcp)?;
    options(&mut tcp)
}

fn state(tcp: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    function(tcp, "[method]tcp-socket.local-address", local_address)?;
    function(tcp, "[method]tcp-socket.remote-address", remote_address)?;
    function(tcp, "[method]tcp-socket.is-listening", is_listening)?;
    function(tcp, "[method]tcp-socket.address-family", family)?;
    function(tcp, "[method]tcp-socket.subscribe", subscribed)?;
    function(tcp, "[method]tcp-socket.shutdown", shutdown)?;
    Ok(())
}

/// Defines a pair of functions for one option.
macro_rules! option {
    ($tcp:expr, $name:literal, $field:ident) => {
        function(
            $tcp,
            concat!("[method]tcp-socket.", $name),
            |guest, (this,): This| -> Answer<_> {
                Ok(Ok(guest.table.get(&this)?.socket.options.$field))
            },
        )?;
        function(
            $tcp,
            concat!("[method]tcp-socket.set-", $name),
            |guest, (this, value): (Resource<Tcp>, _)| {
                Ok(set(
                    &mut guest.table.get_mut(&this)?.socket.options.$field,
                    value,
                ))
            },
        )?;
    };
}

fn options(tcp: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    option!(tcp, "keep-alive-idle-time", idle);
    option!(tcp, "keep-alive-interval", interval);
    option!(tcp, "keep-alive-count", count);
    option!(tcp, "hop-limit", hops);
    option!(tcp, "receive-buffer-size", receive);
    option!(tcp, "send-buffer-size", send);
    function(
        tcp,
        "[method]tcp-socket.set-listen-backlog-size",
        set_backlog,
    )?;
    function(tcp, "[method]tcp-socket.keep-alive-enabled", keep_alive)?;
    function(
        tcp,
        "[method]tcp-socket.set-keep-alive-enabled",
        set_keep_alive,
    )
}

fn create_socket(guest: &mut Guest, (family,): (IpAddressFamily,)) -> Answer<Resource<Tcp>> {
    let network = match network(guest) {
        Ok(network) => network,
        Err(denied) => return Ok(Err(denied)),
    };
    let socket = Tcp {
        socket: Socket::new(network, super::family(family)),
        step: None,
        outcome: None,
    };
    Ok(Ok(guest.table.push(socket)?))
}

impl Tcp {
    /// No operation is under way.
    fn at_rest(&self) -> Result<(), ErrorCode> {
        match self.step {
            Some(_) => Err(ErrorCode::ConcurrencyConflict),
            None => Ok(()),
        }
    }

    /// The step that was begun ends.
    fn end(&mut self, step: Step) -> Result<(), ErrorCode> {
        if self.step != Some(step) {
            return Err(ErrorCode::NotInProgress);
        }
        self.step = None;
        Ok(())
    }

    /// Polls a connection that is being opened.
    fn poll_connect(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.socket.is_connecting()
            && let Poll::Ready(outcome) = self.socket.poll_connect(context)
        {
            self.outcome = Some(outcome);
        }
        match self.socket.is_connecting() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

fn start_bind(guest: &mut Guest, (this, right, address): Asked) -> Answer<()> {
    guest.table.get(&right)?;
    let address = SocketAddr::from(address);
    let tcp = guest.table.get_mut(&this)?;
    if let Err(busy) = tcp.at_rest() {
        return Ok(Err(busy));
    }
    let bound = tcp.socket.bind(address);
    tcp.step = bound.is_ok().then_some(Step::Bind);
    Ok(bound.map_err(|fault| told(guest, &format!("bind {address}"), &fault)))
}

fn finish_bind(guest: &mut Guest, (this,): This) -> Answer<()> {
    Ok(guest.table.get_mut(&this)?.end(Step::Bind))
}

fn start_connect(guest: &mut Guest, (this, right, address): Asked) -> Answer<()> {
    guest.table.get(&right)?;
    let to = SocketAddr::from(address);
    let tcp = guest.table.get_mut(&this)?;
    if let Err(busy) = tcp.at_rest() {
        return Ok(Err(busy));
    }
    let begun = tcp.socket.connect(to);
    tcp.step = begun.is_ok().then_some(Step::Connect(to));
    Ok(begun.map_err(|fault| told(guest, &format!("connect {to}"), &fault)))
}

fn finish_connect(guest: &mut Guest, (this,): This) -> Answer<Streams> {
    let tcp = guest.table.get_mut(&this)?;
    let Some(Step::Connect(to)) = tcp.step else {
        return Ok(Err(ErrorCode::NotInProgress));
    };
    let _ready = tcp.poll_connect(&mut Context::from_waker(Waker::noop()));
    let Some(outcome) = tcp.outcome.take() else {
        return Ok(Err(ErrorCode::WouldBlock));
    };
    tcp.step = None;
    match outcome {
        Ok(()) => streams(guest, &this),
        Err(fault) => Ok(Err(told(guest, &format!("connect {to}"), &fault))),
    }
}

fn streams(guest: &mut Guest, this: &Resource<Tcp>) -> Answer<Streams> {
    let Some((reader, writer)) = guest.table.get(this)?.socket.directions() else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    let input: DynInputStream = Box::new(Input(reader));
    let output: DynOutputStream = Box::new(Output(writer));
    Ok(Ok((
        guest.table.push_child(input, this)?,
        guest.table.push_child(output, this)?,
    )))
}

fn start_listen(guest: &mut Guest, (this,): This) -> Answer<()> {
    let tcp = guest.table.get_mut(&this)?;
    if let Err(busy) = tcp.at_rest() {
        return Ok(Err(busy));
    }
    if !tcp.socket.is_bound() {
        return Ok(Err(ErrorCode::InvalidState));
    }
    tcp.step = Some(Step::Listen);
    Ok(Ok(()))
}

fn finish_listen(guest: &mut Guest, (this,): This) -> Answer<()> {
    let tcp = guest.table.get_mut(&this)?;
    if let Err(idle) = tcp.end(Step::Listen) {
        return Ok(Err(idle));
    }
    Ok(answer(tcp.socket.listen()))
}

fn accept(
    guest: &mut Guest,
    (this,): This,
) -> Answer<(
    Resource<Tcp>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
)> {
    let socket = match guest.table.get_mut(&this)?.socket.accept() {
        Ok(Some(socket)) => socket,
        Ok(None) => return Ok(Err(ErrorCode::WouldBlock)),
        Err(fault) => return Ok(Err(super::code(fault.kind))),
    };
    let accepted = guest.table.push(Tcp {
        socket,
        step: None,
        outcome: None,
    })?;
    let streams = streams(guest, &accepted)?;
    Ok(streams.map(|(input, output)| (accepted, input, output)))
}

fn local_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let tcp = guest.table.get(&this)?;
    Ok(match tcp.step {
        Some(Step::Bind) => Err(ErrorCode::InvalidState),
        _ => answer(tcp.socket.local().map(Into::into)),
    })
}

fn remote_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    let remote = guest.table.get(&this)?.socket.remote();
    Ok(answer(remote.map(Into::into)))
}

fn is_listening(guest: &mut Guest, (this,): This) -> wasmtime::Result<bool> {
    Ok(guest.table.get(&this)?.socket.is_listening())
}

fn family(guest: &mut Guest, (this,): This) -> wasmtime::Result<IpAddressFamily> {
    Ok(super::told_family(guest.table.get(&this)?.socket.family()))
}

fn set_backlog(guest: &mut Guest, (this, value): (Resource<Tcp>, u64)) -> Answer<()> {
    let socket = &mut guest.table.get_mut(&this)?.socket;
    if socket.is_listening() {
        return Ok(Err(ErrorCode::NotSupported));
    }
    Ok(answer(socket.set_backlog(value)))
}

fn keep_alive(guest: &mut Guest, (this,): This) -> Answer<bool> {
    Ok(Ok(guest.table.get(&this)?.socket.options.keep_alive))
}

fn set_keep_alive(guest: &mut Guest, (this, value): (Resource<Tcp>, bool)) -> Answer<()> {
    guest.table.get_mut(&this)?.socket.options.keep_alive = value;
    Ok(Ok(()))
}

fn subscribed(guest: &mut Guest, (this,): This) -> wasmtime::Result<Resource<DynPollable>> {
    subscribe(&mut guest.table, this)
}

fn shutdown(guest: &mut Guest, (this, how): (Resource<Tcp>, ShutdownType)) -> Answer<()> {
    let Some((reader, writer)) = guest.table.get(&this)?.socket.directions() else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    if matches!(how, ShutdownType::Receive | ShutdownType::Both) {
        reader.shut();
    }
    if matches!(how, ShutdownType::Send | ShutdownType::Both) {
        writer.shut();
    }
    Ok(Ok(()))
}

#[wasmtime_wasi::async_trait]
impl Pollable for Tcp {
    async fn ready(&mut self) {
        poll_fn(|context| match self.socket.listener() {
            Some(listener) => listener.poll_ready(context),
            None => self.poll_connect(context),
        })
        .await;
    }
}
