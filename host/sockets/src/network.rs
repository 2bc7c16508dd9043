//! One pod's network: its addresses, its ports, and the way out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use osier_process::{Boxed, Tasks};
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::arrived::{Count, Datagram, Held, Incoming};
use crate::fault::{Fault, Kind};
use crate::flow::{self, Flow, REFUSED};
use crate::names::{Found, Names};
use crate::ports::{Ports, Protocol, Reach};
use crate::{BUFFER, DATAGRAM, DATAGRAMS, FLOWS};

/// How long a connection to elsewhere may take until it stands.
const CONNECT: Duration = Duration::from_secs(30);

/// Where something goes that leaves the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address that the program gave.
    pub address: SocketAddr,
    /// The name that the address stands for, if it does only that.
    pub name: Option<Arc<str>>,
}

impl Destination {
    /// `HOST:PORT`, the host a name where there is one.
    pub fn authority(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}:{}", self.address.port()),
            None => self.address.to_string(),
        }
    }
}

/// The way out of a pod.
pub trait Way: Send + Sync {
    /// Joins a connection, or datagrams as a stream, to where they go; resolves when that stands. The bytes flow on by themselves.
    fn connect(
        &self,
        to: Destination,
        protocol: Protocol,
        stream: DuplexStream,
    ) -> Boxed<'static, Result<(), Fault>>;

    /// Serves a connection within the pod to a port on which nobody listens by a socket: what answers requests does so there too.
    ///
    /// # Errors
    /// Nothing serves the port.
    fn serve(&self, port: u16, stream: DuplexStream) -> Result<(), Fault>;

    /// What a name stands for.
    ///
    /// # Errors
    /// Nothing that the pod may know.
    fn lookup(&self, name: &str) -> Result<Found, Fault>;
}

/// Who hands a connection or a datagram in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The pod itself, or who acts for its owner: a probe, a forwarded port.
    Within(SocketAddr),
    /// Anybody else, with the address as far as it is known.
    Elsewhere(SocketAddr),
}

impl Caller {
    fn address(self) -> SocketAddr {
        match self {
            Self::Within(address) | Self::Elsewhere(address) => address,
        }
    }

    fn is_within(self) -> bool {
        matches!(self, Self::Within(_))
    }
}

/// The network of one pod, which its containers share.
pub struct Network {
    address: Ipv4Addr,
    tcp: Mutex<Ports<mpsc::Sender<Incoming>>>,
    udp: Mutex<Ports<mpsc::Sender<Datagram>>>,
    /// By the port here and the other side.
    flows: Mutex<HashMap<Ends, Flow>>,
    names: Mutex<Names>,
    open: Count,
    way: Arc<dyn Way>,
    tasks: Tasks,
}

/// A port of the pod and the other side that it exchanges datagrams with.
type Ends = (u16, SocketAddr);

/// A port that is taken, until it is dropped.
pub struct Bound {
    network: Arc<Network>,
    protocol: Protocol,
    /// As the program asked for it, with the port that it got.
    address: SocketAddr,
    _held: Held,
}

impl Bound {
    /// The local address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn network(&self) -> &Arc<Network> {
        &self.network
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let port = self.address.port();
        match self.protocol {
            Protocol::Tcp => self.network.tcp.lock().give_back(port),
            Protocol::Udp => self.network.udp.lock().give_back(port),
        }
    }
}

