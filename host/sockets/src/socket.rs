//! A socket for connections, and what it has become: what the versions of `wasi:sockets` have in common.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use osier_process::Boxed;
use tokio::io::DuplexStream;

use crate::arrived::Incoming;
use crate::fault::{Fault, Kind};
use crate::listener::Listener;
use crate::network::{Bound, Network};
use crate::options::Options;
use crate::ports::Protocol;
use crate::stream::{Kept, Reader, Writer, halves};
use crate::{BACKLOG, Family};

/// A socket of a pod.
pub struct Socket {
    network: Arc<Network>,
    family: Family,
    /// What the program set.
    pub options: Options,
    backlog: usize,
    state: State,
}

enum State {
    /// It has no port.
    New,
    /// A port.
    Bound(Bound),
    /// It takes connections; the listener may be with somebody else.
    Listening(SocketAddr, Option<Listener>),
    /// A connection is being opened.
    Connecting(Box<Attempt>),
    /// A connection.
    Connected(Box<Connected>),
    /// It came to nothing and is good for nothing.
    Over,
}

struct Attempt {
    bound: Bound,
    to: SocketAddr,
    under_way: Boxed<'static, Result<DuplexStream, Fault>>,
}

struct Connected {
    local: SocketAddr,
    remote: SocketAddr,
    reader: Option<Reader>,
    writer: Option<Writer>,
    _kept: Kept,
}

fn state() -> Fault {
    Fault::new(Kind::State, "the socket is not in the state for it")
}

fn invalid() -> Fault {
    Fault::new(Kind::Invalid, "the address is none for this socket")
}

