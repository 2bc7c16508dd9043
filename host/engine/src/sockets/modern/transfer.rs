//! What flows between sockets and streams of the component model.

use super::tcp::Tcp;
use crate::guest::Guest;
use bytes::{Bytes, BytesMut};
use osier_sockets::{Accepting, CHUNK, Reader, Writer};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, Resource, Source, StreamConsumer, StreamProducer, StreamResult,
};
use wasmtime_wasi::p3::bindings::sockets::types::ErrorCode;

/// Who is told how a direction ended: once, and that all is well if nothing is known.
struct Tell(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl Tell {
    fn end(&mut self, how: io::Result<()>) {
        let how = how.map_err(|_| ErrorCode::ConnectionBroken);
        if let Some(tell) = self.0.take() {
            // The program need not care.
            let _heard = tell.send(how);
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

/// What waits: cancelled, if whoever asked has to have an answer.
fn waits(finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    match finish {
        true => Poll::Ready(Ok(StreamResult::Cancelled)),
        false => Poll::Pending,
    }
}

/// Connections that a socket accepts.
pub(super) struct Accepted(pub(super) Accepting);

impl StreamProducer<Guest> for Accepted {
    type Item = Resource<Tcp>;
    type Buffer = Option<Resource<Tcp>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Guest>,
        mut to: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.0.poll_ready(context).is_pending() {
            return waits(finish);
        }
        // Room for none is a question whether one is there.
        if to.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let Some(socket) = self.0.accept() else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        to.set_buffer(Some(store.data_mut().table.push(Tcp(socket))?));
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// What comes on a connection.
pub(super) struct Received {
    reader: Reader,
    tell: Tell,
}

impl Received {
    pub(super) fn new(reader: Reader, tell: oneshot::Sender<Result<(), ErrorCode>>) -> Self {
        let tell = Tell(Some(tell));
        Self { reader, tell }
    }
}

impl StreamProducer<Guest> for Received {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Guest>,
        mut to: Destination<'a, u8, BytesMut>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Poll::Ready(filled) = self.reader.poll_ready(context) else {
            return waits(finish);
        };
        let most = to.remaining(&mut store).unwrap_or(CHUNK);
        let taken = filled.and_then(|()| self.reader.take(most));
        Poll::Ready(Ok(match taken {
            // Room for none is a question whether something is there.
            Ok(Some(bytes)) if bytes.is_empty() => StreamResult::Completed,
            Ok(Some(bytes)) => {
                to.set_buffer(bytes.into());
                StreamResult::Completed
            }
            Ok(None) => {
                self.tell.end(Ok(()));
                StreamResult::Dropped
            }
            Err(error) => {
                self.tell.end(Err(error));
                StreamResult::Dropped
            }
        }))
    }
}

/// What goes on a connection. When the program's stream ends, the other side is told so.
pub(super) struct Sent {
    writer: Writer,
    tell: Tell,
}

impl Sent {
    pub(super) fn new(writer: Writer, tell: oneshot::Sender<Result<(), ErrorCode>>) -> Self {
        let tell = Tell(Some(tell));
        Self { writer, tell }
    }
}

impl StreamConsumer<Guest> for Sent {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        from: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut from = from.as_direct(store);
        if self.writer.poll_ready(context).is_pending() {
            return waits(finish);
        }
        let some = from.remaining();
        let some = &some[..some.len().min(CHUNK)];
        let put = match some.is_empty() {
            true => Ok(()),
            false => self.writer.put(Bytes::copy_from_slice(some)),
        };
        let count = some.len();
        Poll::Ready(Ok(match put {
            Ok(()) => {
                from.mark_read(count);
                StreamResult::Completed
            }
            Err(error) => {
                self.tell.end(Err(error));
                StreamResult::Dropped
            }
        }))
    }
}