impl Network {
    /// The network of a pod with this address.
    pub fn new(address: Ipv4Addr, way: Arc<dyn Way>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self {
            address,
            tcp: Mutex::default(),
            udp: Mutex::default(),
            flows: Mutex::default(),
            names: Mutex::default(),
            open: Count::default(),
            way,
            tasks,
        })
    }

    /// The pod's address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Where what must outlive a socket is done.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Takes a port at one of the pod's addresses; 0 is any.
    ///
    /// # Errors
    /// The address is not the pod's, or the port is taken.
    pub fn bind(self: &Arc<Self>, protocol: Protocol, address: SocketAddr) -> Result<Bound, Fault> {
        let reach = self.reach(address.ip()).ok_or_else(|| {
            let (asked, own) = (address.ip(), self.address);
            let reason =
                format!("{asked} is no address of this pod; bind 0.0.0.0, {own} or localhost");
            Fault::new(Kind::NotBindable, reason)
        })?;
        let held = self.open.hold()?;
        let taken = match protocol {
            Protocol::Tcp => self.tcp.lock().take(address.port(), reach),
            Protocol::Udp => self.udp.lock().take(address.port(), reach),
        };
        let port = taken.ok_or_else(|| {
            let reason = format!("port {} is taken in this pod", address.port());
            Fault::new(Kind::InUse, reason)
        })?;
        Ok(Bound {
            network: Arc::clone(self),
            protocol,
            address: SocketAddr::new(address.ip(), port),
            _held: held,
        })
    }

    fn reach(&self, address: IpAddr) -> Option<Reach> {
        let address = address.to_canonical();
        let is_own = address.is_unspecified() || address == IpAddr::V4(self.address);
        match address.is_loopback() {
            true => Some(Reach::Within),
            false => is_own.then_some(Reach::Everybody),
        }
    }

    /// Connections to a port that is taken go here from now on.
    pub(crate) fn take_connections(&self, port: u16, queue: mpsc::Sender<Incoming>) {
        self.tcp.lock().serve(port, queue);
    }

    /// Datagrams to a port that is taken go here from now on.
    pub(crate) fn take_datagrams(&self, port: u16, queue: mpsc::Sender<Datagram>) {
        self.udp.lock().serve(port, queue);
    }

    /// Whether an address is this pod.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.reach(address).is_some()
    }

    /// Whether somebody takes connections on the port.
    #[must_use]
    pub fn listens(&self, port: u16, within: bool) -> bool {
        self.tcp.lock().find(port, within).is_some()
    }

    /// Whether somebody takes datagrams on the port.
    #[must_use]
    pub fn receives(&self, port: u16) -> bool {
        self.udp.lock().find(port, false).is_some()
    }

    /// Opens a connection to a port of the pod.
    ///
    /// # Errors
    /// Nobody listens there, or cannot take one more.
    pub fn open(self: &Arc<Self>, port: u16, from: Caller) -> Result<DuplexStream, Fault> {
        let queue = self.tcp.lock().find(port, from.is_within()).cloned();
        let queue = queue.ok_or_else(|| {
            let reason = format!("nobody listens on port {port} of the pod");
            Fault::new(Kind::Refused, reason)
        })?;
        let held = self.open.hold()?;
        let (near, far) = tokio::io::duplex(BUFFER);
        let incoming = Incoming {
            stream: near,
            peer: from.address(),
            held,
        };
        let full = |_| {
            let reason = format!("too many connections wait to be accepted on port {port}");
            Fault::new(Kind::Refused, reason)
        };
        queue.try_send(incoming).map_err(full)?;
        Ok(far)
    }

    /// Connects from a port of the pod to an address.
    pub fn connect(
        self: &Arc<Self>,
        from: &Bound,
        to: SocketAddr,
    ) -> Boxed<'static, Result<DuplexStream, Fault>> {
        let (this, from) = (Arc::clone(self), from.address());
        Box::pin(async move {
            match this.is_own(to.ip()) {
                true => this.own(from, to),
                false => this.elsewhere(to).await,
            }
        })
    }

    fn own(self: &Arc<Self>, from: SocketAddr, to: SocketAddr) -> Result<DuplexStream, Fault> {
        let from = within(from, to);
        if self.listens(to.port(), true) {
            return self.open(to.port(), from);
        }
        let (near, far) = tokio::io::duplex(BUFFER);
        self.way.serve(to.port(), far)?;
        Ok(near)
    }

    async fn elsewhere(&self, to: SocketAddr) -> Result<DuplexStream, Fault> {
        let (near, far) = tokio::io::duplex(BUFFER);
        let to = self.destination(to);
        let authority = to.authority();
        let connected =
            tokio::time::timeout(CONNECT, self.way.connect(to, Protocol::Tcp, far)).await;
        let late = |_| {
            let reason = format!(
                "no connection to {authority} within {} s",
                CONNECT.as_secs()
            );
            Err(Fault::new(Kind::Timeout, reason))
        };
        connected.unwrap_or_else(late)?;
        Ok(near)
    }

    fn destination(&self, address: SocketAddr) -> Destination {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let name = self.names.lock().name(address.ip()).cloned();
        Destination { address, name }
    }

    /// The addresses of a name, for a program of the pod.
    ///
    /// # Errors
    /// It stands for nothing here.
    pub fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Fault> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]);
        }
        match self.way.lookup(&name)? {
            Found::Addresses(all) => Ok(all),
            Found::ByName => Ok(vec![self.names.lock().address(&name).into()]),
        }
    }

    /// Hands a datagram to a port of the pod. Where too many wait it is dropped, as on any network.
    ///
    /// # Errors
    /// Nobody takes datagrams there.
    pub fn deliver(&self, port: u16, from: Caller, data: Bytes) -> Result<(), Fault> {
        let queue = self.udp.lock().find(port, from.is_within()).cloned();
        let queue = queue.ok_or_else(|| {
            let reason = format!("nobody takes datagrams on port {port} of the pod");
            Fault::new(Kind::Refused, reason)
        })?;
        let address = from.address();
        if queue.try_send(Datagram { address, data }).is_err() {
            tracing::debug!(port, %address, "a datagram was dropped: too many wait");
        }
        Ok(())
    }

    /// Sends a datagram from a port of the pod.
    pub(crate) fn send(
        self: &Arc<Self>,
        from: SocketAddr,
        to: SocketAddr,
        data: Bytes,
    ) -> Result<(), Fault> {
        if data.len() > DATAGRAM {
            let reason = format!("a datagram has at most {DATAGRAM} bytes");
            return Err(Fault::new(Kind::TooLarge, reason));
        }
        if self.is_own(to.ip()) {
            let from = within(from, to);
            // Nobody there: such a datagram is lost, as on any network.
            let _lost = self.deliver(to.port(), from, data);
            return Ok(());
        }
        self.flow((from.port(), to), data)
    }

    /// Sends a datagram on the flow that there is, or on a new one.
    fn flow(self: &Arc<Self>, ends: Ends, data: Bytes) -> Result<(), Fault> {
        let mut flows = self.flows.lock();
        match flows.get(&ends) {
            Some(Flow::Open(queue)) if !queue.is_closed() => pass(queue, data),
            Some(Flow::Refused(fault, since)) if since.elapsed() < REFUSED => Err(fault.clone()),
            _ => {
                let (near, far) = tokio::io::duplex(BUFFER);
                let to = self.destination(ends.1);
                let connecting = self.way.connect(to, Protocol::Udp, far);
                pass(&self.begin(&mut flows, ends, (near, connecting))?, data)
            }
        }
    }

    /// Begins a flow to or from elsewhere.
    fn begin(
        self: &Arc<Self>,
        flows: &mut HashMap<Ends, Flow>,
        ends: Ends,
        (stream, connecting): (DuplexStream, Boxed<'static, Result<(), Fault>>),
    ) -> Result<mpsc::Sender<Bytes>, Fault> {
        if flows.len() >= FLOWS {
            flows.retain(|_, flow| !flow.is_over());
        }
        if flows.len() >= FLOWS {
            let reason = format!("the pod exchanges datagrams with {FLOWS} others already");
            return Err(Fault::new(Kind::TooMany, reason));
        }
        let (queue, outgoing) = mpsc::channel(DATAGRAMS);
        flows.insert(ends, Flow::Open(queue.clone()));
        let (this, stopping) = (Arc::downgrade(self), self.tasks.stopping());
        let arrives = Weak::clone(&this);
        let carried = async move {
            connecting.await?;
            flow::carry(stream, outgoing, |data| deliver(&arrives, ends, data)).await;
            Ok(())
        };
        self.tasks.spawn("datagrams", async move {
            let ended = tokio::select! {
                ended = carried => ended,
                () = stopping.cancelled() => Ok(()),
            };
            if let Some(this) = this.upgrade() {
                this.end(ends, ended);
            }
        });
        Ok(queue)
    }

    /// A flow has ended, perhaps because there is no way.
    fn end(&self, ends: Ends, ended: Result<(), Fault>) {
        let mut flows = self.flows.lock();
        match ended {
            Err(fault) => flows.insert(ends, Flow::Refused(fault, Instant::now())),
            Ok(()) => flows.remove(&ends),
        };
    }

    /// Datagrams from elsewhere to a port of the pod, and the answers, as a stream. The program sees a port for each such stream at the
    /// address of the caller, whose own port is not known.
    ///
    /// # Errors
    /// Nobody takes datagrams there, or there are too many who send some.
    pub fn open_datagrams(
        self: &Arc<Self>,
        port: u16,
        from: Caller,
    ) -> Result<DuplexStream, Fault> {
        if !self.receives(port) {
            let reason = format!("nobody takes datagrams on port {port} of the pod");
            return Err(Fault::new(Kind::Refused, reason));
        }
        let address = from.address().ip();
        let mut flows = self.flows.lock();
        let mut peers = (1024..=u16::MAX).map(|port| SocketAddr::new(address, port));
        let free = peers.find(|peer| !flows.contains_key(&(port, *peer)));
        let full = || Fault::new(Kind::TooMany, "every port of the caller is in use");
        let ends = (port, free.ok_or_else(full)?);
        let (near, far) = tokio::io::duplex(BUFFER);
        let stands: Boxed<'static, _> = Box::pin(std::future::ready(Ok(())));
        self.begin(&mut flows, ends, (near, stands))?;
        Ok(far)
    }
}

/// A datagram that came; false when nobody takes any there.
fn deliver(network: &Weak<Network>, (port, peer): Ends, data: Bytes) -> bool {
    let network = network.upgrade();
    network.is_some_and(|network| network.deliver(port, Caller::Elsewhere(peer), data).is_ok())
}

/// Where too many wait, a datagram is dropped, as on any network.
fn pass(queue: &mpsc::Sender<Bytes>, data: Bytes) -> Result<(), Fault> {
    if queue.try_send(data).is_err() {
        tracing::debug!("a datagram was dropped: too many wait to leave the pod");
    }
    Ok(())
}

/// A port of the pod as it is seen from within, by who is called at this address.
fn within(from: SocketAddr, to: SocketAddr) -> Caller {
    let address = match to.ip() {
        any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        one => one,
    };
    Caller::Within(SocketAddr::new(address, from.port()))
}
