//! Why something cannot be done on a pod's network: a kind that a program can act on, and words for a person.

use std::borrow::Cow;

/// What a program can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It may not.
    Denied,
    /// The address is none of the pod's.
    NotBindable,
    /// The port is taken.
    InUse,
    /// Nobody listens there, or whoever does cannot take one more.
    Refused,
    /// There is no way to it.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The pod has as many sockets as it may.
    TooMany,
    /// Not a thing to ask for.
    Invalid,
    /// The socket has become something else.
    State,
    /// The name stands for nothing here.
    Unknown,
    /// The datagram is larger than one may be.
    TooLarge,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// For a program.
    pub kind: Kind,
    /// For a person.
    pub reason: Cow<'static, str>,
}

impl Fault {
    /// A fault with its reason.
    pub fn new(kind: Kind, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }
}
