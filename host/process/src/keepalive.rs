//! Probes of connections on which nothing is said, so that a peer which is gone without a word is noticed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How a quiet connection is probed. What is `None` is the system's own (Linux: two hours, 75 seconds, nine).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probing {
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Time between probes that nobody answers.
    pub interval: Option<Duration>,
    /// Unanswered probes after which the connection is dead.
    pub probes: Option<u32>,
}

/// Has the system probe a connection when it is quiet (`SO_KEEPALIVE`, tcp(7)).
///
/// # Errors
/// The system does not take the values: seconds and probes are bounded (tcp(7): 32,767 and 127).
pub fn probe(stream: &TcpStream, how: Probing) -> io::Result<()> {
    let mut options = TcpKeepalive::new();
    if let Some(time) = how.time {
        options = options.with_time(time);
    }
    if let Some(interval) = how.interval {
        options = options.with_interval(interval);
    }
    if let Some(probes) = how.probes {
        options = options.with_retries(probes);
    }
    SockRef::from(stream).set_tcp_keepalive(&options)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_is_probed_as_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let stream = stream.await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap());
        let how = Probing {
            time: Some(Duration::from_secs(60)),
            interval: Some(Duration::from_secs(5)),
            probes: Some(3),
        };
        probe(&stream, how).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(60)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(5)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
