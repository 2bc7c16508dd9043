//! What a connection speaks, by the first bytes of whoever opened it.

use std::time::Duration;

use bytes::BytesMut;
use osier_identity::Hello;
use osier_process::serve::{Prefixed, Stream};
use tokio::io::AsyncReadExt;

/// How long a client may be silent before its protocol is one in which the server speaks first.
const SILENCE: Duration = Duration::from_millis(300);
/// How long the beginning may take once it came.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes that are looked at: more than any ClientHello has.
const MOST: usize = 32 * 1024;
/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What an HTTP/1 connection begins with.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
];

/// What is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP of either version.
    Http,
    /// TLS, with the server name that is asked for.
    Tls(Option<Box<str>>),
    /// Anything else.
    Bytes,
}

/// What is spoken where these bytes came first; `None` if more must come before it can be said.
pub(crate) fn spoken(bytes: &[u8]) -> Option<Spoken> {
    if bytes.first() == Some(&0x16) {
        return match osier_identity::hello(bytes) {
            Hello::Incomplete => None,
            Hello::Wrong(_) => Some(Spoken::Bytes),
            Hello::Complete(name) => Some(Spoken::Tls(name)),
        };
    }
    let begins = |word: &&[u8]| bytes.starts_with(word);
    if METHODS.iter().any(begins) || begins(&PREFACE) {
        return Some(Spoken::Http);
    }
    let may_begin = |word: &&[u8]| word.starts_with(bytes);
    match METHODS.iter().any(may_begin) || may_begin(&PREFACE) {
        true => None,
        false => Some(Spoken::Bytes),
    }
}

/// Looks at the beginning of a stream, which is read once more by who takes it.
pub(crate) async fn look(
    mut stream: Box<dyn Stream>,
) -> std::io::Result<(Spoken, Prefixed<Box<dyn Stream>>)> {
    let mut read = BytesMut::new();
    let first = tokio::time::timeout(SILENCE, stream.read_buf(&mut read)).await;
    let Ok(first) = first else {
        return Ok((Spoken::Bytes, Prefixed::beginning(read, stream)));
    };
    first?;
    let more = async {
        loop {
            if let Some(spoken) = spoken(&read) {
                return Ok::<_, std::io::Error>(spoken);
            }
            if read.len() >= MOST || stream.read_buf(&mut read).await? == 0 {
                return Ok(Spoken::Bytes);
            }
        }
    };
    let spoken = tokio::time::timeout(PATIENCE, more).await;
    let spoken = spoken.unwrap_or(Ok(Spoken::Bytes))?;
    Ok((spoken, Prefixed::beginning(read, stream)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[test]
    fn the_first_bytes_say_what_is_spoken() {
        for http in [
            "GET / HTTP/1.1\r\n",
            "PATCH /a",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert_eq!(spoken(http.as_bytes()), Some(Spoken::Http), "{http}");
        }
        for open in ["", "G", "PRI * HTTP", "OPTIONS"] {
            assert_eq!(spoken(open.as_bytes()), None, "{open}");
        }
        for other in ["*1\r\n$4\r\nPING\r\n", "get /", "GETX", "\x03\0\0"] {
            assert_eq!(spoken(other.as_bytes()), Some(Spoken::Bytes), "{other}");
        }
        assert_eq!(spoken(&[0x16, 3, 1]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_server_speaks_no_http_and_loses_no_byte() {
        let (mut client, server) = tokio::io::duplex(64);
        let (spoken, mut stream) = look(Box::new(server)).await.unwrap();
        assert_eq!(spoken, Spoken::Bytes);
        client.write_all(b"later").await.unwrap();
        let mut read = [0; 5];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"later");
    }

    #[tokio::test]
    async fn what_was_looked_at_is_read_again() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let (spoken, mut stream) = look(Box::new(server)).await.unwrap();
        assert_eq!(spoken, Spoken::Http);
        let mut read = [0; 18];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"GET / HTTP/1.1\r\n\r\n");
    }
}
