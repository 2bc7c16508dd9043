//! Questions that the mesh cannot answer, handed on to resolvers as they came and answered as they are answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bounds::Bucket;
use crate::message::{self, Over};

/// How long one resolver may think before the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that wait for resolvers at the same time.
const AT_ONCE: usize = 256;
/// The largest message.
const LARGEST: usize = 65_535;

/// The resolvers that are asked, and how much.
pub(crate) struct Forwarder {
    upstreams: Vec<SocketAddr>,
    bucket: Bucket,
    slots: Arc<Semaphore>,
}

/// Why a question is not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is nobody to ask.
    Nobody,
    /// Too much is asked.
    TooMuch,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Vec<SocketAddr>) -> Self {
        Self {
            upstreams,
            bucket: Bucket::full(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether anybody is asked.
    pub(crate) fn asks(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// A place among the questions that wait.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Denied> {
        if !self.asks() {
            return Err(Denied::Nobody);
        }
        let place = Arc::clone(&self.slots).try_acquire_owned();
        let place = place.map_err(|_| Denied::TooMuch)?;
        match self.bucket.take() {
            true => Ok(place),
            false => Err(Denied::TooMuch),
        }
    }

    /// What the first resolver that answers says; `None` if none does.
    pub(crate) async fn ask(&self, question: &[u8], over: Over) -> Option<Vec<u8>> {
        for upstream in &self.upstreams {
            let asked = tokio::time::timeout(PATIENCE, exchange(*upstream, question, over)).await;
            match asked {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%upstream, %error, "a resolver cannot be asked"),
                Err(_) => tracing::debug!(%upstream, "a resolver did not answer in time"),
            }
        }
        None
    }
}

/// Asks one resolver, under an id that only it sees.
async fn exchange(upstream: SocketAddr, question: &[u8], over: Over) -> std::io::Result<Vec<u8>> {
    let mut asked = question.to_vec();
    let own: [u8; 2] = rand::random();
    renumber(&mut asked, own);
    let mut answer = match over {
        Over::Datagrams => by_datagram(upstream, &asked).await?,
        Over::Stream => by_stream(upstream, &asked).await?,
    };
    if let Some(id) = question.first_chunk() {
        renumber(&mut answer, *id);
    }
    Ok(answer)
}

fn renumber(message: &mut [u8], id: [u8; 2]) {
    if let Some(place) = message.first_chunk_mut() {
        *place = id;
    }
}

async fn by_datagram(upstream: SocketAddr, asked: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each question: who cannot see it cannot guess it together with the id (RFC 5452).
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(asked).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..length).unwrap_or_default();
        if answers(asked, answer) {
            return Ok(answer.to_vec());
        }
    }
}

async fn by_stream(upstream: SocketAddr, asked: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    write_framed(&mut stream, asked).await?;
    let answer = read_framed(&mut stream).await?;
    match answers(asked, &answer) {
        true => Ok(answer),
        false => Err(std::io::Error::other("it answers another question")),
    }
}

/// Whether this is the answer to that.
fn answers(asked: &[u8], answer: &[u8]) -> bool {
    let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let same = |question: &[u8]| {
        let of = message::question(answer);
        of.is_some_and(|of| of.eq_ignore_ascii_case(question))
    };
    is_answer
        && asked.first_chunk::<2>() == answer.first_chunk::<2>()
        && message::question(asked).is_some_and(same)
}

/// Reads a message behind its length (RFC 1035, 4.2.2).
pub(crate) async fn read_framed<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message behind its length, in one piece.
pub(crate) async fn write_framed<S: AsyncWrite + Unpin>(
    stream: &mut S,
    message: &[u8],
) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const ASKED: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03WwW\x07example\x03com\0\0\x01\0\x01";

    fn answer(id: [u8; 2], flags: u8, name: &[u8]) -> Vec<u8> {
        let mut bytes = ASKED.to_vec();
        bytes[..2].copy_from_slice(&id);
        bytes[2] = flags;
        bytes[13..16].copy_from_slice(name);
        bytes
    }

    #[test]
    fn only_the_answer_to_the_question_is_believed() {
        assert!(answers(ASKED, &answer([0x12, 0x34], 0x81, b"www")));
        assert!(!answers(ASKED, &answer([0x12, 0x35], 0x81, b"www")), "id");
        assert!(!answers(ASKED, &answer([0x12, 0x34], 0x81, b"wxw")), "name");
        assert!(!answers(ASKED, ASKED), "a question");
        assert!(!answers(ASKED, b"\x12\x34"));
    }

    #[tokio::test]
    async fn a_silent_resolver_is_passed_over() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addresses = [&silent, &other].map(|socket| socket.local_addr().unwrap());
        let forwarder = Forwarder::new(addresses.to_vec());
        let answering = async {
            let mut buffer = [0; 512];
            let (length, client) = other.recv_from(&mut buffer).await.unwrap();
            let forged = [&[0xff, 0xff], &buffer[2..length]].concat();
            other.send_to(&forged, client).await.unwrap();
            buffer[2] |= 0x80;
            other.send_to(&buffer[..length], client).await.unwrap();
        };
        let (said, ()) = tokio::join!(forwarder.ask(ASKED, Over::Datagrams), answering);
        assert_eq!(said.unwrap()[..2], ASKED[..2], "under the client's own id");
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let forwarder = Forwarder::new(vec![([127, 0, 0, 1], 53).into()]);
        let waiting: Vec<_> = (0..AT_ONCE).map(|_| forwarder.enter().unwrap()).collect();
        assert_eq!(forwarder.enter().unwrap_err(), Denied::TooMuch);
        drop(waiting);
        assert!(forwarder.enter().is_ok());
        assert_eq!(
            Forwarder::new(Vec::new()).enter().unwrap_err(),
            Denied::Nobody
        );
    }
}
