//! Options of sockets that mean nothing in memory: they are checked, kept and told again.

/// What a program set, or the defaults of Linux.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether a still connection is looked after.
    pub keep_alive: bool,
    /// Nanoseconds.
    pub idle: u64,
    /// Nanoseconds.
    pub interval: u64,
    /// Questions without an answer.
    pub count: u32,
    /// Routers on the way, at most.
    pub hops: u8,
    /// Bytes.
    pub receive: u64,
    /// Bytes.
    pub send: u64,
}

impl Default for Options {
    fn default() -> Self {
        let buffer = crate::BUFFER as u64;
        Self {
            keep_alive: false,
            idle: 7_200_000_000_000,
            interval: 75_000_000_000,
            count: 9,
            hops: 64,
            receive: buffer,
            send: buffer,
        }
    }
}
