//! A client of WebSocket runs a command: what it sends, what it is told, and when.
#![expect(clippy::unwrap_used, reason = "tests")]

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Streams, Wanted, serve};
use crate::Transport;

async fn client(connection: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(connection, Role::Client, None).await
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary([&[channel], bytes].concat().into())
}

/// Says back what it hears, to its end.
async fn echo(mut streams: Streams) -> String {
    let mut heard = Vec::new();
    let mut stdin = streams.stdin.take().unwrap();
    stdin.read_to_end(&mut heard).await.unwrap();
    let mut size = vec![0; 2];
    if let Some(resize) = &mut streams.resize {
        resize.read_exact(&mut size).await.unwrap();
        heard.extend(size);
    }
    let mut stdout = streams.stdout.take().unwrap();
    stdout.write_all(&heard).await.unwrap();
    "ended".to_owned()
}

#[tokio::test]
async fn the_end_of_the_input_is_heard_and_the_status_comes_last() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let wanted = Wanted {
        stdin: true,
        stdout: true,
        tty: true,
        ..Wanted::default()
    };
    let serving = serve(near, Transport::Channels, wanted, echo);
    let asking = async {
        let mut client = client(far).await;
        client.send(message(0, b"hel")).await.unwrap();
        client.send(message(4, b"{}")).await.unwrap();
        client.send(message(0, b"lo")).await.unwrap();
        // Nobody knows such a channel.
        client.send(message(9, b"x")).await.unwrap();
        client.send(message(255, &[0])).await.unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(Message::Binary(bytes))) = client.next().await {
            heard.push(bytes.to_vec());
        }
        heard
    };
    let (served, heard) = tokio::join!(serving, asking);
    served.unwrap();
    assert_eq!(heard, [&b"\x01"[..], b"\x01hello{}", b"\x03ended"]);
}

#[tokio::test]
async fn a_client_that_goes_takes_its_command_along() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let wanted = Wanted {
        stdin: true,
        stdout: true,
        ..Wanted::default()
    };
    let forever = |streams: Streams| async move {
        let _held = streams;
        std::future::pending().await
    };
    let serving = serve(near, Transport::Channels, wanted, forever);
    let asking = async {
        let mut client = client(far).await;
        let _greeting = client.next().await.unwrap().unwrap();
        client.close(None).await.unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}
