//! The two directions of a connection, as streams of WASI 0.2.

use bytes::Bytes;
use osier_sockets::{Reader, Writer};
use std::io;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// What the program reads.
pub(super) struct Input(pub(super) Reader);

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let taken = self.0.take(size);
        let broken = |error: io::Error| StreamError::LastOperationFailed(error.into());
        taken.map_err(broken)?.ok_or(StreamError::Closed)
    }
}

/// What the program writes.
pub(super) struct Output(pub(super) Writer);

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.put(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StreamError::trap("a write without room for it"),
            _ => StreamError::Closed,
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.0.is_open() {
            true => Ok(()),
            false => Err(StreamError::Closed),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.room().ok_or(StreamError::Closed)
    }
}
