//! How the streams of `kubectl exec`, `attach` and `port-forward` travel: SPDY/3.1 on a connection that was upgraded, or WebSocket
//! messages.
//!
//! Both are ways of the network only: whatever a peer sends is read or refused, within bounds, and what the streams mean is for
//! who accepts them. It knows no pod and no API object, and never imports one.

mod idle;
pub mod port_forward;
pub mod remote_command;
mod spdy;
pub mod terminal;
mod upgrade;
mod websocket;

pub use spdy::{Headers, SessionError, Stream};
pub use upgrade::{Transport, Upgrade, UpgradeError};

/// Bytes that a stream or a tunnel holds for a side that is slower.
const BUFFER: usize = 64 * 1024;
