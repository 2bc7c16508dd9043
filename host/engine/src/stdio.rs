//! The standard streams of a guest: what it writes goes to an [`Output`], at once and without waiting, or into a bounded [`Pipe`], which
//! makes it wait for a slow reader.

use crate::{Container, Output};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::PollSender;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{AsyncStdinStream, IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes that a guest may hand over in one write.
const CHUNK: usize = 64 << 10;

/// Standard input: bytes that somebody else writes. Clones read the same bytes.
#[derive(Clone)]
pub struct Stdin {
    stream: Arc<AsyncStdinStream>,
    terminal: bool,
}

impl Stdin {
    /// Reads from here, a little ahead of the guest. To be called on a runtime.
    pub fn new(bytes: impl AsyncRead + Send + Sync + 'static, terminal: bool) -> Self {
        let stream = Arc::new(AsyncStdinStream::new(bytes));
        Self { stream, terminal }
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        self.stream.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        self.stream.p2_stream()
    }
}

/// The standard streams of one run, in place of its container's.
pub struct Console {
    /// Where standard input comes from; without it, it ends at once.
    pub stdin: Option<Stdin>,
    /// Where standard output goes; the guest waits while it is full. Each message has at most 64 KiB.
    pub stdout: Sender<Bytes>,
    /// Where standard error goes.
    pub stderr: Sender<Bytes>,
    /// Whether they are said to be a terminal's.
    pub terminal: bool,
}

impl Console {
    /// Where its guest is told why it was not given what it asked for.
    pub(crate) fn errors(&self) -> Arc<dyn Output> {
        Arc::new(Queue(self.stderr.clone()))
    }

    /// Gives the streams to a guest.
    pub(crate) fn give(self, builder: &mut WasiCtxBuilder) {
        let terminal = self.terminal;
        if let Some(stdin) = self.stdin {
            builder.stdin(stdin);
        }
        let pipe = |queue| Pipe::new(queue, terminal);
        builder.stdout(pipe(self.stdout)).stderr(pipe(self.stderr));
    }
}

/// A queue as an output that never waits: what finds no room is lost.
struct Queue(Sender<Bytes>);

impl Output for Queue {
    fn write(&self, bytes: &[u8]) {
        let _lost = self.0.try_send(Bytes::copy_from_slice(bytes));
    }
}

/// What the host tells a guest's owner, on the guest's standard error.
pub(crate) struct Complaints {
    output: Arc<dyn Output>,
    /// Not said twice in a row.
    last: String,
}

impl Complaints {
    pub(crate) fn new(output: Arc<dyn Output>) -> Self {
        let last = String::new();
        Self { output, last }
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        self.output.write(bytes);
    }

    pub(crate) fn say(&mut self, words: &str) {
        if self.last != words {
            words.clone_into(&mut self.last);
            self.output.write(format!("osier: {words}\n").as_bytes());
        }
    }
}

/// Gives the container's own streams to a guest.
pub(crate) fn give(container: &Container, builder: &mut WasiCtxBuilder) {
    let sink = |output: &Arc<dyn Output>| Sink::new(output.clone(), container.terminal);
    if let Some(stdin) = &container.stdin {
        builder.stdin(stdin.clone());
    }
    builder
        .stdout(sink(&container.stdout))
        .stderr(sink(&container.stderr));
}

/// A stream into a bounded queue, which others may write to as well.
struct Pipe {
    queue: Sender<Bytes>,
    /// A write for which another stream took the room.
    unsent: Option<Bytes>,
    terminal: bool,
}

impl Pipe {
    fn new(queue: Sender<Bytes>, terminal: bool) -> Self {
        Self {
            queue,
            unsent: None,
            terminal,
        }
    }

    fn try_send(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.queue.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(bytes)) => {
                self.unsent = Some(bytes);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(StreamError::Closed),
        }
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Bytewise(PollSender::new(self.queue.clone())))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self::new(self.queue.clone(), self.terminal))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {
        // Whoever reads may be gone: the next write says so. The room is not kept, others may need it.
        if let Ok(room) = self.queue.reserve().await
            && let Some(bytes) = self.unsent.take()
        {
            room.send(bytes);
        }
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.unsent.is_some() {
            return Err(StreamError::trap("a write without room for it"));
        }
        self.try_send(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if let Some(bytes) = self.unsent.take() {
            self.try_send(bytes)?;
        }
        let full = self.unsent.is_some() || self.queue.capacity() == 0;
        match self.queue.is_closed() {
            true => Err(StreamError::Closed),
            false => Ok(if full { 0 } else { CHUNK }),
        }
    }
}

/// Standard output or error of a container.
#[derive(Clone)]
pub(crate) struct Sink {
    output: Arc<dyn Output>,
    terminal: bool,
}

impl Sink {
    pub(crate) fn new(output: Arc<dyn Output>, terminal: bool) -> Self {
        Self { output, terminal }
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        self.terminal
    }
}

impl StdoutStream for Sink {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The same for guests that write by another interface.
struct Bytewise(PollSender<Bytes>);

impl AsyncWrite for Bytewise {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.0.poll_reserve(context)).map_err(gone)?;
        let taken = bytes.len().min(CHUNK);
        let sent = self.0.send_item(Bytes::copy_from_slice(&bytes[..taken]));
        Poll::Ready(sent.map(|()| taken).map_err(gone))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}
