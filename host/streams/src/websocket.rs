//! A tunnel: the bytes of one connection as the binary messages of a WebSocket (RFC 6455).

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::BUFFER;

/// Bytes of one message: kubectl sends what it was handed at once, some ten thousand.
const LARGEST: usize = 4 << 20;

/// A WebSocket whose handshake is done.
pub(crate) async fn accepted<S>(connection: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await
}

/// Carries bytes between a WebSocket, whose handshake is done, and `inside`, until either ends.
pub(crate) async fn tunnel<S>(connection: S, inside: DuplexStream) -> Result<(), Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut messages) = accepted(connection).await.split();
    let (mut read, mut write) = tokio::io::split(inside);
    let inwards = async {
        while let Some(message) = messages.next().await {
            let written = match message? {
                Message::Binary(bytes) => write.write_all(&bytes).await,
                Message::Close(_) => break,
                _ => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    let outwards = async {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        while let Ok(1..) = read.read_buf(&mut buffer).await {
            let message = Message::Binary(buffer.split().freeze());
            sink.send(message).await?;
            buffer.reserve(BUFFER);
        }
        sink.close().await
    };
    let ended = tokio::select! {
        ended = inwards => ended,
        ended = outwards => ended,
    };
    ended.map_err(Box::new)
}
