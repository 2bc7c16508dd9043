//! A session: the streams that a client opens on one connection, each a pair of pipes.

use std::collections::HashMap;
use std::future::Future;
use std::io;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::{mpsc, oneshot};

use super::frame::{Frame, FrameError, take};
use super::headers::{Deflater, Headers, HeadersError, Inflater};
use crate::BUFFER;

/// Streams that are open at once.
const STREAMS: usize = 256;
/// Frames that wait to be sent, and streams that wait to be handled.
const QUEUE: usize = 16;
/// Bytes of one frame of data that is sent.
const PIECE: usize = 32 * 1024;

/// A stream that a client opened. What is written is sent, and it ends when its writing does; it reads as ended when the client
/// ends or resets it.
#[derive(Debug)]
pub struct Stream {
    /// What the client says of it.
    pub headers: Headers,
    /// Its bytes, in both directions.
    pub bytes: DuplexStream,
}

/// How a session broke.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection did.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// A frame is wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Headers are wrong.
    #[error(transparent)]
    Headers(#[from] HeadersError),
    /// The WebSocket around it broke.
    #[error("the WebSocket broke: {0}")]
    WebSocket(Box<tokio_tungstenite::tungstenite::Error>),
}

/// What is to be sent.
enum Out {
    Frame(Bytes),
    End,
}

/// The side of a stream that is read to be sent, and its number.
type Pipe = (u32, ReadHalf<DuplexStream>);

/// Serves a connection; see [`crate::port_forward::serve`].
pub(crate) async fn serve<S, F>(
    connection: S,
    handle: impl FnOnce(mpsc::Receiver<Stream>) -> F,
) -> Result<(), SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    let (read, write) = tokio::io::split(connection);
    let (out, queue) = mpsc::channel(QUEUE);
    let (opened, streams) = mpsc::channel(QUEUE);
    let (pipes, to_send) = mpsc::channel(QUEUE);
    let (done, is_done) = oneshot::channel();
    let reader = Reader {
        streams: HashMap::new(),
        inflater: Inflater::new(),
        deflater: Deflater::new()?,
        opened,
        pipes,
        out: out.clone(),
    };
    let handled = async {
        handle(streams).await;
        let _nobody_waits_when_the_client_went = done.send(());
        std::future::pending().await
    };
    // In one task, side by side: a side that waits for another is woken by it.
    tokio::select! {
        ended = reader.run(read) => ended,
        ended = write_all(write, queue) => Ok(ended?),
        never = send(to_send, is_done, out) => match never {},
        never = handled => never,
    }
}

struct Reader {
    streams: HashMap<u32, WriteHalf<DuplexStream>>,
    inflater: Inflater,
    deflater: Deflater,
    opened: mpsc::Sender<Stream>,
    pipes: mpsc::Sender<Pipe>,
    out: mpsc::Sender<Out>,
}

impl Reader {
    /// Reads until the client goes.
    async fn run(mut self, mut read: impl AsyncRead + Unpin) -> Result<(), SessionError> {
        let mut buffer = BytesMut::new();
        loop {
            while let Some(frame) = take(&mut buffer)? {
                self.obey(frame).await?;
            }
            if read.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn obey(&mut self, frame: Frame) -> Result<(), SessionError> {
        match frame {
            Frame::SynStream { id, fin, block } => {
                let headers = self.inflater.read(&block)?;
                self.open(id, fin, headers).await?;
            }
            Frame::Data { id, fin, data } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    // Whoever handles the stream may have heard enough.
                    let _not_heard = stream.write_all(&data).await;
                }
                self.close(id, fin).await;
            }
            // One history is for the headers of all frames: those that say nothing here are read too.
            Frame::SynReply { id, fin, block } | Frame::Headers { id, fin, block } => {
                self.inflater.read(&block)?;
                self.close(id, fin).await;
            }
            Frame::Reset { id } => self.close(id, true).await,
            Frame::Ping(id) => self.answer(&Frame::Ping(id)).await,
            Frame::GoAway { .. } | Frame::Other => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> Result<(), SessionError> {
        if self.streams.len() >= STREAMS || self.streams.contains_key(&id) {
            self.answer(&Frame::Reset { id }).await;
            return Ok(());
        }
        let (near, far) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(near);
        self.streams.insert(id, write);
        let block = self.deflater.write(&Headers::default())?;
        self.answer(&Frame::SynReply {
            id,
            fin: false,
            block,
        })
        .await;
        let stream = Stream {
            headers,
            bytes: far,
        };
        // Both ends of these queues live as long as the session, or its handler has ended and wants no more.
        let _wanted = self.pipes.send((id, read)).await;
        let _wanted = self.opened.send(stream).await;
        self.close(id, fin).await;
        Ok(())
    }

    /// The client writes no more on the stream.
    async fn close(&mut self, id: u32, fin: bool) {
        if !fin {
            return;
        }
        if let Some(mut stream) = self.streams.remove(&id) {
            let _told = stream.shutdown().await;
        }
    }

    async fn answer(&self, frame: &Frame) {
        let _sent = self.out.send(Out::Frame(frame.bytes())).await;
    }
}

/// Sends what the streams' handlers write. When they are done, and all is sent, so is the session.
async fn send(
    mut pipes: mpsc::Receiver<Pipe>,
    mut done: oneshot::Receiver<()>,
    out: mpsc::Sender<Out>,
) -> std::convert::Infallible {
    let mut sending = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some((id, pipe)) = pipes.recv() => sending.push(send_one(id, pipe, out.clone())),
            Some(()) = sending.next() => {}
            _ = &mut done => break,
        }
    }
    while sending.next().await.is_some() {}
    let _writer = out.send(Out::End).await;
    std::future::pending().await
}

async fn send_one(id: u32, mut pipe: ReadHalf<DuplexStream>, out: mpsc::Sender<Out>) {
    let mut buffer = BytesMut::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        let fin = !matches!(pipe.read_buf(&mut buffer).await, Ok(1..));
        let data = buffer.split().freeze();
        let frame = Frame::Data { id, fin, data };
        if out.send(Out::Frame(frame.bytes())).await.is_err() || fin {
            return;
        }
    }
}

async fn write_all(
    mut write: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Out>,
) -> io::Result<()> {
    while let Some(Out::Frame(bytes)) = queue.recv().await {
        write.write_all(&bytes).await?;
        if queue.is_empty() {
            write.flush().await?;
        }
    }
    write.write_all(&Frame::GoAway { last: 0 }.bytes()).await?;
    write.flush().await?;
    write.shutdown().await
}
