//! `wasi:sockets/tcp`: a socket and what it has become.

use super::options::{Options, set};
use super::stream::{Reader, Writer, halves};
use super::{Answer, as_seen, function, network, resource, seen, told};
use crate::guest::Guest;
use osier_process::Boxed;
use osier_sockets::{BACKLOG, Bound, Fault, Held, Listener, Network as PodNetwork, Protocol};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::DuplexStream;
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
    family: IpAddressFamily,
    options: Options,
    backlog: usize,
    state: State,
}

/// What a socket has become.
enum State {
    /// It has no port.
    New,
    /// A port, about which the program has not heard yet.
    Binding(Bound),
    /// A port.
    Bound(Bound),
    /// It will listen when the program asks how that went.
    Starting(Bound),
    /// It takes connections.
    Listening(Listener),
    /// A connection is being opened.
    Connecting {
        bound: Bound,
        to: SocketAddr,
        under_way: Boxed<'static, Result<DuplexStream, Fault>>,
    },
    /// A connection was opened, or not, and the program has not heard yet.
    Decided {
        bound: Bound,
        to: SocketAddr,
        outcome: Result<DuplexStream, Fault>,
    },
    /// A connection.
    Connected(Box<Connected>),
    /// It came to nothing and is good for nothing.
    Over,
}

struct Connected {
    local: SocketAddr,
    remote: SocketAddr,
    reader: Reader,
    writer: Writer,
    /// The port that it was opened from.
    _bound: Option<Bound>,
    /// Its place among the pod's sockets, if it was accepted.
    _held: Option<Held>,
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
            |guest, (this,): This| -> Answer<_> { Ok(Ok(guest.table.get(&this)?.options.$field)) },
        )?;
        function(
            $tcp,
            concat!("[method]tcp-socket.set-", $name),
            |guest, (this, value): (Resource<Tcp>, _)| {
                Ok(set(&mut guest.table.get_mut(&this)?.options.$field, value))
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
    if let Err(denied) = network(guest) {
        return Ok(Err(denied));
    }
    let socket = Tcp {
        family,
        options: Options::default(),
        backlog: BACKLOG,
        state: State::New,
    };
    Ok(Ok(guest.table.push(socket)?))
}

impl Tcp {
    fn is_of(&self, address: SocketAddr) -> bool {
        matches!(self.family, IpAddressFamily::Ipv4) == address.is_ipv4()
    }

    /// Takes the state out, to be replaced.
    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    /// No operation is under way.
    fn at_rest(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Binding(_)
            | State::Starting(_)
            | State::Connecting { .. }
            | State::Decided { .. } => Err(ErrorCode::ConcurrencyConflict),
            _ => Ok(()),
        }
    }

    /// Polls a connection that is being opened.
    fn poll_connect(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let State::Connecting { under_way, .. } = &mut self.state else {
            return Poll::Ready(());
        };
        let Poll::Ready(outcome) = under_way.as_mut().poll(context) else {
            return Poll::Pending;
        };
        if let State::Connecting { bound, to, .. } = self.take() {
            self.state = State::Decided { bound, to, outcome };
        }
        Poll::Ready(())
    }
}

fn start_bind(guest: &mut Guest, (this, right, address): Asked) -> Answer<()> {
    guest.table.get(&right)?;
    let address = SocketAddr::from(address);
    let socket = guest.table.get(&this)?;
    if let Err(busy) = socket.at_rest() {
        return Ok(Err(busy));
    }
    if !matches!(socket.state, State::New) {
        return Ok(Err(ErrorCode::InvalidState));
    }
    if !socket.is_of(address) || is_multicast(address.ip()) {
        return Ok(Err(ErrorCode::InvalidArgument));
    }
    let bound = network(guest).map(|network| network.bind(Protocol::Tcp, address));
    Ok(match bound {
        Err(denied) => Err(denied),
        Ok(Err(fault)) => Err(told(guest, &format!("bind {address}"), &fault)),
        Ok(Ok(bound)) => {
            guest.table.get_mut(&this)?.state = State::Binding(bound);
            Ok(())
        }
    })
}

