//! Options of sockets that mean nothing in memory: they are checked, kept and told again.

use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;

/// What a program set, or the defaults of Linux.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) keep_alive: bool,
    /// Nanoseconds.
    pub(super) idle: u64,
    /// Nanoseconds.
    pub(super) interval: u64,
    pub(super) count: u32,
    pub(super) hops: u8,
    pub(super) receive: u64,
    pub(super) send: u64,
}

impl Default for Options {
    fn default() -> Self {
        let buffer = osier_sockets::BUFFER as u64;
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

/// No option that is a number may be zero.
pub(super) fn set<T: Default + PartialEq>(place: &mut T, value: T) -> Result<(), ErrorCode> {
    if value == T::default() {
        return Err(ErrorCode::InvalidArgument);
    }
    *place = value;
    Ok(())
}
