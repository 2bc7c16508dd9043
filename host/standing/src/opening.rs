//! Sockets of listeners: which one each is given, and why it is given none.

use std::fmt;

/// Which socket a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenerKey {
    /// The one that the node opens at its start, `--gateway-listen`: plain HTTP.
    Main,
    /// One that gateways ask for, by the port number that they write.
    Port(u16),
}

impl fmt::Display for ListenerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Port(port) => write!(f, "{port}"),
        }
    }
}

/// What became of a port that was asked for: where it is served, or why it is not; `None` while it is being opened.
pub type Opening = Option<Result<String, String>>;

/// Why a listener is not opened, in the Gateway API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another listener of the object uses the port with another protocol.
    Protocol,
    /// Another listener of the object takes the same host on the port.
    Hostname,
    /// The protocol is not served.
    Unsupported,
    /// No certificate that it names may be used.
    Certificates,
    /// Its clients must prove themselves, and no authority that is named for them can be used.
    Authorities,
    /// The object as a whole names parameters that cannot be read.
    Parameters,
}
