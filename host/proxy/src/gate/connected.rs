//! Raw connections, which are told of while they live: Mixer's `connection.event`.

/// One moment in the life of a raw connection.
#[derive(Clone, Copy, Debug)]
pub struct Connected {
    /// Which one.
    pub event: Moment,
    /// Bytes from the client: since the last moment that was told, and in all. None where the bytes are requests, each of which is told.
    pub received: Option<(u64, u64)>,
    /// Bytes to the client, likewise.
    pub sent: Option<(u64, u64)>,
}

/// What happens to a raw connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It stands.
    Open,
    /// It still does.
    Continue,
    /// It has ended, or never came to stand.
    Close,
}

impl Moment {
    /// As policies name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Continue => "continue",
            Self::Close => "close",
        }
    }
}