fn is_multicast(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

impl Socket {
    /// A new one.
    #[must_use]
    pub fn new(network: Arc<Network>, family: Family) -> Self {
        Self {
            network,
            family,
            options: Options::default(),
            backlog: BACKLOG,
            state: State::New,
        }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Takes a port.
    ///
    /// # Errors
    /// It has one, or cannot have this one.
    pub fn bind(&mut self, address: SocketAddr) -> Result<(), Fault> {
        if !matches!(self.state, State::New) {
            return Err(state());
        }
        if !self.family.has(address) || is_multicast(address.ip()) {
            return Err(invalid());
        }
        self.state = State::Bound(self.network.bind(Protocol::Tcp, address)?);
        Ok(())
    }

    /// Whether it has a port and is nothing else yet.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(_))
    }

    /// The port that it has, or any.
    fn port(&mut self) -> Result<Bound, Fault> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Bound(bound) => Ok(bound),
            State::New => {
                let bound = self.network.bind(Protocol::Tcp, self.family.any());
                bound.inspect_err(|_| self.state = State::New)
            }
            other => {
                self.state = other;
                Err(state())
            }
        }
    }

    /// Begins to connect; how that goes, [`Socket::poll_connect`] tells.
    ///
    /// # Errors
    /// It cannot connect there, or not any more.
    pub fn connect(&mut self, to: SocketAddr) -> Result<(), Fault> {
        let unusable = to.port() == 0 || to.ip().is_unspecified() || is_multicast(to.ip());
        if unusable || !self.family.has(to) {
            return Err(invalid());
        }
        let bound = self.port()?;
        let under_way = self.network.connect(&bound, to);
        self.state = State::Connecting(Box::new(Attempt {
            bound,
            to,
            under_way,
        }));
        Ok(())
    }

    /// Whether a connection is being opened.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    /// Ready when the connection stands, with the other side, or has failed.
    ///
    /// # Errors
    /// Why there is none; the socket is good for nothing then.
    pub fn poll_connect(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let State::Connecting(attempt) = &mut self.state else {
            return Poll::Ready(Err(state()));
        };
        let outcome = ready!(attempt.under_way.as_mut().poll(context));
        if let State::Connecting(attempt) = std::mem::replace(&mut self.state, State::Over) {
            let Attempt { bound, to, .. } = *attempt;
            let local = self.as_seen(bound.address(), to);
            self.join(outcome?, (local, to), Arc::new(bound));
        }
        Poll::Ready(Ok(()))
    }

    fn join(
        &mut self,
        stream: DuplexStream,
        (local, remote): (SocketAddr, SocketAddr),
        kept: Kept,
    ) {
        let (reader, writer) = halves(stream, self.network.tasks(), &kept);
        self.state = State::Connected(Box::new(Connected {
            local,
            remote,
            reader: Some(reader),
            writer: Some(writer),
            _kept: kept,
        }));
    }

    /// The address that a connection has on this side.
    fn as_seen(&self, bound: SocketAddr, to: SocketAddr) -> SocketAddr {
        let own = self.network.address();
        let address = match (bound.ip(), to.ip()) {
            (address, _) if !address.is_unspecified() => address,
            (_, remote) if remote.is_loopback() => remote,
            (_, IpAddr::V4(_)) => IpAddr::V4(own),
            (_, IpAddr::V6(_)) => own.to_ipv6_mapped().into(),
        };
        SocketAddr::new(address, bound.port())
    }

    /// How many connections may wait to be accepted.
    ///
    /// # Errors
    /// It is none, or too late.
    pub fn set_backlog(&mut self, wanted: u64) -> Result<(), Fault> {
        match (&self.state, usize::try_from(wanted)) {
            (State::Connected(_) | State::Connecting(_), _) => Err(state()),
            (_, Ok(0)) => Err(invalid()),
            (_, wanted) => {
                self.backlog = wanted.unwrap_or(BACKLOG);
                Ok(())
            }
        }
    }

    /// Takes connections from now on, at the port that it has or any.
    ///
    /// # Errors
    /// It cannot listen any more, or there is no port.
    pub fn listen(&mut self) -> Result<(), Fault> {
        let listener = Listener::on(self.port()?, self.backlog);
        self.state = State::Listening(listener.address(), Some(listener));
        Ok(())
    }

    /// Whether it takes connections.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(..))
    }

    /// What takes its connections.
    pub fn listener(&mut self) -> Option<&mut Listener> {
        match &mut self.state {
            State::Listening(_, listener) => listener.as_mut(),
            _ => None,
        }
    }

    /// The same, for who accepts by himself; the port is free when he drops it.
    pub fn take_listener(&mut self) -> Option<Accepting> {
        let State::Listening(address, listener) = &mut self.state else {
            return None;
        };
        Some(Accepting {
            listener: listener.take()?,
            like: Template {
                network: Arc::clone(&self.network),
                family: self.family,
                options: self.options,
                address: *address,
            },
        })
    }

    /// The next connection, if one waits.
    ///
    /// # Errors
    /// It does not listen.
    pub fn accept(&mut self) -> Result<Option<Self>, Fault> {
        let State::Listening(address, Some(listener)) = &mut self.state else {
            return Err(state());
        };
        let like = Template {
            network: Arc::clone(&self.network),
            family: self.family,
            options: self.options,
            address: *address,
        };
        Ok(listener.take().map(|incoming| like.socket(incoming)))
    }

    /// The address on this side.
    ///
    /// # Errors
    /// It has none.
    pub fn local(&self) -> Result<SocketAddr, Fault> {
        match &self.state {
            State::Bound(bound) => Ok(bound.address()),
            State::Listening(address, _) => Ok(*address),
            State::Connected(connected) => Ok(connected.local),
            _ => Err(state()),
        }
    }

    /// The address on the other side.
    ///
    /// # Errors
    /// It is not connected.
    pub fn remote(&self) -> Result<SocketAddr, Fault> {
        match &self.state {
            State::Connected(connected) => Ok(connected.remote),
            _ => Err(state()),
        }
    }

    /// Both directions of its connection, which it keeps to shut them.
    #[must_use]
    pub fn directions(&self) -> Option<(Reader, Writer)> {
        let State::Connected(connected) = &self.state else {
            return None;
        };
        connected.reader.clone().zip(connected.writer.clone())
    }

    /// What comes, once.
    pub fn take_reader(&mut self) -> Option<Reader> {
        match &mut self.state {
            State::Connected(connected) => connected.reader.take(),
            _ => None,
        }
    }

    /// What goes, once.
    pub fn take_writer(&mut self) -> Option<Writer> {
        match &mut self.state {
            State::Connected(connected) => connected.writer.take(),
            _ => None,
        }
    }
}

/// What accepted sockets have from the one that listens.
struct Template {
    network: Arc<Network>,
    family: Family,
    options: Options,
    address: SocketAddr,
}

impl Template {
    fn socket(&self, incoming: Incoming) -> Socket {
        let mut socket = Socket::new(Arc::clone(&self.network), self.family);
        socket.options = self.options;
        let local = socket.as_seen(self.address, incoming.peer);
        let ends = (self.family.seen(local), self.family.seen(incoming.peer));
        socket.join(incoming.stream, ends, Arc::new(incoming.held));
        socket
    }
}

/// A listener with what its sockets are made from.
pub struct Accepting {
    listener: Listener,
    like: Template,
}

impl Accepting {
    /// Ready when a connection waits.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.listener.poll_ready(context)
    }

    /// The next connection, if one waits.
    pub fn accept(&mut self) -> Option<Socket> {
        let incoming = self.listener.take()?;
        Some(self.like.socket(incoming))
    }
}

impl Family {
    /// Any port at any address.
    #[must_use]
    pub fn any(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            Self::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }

    /// Whether an address is of the family.
    #[must_use]
    pub fn has(self, address: SocketAddr) -> bool {
        (self == Self::V4) == address.is_ipv4()
    }

    /// An address as a socket of this family has it: one of IPv6 sees others by mapped addresses.
    #[must_use]
    pub fn seen(self, address: SocketAddr) -> SocketAddr {
        match (self, address.ip()) {
            (Self::V6, IpAddr::V4(ip)) => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
            }
            _ => address,
        }
    }
}
