//! The streams of a command as messages of a WebSocket: the first byte of each names its channel.

use std::future::Future;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Streams, Wanted};
use crate::{BUFFER, websocket};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// `v5`: the channel whose number follows is ended by the client.
const END: u8 = 255;
/// Messages that wait to be sent.
const QUEUE: usize = 16;
/// Bytes of one message.
const PIECE: usize = 32 * 1024;

/// Serves a WebSocket, whose handshake is done; see [`super::serve`].
pub(crate) async fn serve<S, F>(
    connection: S,
    wanted: Wanted,
    run: impl FnOnce(Streams) -> F,
) -> Result<(), Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = String>,
{
    let (sink, messages) = websocket::accepted(connection).await.split();
    let (streams, ours) = pipes(wanted);
    let (frames, queue) = mpsc::channel(QUEUE);
    let Ours {
        stdin,
        stdout,
        stderr,
        resize,
    } = ours;
    let ran = async move {
        // Clients wait for a word on a channel: it tells that there are channels.
        let first = Bytes::from_static(if wanted.stdout { &[STDOUT] } else { &[ERROR] });
        let _greeted = frames.send(first).await;
        let (status, (), ()) = tokio::join!(
            run(streams),
            pump(STDOUT, stdout, &frames),
            pump(STDERR, stderr, &frames)
        );
        let mut last = BytesMut::from(&[ERROR][..]);
        last.put_slice(status.as_bytes());
        let _told = frames.send(last.freeze()).await;
    };
    let written = async { tokio::join!(ran, write_all(sink, queue)).1 };
    let ended = tokio::select! {
        ended = read_all(messages, (stdin, resize)) => ended,
        ended = written => ended,
    };
    ended.map_err(Box::new)
}

/// The other ends of the streams.
struct Ours {
    stdin: Option<DuplexStream>,
    stdout: Option<DuplexStream>,
    stderr: Option<DuplexStream>,
    resize: Option<DuplexStream>,
}

fn pipes(wanted: Wanted) -> (Streams, Ours) {
    let pipe = |wanted: bool| wanted.then(|| tokio::io::duplex(BUFFER)).unzip();
    let (stdin, our_stdin) = pipe(wanted.stdin);
    let (stdout, our_stdout) = pipe(wanted.stdout);
    let (stderr, our_stderr) = pipe(wanted.stderr && !wanted.tty);
    let (resize, our_resize) = pipe(wanted.tty);
    let streams = Streams {
        stdin,
        stdout,
        stderr,
        resize,
    };
    let ours = Ours {
        stdin: our_stdin,
        stdout: our_stdout,
        stderr: our_stderr,
        resize: our_resize,
    };
    (streams, ours)
}

/// Hands on what the client sends, until it goes.
async fn read_all(
    mut messages: impl futures::Stream<Item = Result<Message, Error>> + Unpin,
    (mut stdin, mut resize): (Option<DuplexStream>, Option<DuplexStream>),
) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => break,
            _ => continue,
        };
        match bytes.split_first() {
            Some((&STDIN, data)) => give(&mut stdin, data).await,
            Some((&RESIZE, data)) => give(&mut resize, data).await,
            Some((&END, [STDIN])) => stdin = None,
            _ => {}
        }
    }
    Ok(())
}

/// Whoever reads may have heard enough.
async fn give(stream: &mut Option<DuplexStream>, data: &[u8]) {
    if let Some(open) = stream
        && open.write_all(data).await.is_err()
    {
        *stream = None;
    }
}

async fn pump(channel: u8, stream: Option<DuplexStream>, frames: &mpsc::Sender<Bytes>) {
    let Some(mut stream) = stream else { return };
    loop {
        let mut message = BytesMut::with_capacity(1 + PIECE);
        message.put_u8(channel);
        match stream.read_buf(&mut message).await {
            Ok(1..) if frames.send(message.freeze()).await.is_ok() => {}
            _ => return,
        }
    }
}

async fn write_all<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Bytes>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = queue.recv().await {
        sink.send(Message::Binary(message)).await?;
    }
    // Without a code, clients take it for a connection that broke.
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    sink.send(Message::Close(Some(normal))).await?;
    sink.close().await
}