fn is_multicast(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn finish_bind(guest: &mut Guest, (this,): This) -> Answer<()> {
    let socket = guest.table.get_mut(&this)?;
    match socket.take() {
        State::Binding(bound) => {
            socket.state = State::Bound(bound);
            Ok(Ok(()))
        }
        other => {
            socket.state = other;
            Ok(Err(ErrorCode::NotInProgress))
        }
    }
}

fn start_connect(guest: &mut Guest, (this, right, address): Asked) -> Answer<()> {
    guest.table.get(&right)?;
    let to = SocketAddr::from(address);
    let bound = match port_for(guest, &this, to)? {
        Ok(bound) => bound,
        Err(code) => return Ok(Err(code)),
    };
    let socket = guest.table.get_mut(&this)?;
    match bound {
        Err(fault) => Ok(Err(told(guest, &format!("connect {to}"), &fault))),
        Ok((network, bound)) => {
            let under_way = network.connect(&bound, to);
            socket.state = State::Connecting {
                bound,
                to,
                under_way,
            };
            Ok(Ok(()))
        }
    }
}

/// The port to connect from: the socket's, or any, if it may connect there at all.
fn port_for(
    guest: &mut Guest,
    this: &Resource<Tcp>,
    to: SocketAddr,
) -> Answer<Result<(Arc<PodNetwork>, Bound), Fault>> {
    let network = match network(guest) {
        Ok(network) => network,
        Err(denied) => return Ok(Err(denied)),
    };
    let socket = guest.table.get_mut(this)?;
    if let Err(busy) = socket.at_rest() {
        return Ok(Err(busy));
    }
    let unusable = to.port() == 0 || to.ip().is_unspecified() || is_multicast(to.ip());
    if unusable || !socket.is_of(to) {
        return Ok(Err(ErrorCode::InvalidArgument));
    }
    match socket.take() {
        State::Bound(bound) => Ok(Ok(Ok((network, bound)))),
        other => {
            let is_new = matches!(other, State::New);
            socket.state = other;
            if !is_new {
                return Ok(Err(ErrorCode::InvalidState));
            }
            let bound = network.bind(Protocol::Tcp, any(to));
            Ok(Ok(bound.map(|bound| (network, bound))))
        }
    }
}

/// Any port, of the family of another address.
fn any(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

fn finish_connect(guest: &mut Guest, (this,): This) -> Answer<Streams> {
    let socket = guest.table.get_mut(&this)?;
    let _ready = socket.poll_connect(&mut Context::from_waker(Waker::noop()));
    let (bound, to, outcome) = match socket.take() {
        State::Decided { bound, to, outcome } => (bound, to, outcome),
        waiting @ State::Connecting { .. } => {
            socket.state = waiting;
            return Ok(Err(ErrorCode::WouldBlock));
        }
        other => {
            socket.state = other;
            return Ok(Err(ErrorCode::NotInProgress));
        }
    };
    let stream = match outcome {
        Ok(stream) => stream,
        Err(fault) => return Ok(Err(told(guest, &format!("connect {to}"), &fault))),
    };
    let local = as_seen(guest, bound.address(), to);
    let ends = (local, to);
    let connected = connected(guest, ends, stream, (Some(bound), None));
    let (reader, writer) = (connected.reader.clone(), connected.writer.clone());
    guest.table.get_mut(&this)?.state = State::Connected(Box::new(connected));
    Ok(Ok(streams(guest, &this, (reader, writer))?))
}

fn connected(
    guest: &Guest,
    (local, remote): (SocketAddr, SocketAddr),
    stream: DuplexStream,
    (bound, held): (Option<Bound>, Option<Held>),
) -> Connected {
    let tasks = guest
        .network
        .as_ref()
        .map(|network| network.tasks().clone());
    let (reader, writer) = halves(stream, &tasks.unwrap_or_default());
    Connected {
        local,
        remote,
        reader,
        writer,
        _bound: bound,
        _held: held,
    }
}

fn streams(
    guest: &mut Guest,
    socket: &Resource<Tcp>,
    (reader, writer): (Reader, Writer),
) -> wasmtime::Result<Streams> {
    let (input, output): (DynInputStream, DynOutputStream) = (Box::new(reader), Box::new(writer));
    Ok((
        guest.table.push_child(input, socket)?,
        guest.table.push_child(output, socket)?,
    ))
}

fn start_listen(guest: &mut Guest, (this,): This) -> Answer<()> {
    let socket = guest.table.get_mut(&this)?;
    if let Err(busy) = socket.at_rest() {
        return Ok(Err(busy));
    }
    match socket.take() {
        State::Bound(bound) => {
            socket.state = State::Starting(bound);
            Ok(Ok(()))
        }
        other => {
            socket.state = other;
            Ok(Err(ErrorCode::InvalidState))
        }
    }
}

fn finish_listen(guest: &mut Guest, (this,): This) -> Answer<()> {
    let socket = guest.table.get_mut(&this)?;
    match socket.take() {
        State::Starting(bound) => {
            socket.state = State::Listening(Listener::on(bound, socket.backlog));
            Ok(Ok(()))
        }
        other => {
            socket.state = other;
            Ok(Err(ErrorCode::NotInProgress))
        }
    }
}

fn accept(
    guest: &mut Guest,
    (this,): This,
) -> Answer<(
    Resource<Tcp>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
)> {
    let socket = guest.table.get_mut(&this)?;
    let State::Listening(listener) = &mut socket.state else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    let Some(incoming) = listener.take() else {
        return Ok(Err(ErrorCode::WouldBlock));
    };
    let (family, options, address) = (socket.family, socket.options, listener.address());
    let local = as_seen(guest, address, incoming.peer);
    let ends = (seen(family, local), seen(family, incoming.peer));
    let connected = connected(guest, ends, incoming.stream, (None, Some(incoming.held)));
    let halves = (connected.reader.clone(), connected.writer.clone());
    let accepted = guest.table.push(Tcp {
        family,
        options,
        backlog: BACKLOG,
        state: State::Connected(Box::new(connected)),
    })?;
    let (input, output) = streams(guest, &accepted, halves)?;
    Ok(Ok((accepted, input, output)))
}

fn local_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    Ok(match &guest.table.get(&this)?.state {
        State::Bound(bound) | State::Starting(bound) => Ok(bound.address()),
        State::Listening(listener) => Ok(listener.address()),
        State::Connected(connected) => Ok(connected.local),
        _ => Err(ErrorCode::InvalidState),
    }
    .map(Into::into))
}

fn remote_address(guest: &mut Guest, (this,): This) -> Answer<IpSocketAddress> {
    Ok(match &guest.table.get(&this)?.state {
        State::Connected(connected) => Ok(connected.remote.into()),
        _ => Err(ErrorCode::InvalidState),
    })
}

fn is_listening(guest: &mut Guest, (this,): This) -> wasmtime::Result<bool> {
    let socket = guest.table.get(&this)?;
    Ok(matches!(socket.state, State::Listening(_)))
}

fn family(guest: &mut Guest, (this,): This) -> wasmtime::Result<IpAddressFamily> {
    Ok(guest.table.get(&this)?.family)
}

fn set_backlog(guest: &mut Guest, (this, value): (Resource<Tcp>, u64)) -> Answer<()> {
    let socket = guest.table.get_mut(&this)?;
    match (&socket.state, usize::try_from(value)) {
        (State::Connected(_) | State::Connecting { .. }, _) => Ok(Err(ErrorCode::InvalidState)),
        (State::Listening(_), _) => Ok(Err(ErrorCode::NotSupported)),
        (_, wanted) => Ok(set(&mut socket.backlog, wanted.unwrap_or(BACKLOG))),
    }
}

fn keep_alive(guest: &mut Guest, (this,): This) -> Answer<bool> {
    Ok(Ok(guest.table.get(&this)?.options.keep_alive))
}

fn set_keep_alive(guest: &mut Guest, (this, value): (Resource<Tcp>, bool)) -> Answer<()> {
    guest.table.get_mut(&this)?.options.keep_alive = value;
    Ok(Ok(()))
}

fn subscribed(guest: &mut Guest, (this,): This) -> wasmtime::Result<Resource<DynPollable>> {
    subscribe(&mut guest.table, this)
}

fn shutdown(guest: &mut Guest, (this, how): (Resource<Tcp>, ShutdownType)) -> Answer<()> {
    let State::Connected(connected) = &guest.table.get(&this)?.state else {
        return Ok(Err(ErrorCode::InvalidState));
    };
    if matches!(how, ShutdownType::Receive | ShutdownType::Both) {
        connected.reader.shut();
    }
    if matches!(how, ShutdownType::Send | ShutdownType::Both) {
        connected.writer.shut();
    }
    Ok(Ok(()))
}

#[wasmtime_wasi::async_trait]
impl Pollable for Tcp {
    async fn ready(&mut self) {
        poll_fn(|context| match &mut self.state {
            State::Listening(listener) => listener.poll_ready(context),
            _ => self.poll_connect(context),
        })
        .await;
    }
}
