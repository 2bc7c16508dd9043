//! The network inside a pod: its ports, who listens on them, connections and datagrams, all in memory.
//!
//! No socket of the system is opened: a program that listens is reached through [`Network::open`] by whoever may hand it a connection
//! (the mesh, a probe, a forwarded port), and what it opens leaves by its [`Way`]. Every table, queue and buffer has a bound. It knows
//! no WebAssembly and no mesh, and never imports engine, proxy or snapshot.

mod arrived;
mod fault;
mod flow;
mod listener;
mod names;
mod network;
mod options;
mod ports;
mod socket;
mod stream;
mod udp;

pub use arrived::{Datagram, Held, Incoming};
pub use fault::{Fault, Kind};
pub use listener::Listener;
pub use names::Found;
pub use network::{Bound, Caller, Destination, Network, Way};
pub use options::Options;
pub use ports::Protocol;
pub use socket::{Accepting, Socket};
pub use stream::{CHUNK, Reader, Writer};
pub use udp::Datagrams;

/// Which addresses a socket speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Sockets that one pod may hold: listening, connected, waiting to be accepted, and bound for datagrams.
pub const MOST_SOCKETS: usize = 1024;
/// Bytes that one direction of a connection holds for a side that is slower.
pub const BUFFER: usize = 32 * 1024;
/// Connections that may wait to be accepted on one port, if the program asks for no fewer.
pub const BACKLOG: usize = 128;
/// Datagrams that may wait on one port; those beyond are dropped, as on any network.
pub const DATAGRAMS: usize = 64;
/// Bytes of the largest datagram: what UDP carries over IPv4.
pub const DATAGRAM: usize = 65_507;
/// Pairs of ports of one pod and of others that exchange datagrams.
pub const FLOWS: usize = 256;
/// Names that one pod may look up and find again by their addresses; the oldest is forgotten first.
pub const NAMES: usize = 1024;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
