//! The streams of kubectl: whatever a client sends, its session ends when the client does.

use osier_streams::{Transport, port_forward, remote_command};
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// No session may outlive its client.
const LIMIT: Duration = Duration::from_secs(10);

/// SPDY on the connection itself: forwarded ports by an even first byte, a command by an odd one.
pub(crate) fn spdy(bytes: &[u8]) {
    run(bytes, Transport::Spdy, Transport::Spdy);
}

/// The same inside of WebSocket: SPDY in messages for ports, channels for a command.
pub(crate) fn websocket(bytes: &[u8]) {
    run(bytes, Transport::Tunnel, Transport::Channels);
}

fn run(bytes: &[u8], ports: Transport, command: Transport) {
    let Some((first, sent)) = bytes.split_first() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if first % 2 == 0 {
        runtime.block_on(client(sent, |far| forward(far, ports)));
    } else {
        runtime.block_on(client(sent, |far| execute(far, command)));
    }
}

/// A client that sends all, reads what comes, and goes.
async fn client<F: Future<Output = ()>>(sent: &[u8], serve: impl FnOnce(DuplexStream) -> F) {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (mut read, mut write) = tokio::io::split(near);
    let talks = async {
        let sends = async {
            let _broken_off = write.write_all(sent).await;
            let _broken_off = write.shutdown().await;
        };
        let mut answer = Vec::new();
        let _bytes = tokio::join!(sends, read.read_to_end(&mut answer));
    };
    let both = async { tokio::join!(talks, serve(far)) };
    let ended = tokio::time::timeout(LIMIT, both).await;
    assert!(ended.is_ok(), "the session outlives its client");
}

async fn forward(connection: DuplexStream, transport: Transport) {
    let connect = |forwarded: port_forward::Forwarded| async move {
        if forwarded.port == 1 {
            return Err("nobody listens".to_owned());
        }
        let (mut read, mut write) = tokio::io::split(forwarded.bytes);
        let _broken_off = tokio::io::copy(&mut read, &mut write).await;
        Ok(())
    };
    let _fault_of_the_client = port_forward::serve(connection, transport, connect).await;
}

async fn execute(connection: DuplexStream, transport: Transport) {
    let wanted = remote_command::Wanted {
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let run = |mut streams: remote_command::Streams| async move {
        if let (Some(stdin), Some(stdout)) = (&mut streams.stdin, &mut streams.stdout) {
            let _broken_off = tokio::io::copy(stdin, stdout).await;
        }
        "{}".to_owned()
    };
    let _fault_of_the_client = remote_command::serve(connection, transport, wanted, run).await;
}
