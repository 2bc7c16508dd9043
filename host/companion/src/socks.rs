//! SOCKS5 (RFC 1928) as its server, without authentication: the process beside us needs none. CONNECT is served, nothing else.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use osier_process::serve::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The first byte of the protocol.
pub(crate) const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
/// How long the exchange before the connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Bytes follow.
    Succeeded = 0,
    /// The mesh does not grant it.
    NotAllowed = 2,
    /// Something else than CONNECT.
    CommandNotSupported = 7,
    /// Something else than an address or name.
    AddressNotSupported = 8,
}

/// Reads what the client wishes: host and port, the first byte of its greeting still unread. A wish that cannot be fulfilled is
/// answered here.
pub(crate) async fn wish<S: Stream>(stream: &mut S) -> io::Result<(String, u16)> {
    let wished = tokio::time::timeout(PATIENCE, exchange(stream)).await;
    wished.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange<S: Stream>(stream: &mut S) -> io::Result<(String, u16)> {
    if stream.read_u8().await? != VERSION {
        return Err(io::Error::other("another version of SOCKS than 5"));
    }
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NONE_ACCEPTABLE]).await?;
        return Err(io::Error::other("the client insists on authentication"));
    }
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _reserved, kind] = head;
    if version != VERSION || command != CONNECT {
        answer(stream, Reply::CommandNotSupported).await?;
        return Err(io::Error::other("only CONNECT is served"));
    }
    let host = address(stream, kind).await?;
    Ok((host, stream.read_u16().await?))
}

/// Reads an address of some kind, or a name.
async fn address<S: Stream>(stream: &mut S, kind: u8) -> io::Result<String> {
    match kind {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            Ok(Ipv4Addr::from(octets).to_string())
        }
        4 => {
            let mut octets = [0; 16];
            stream.read_exact(&mut octets).await?;
            Ok(format!("[{}]", Ipv6Addr::from(octets)))
        }
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(io::Error::other)
        }
        _ => {
            answer(stream, Reply::AddressNotSupported).await?;
            Err(io::Error::other("an address of another kind"))
        }
    }
}

/// Answers a wish.
pub(crate) async fn answer<S: Stream>(stream: &mut S, reply: Reply) -> io::Result<()> {
    // The address that is bound for the client is nobody's business.
    let bytes = [VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    async fn asked(bytes: &[u8]) -> (io::Result<(String, u16)>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(1024);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let wished = wish(&mut server).await;
        drop(server);
        let mut answered = Vec::new();
        client.read_to_end(&mut answered).await.unwrap();
        (wished, answered)
    }

    #[tokio::test]
    async fn names_and_addresses_are_read() {
        let (wished, answered) = asked(b"\x05\x01\0\x05\x01\0\x03\x07reviews\x23\x78").await;
        assert_eq!(wished.unwrap(), ("reviews".to_owned(), 9080));
        assert_eq!(answered, [5, 0]);
        let (wished, _) = asked(b"\x05\x02\0\x02\x05\x01\0\x01\x0a\x60\0\x01\0\x50").await;
        assert_eq!(wished.unwrap(), ("10.96.0.1".to_owned(), 80));
        let six = b"\x05\x01\0\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50";
        assert_eq!(asked(six).await.0.unwrap(), ("[::1]".to_owned(), 80));
    }

    #[tokio::test]
    async fn what_is_not_served_is_refused_in_the_protocols_words() {
        let (wished, answered) = asked(b"\x05\x01\x02").await;
        assert!(wished.is_err());
        assert_eq!(answered, [5, 0xff]);
        let (wished, answered) = asked(b"\x05\x01\0\x05\x02\0\x01\x0a\x60\0\x01\0\x50").await;
        assert!(wished.is_err());
        assert_eq!(answered[..4], [5, 0, 5, 7]);
        assert!(asked(b"\x04\x01").await.0.is_err());
        assert!(asked(b"\x05\x01\0\x05").await.0.is_err(), "half a wish");
    }
}
