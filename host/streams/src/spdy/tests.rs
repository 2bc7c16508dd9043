//! The codec against any bytes and its own inverse, and a session against a client that is written here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::frame::{Frame, LONGEST, take};
use super::headers::{Deflater, Headers, Inflater};
use super::{SessionError, serve};

fn frame() -> impl Strategy<Value = Frame> {
    let id = 1_u32..0x7fff_ffff;
    let bytes = proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Bytes::from);
    prop_oneof![
        (id.clone(), any::<bool>(), bytes.clone()).prop_map(|(id, fin, block)| Frame::SynStream {
            id,
            fin,
            block
        }),
        (id.clone(), any::<bool>(), bytes.clone()).prop_map(|(id, fin, block)| Frame::SynReply {
            id,
            fin,
            block
        }),
        (id.clone(), any::<bool>(), bytes.clone()).prop_map(|(id, fin, block)| Frame::Headers {
            id,
            fin,
            block
        }),
        (id.clone(), any::<bool>(), bytes).prop_map(|(id, fin, data)| Frame::Data {
            id,
            fin,
            data
        }),
        id.clone().prop_map(|id| Frame::Reset { id }),
        any::<u32>().prop_map(Frame::Ping),
        id.prop_map(|last| Frame::GoAway { last }),
    ]
}

fn headers() -> impl Strategy<Value = Headers> {
    proptest::collection::vec(("[a-z]{1,20}", ".{0,200}"), 0..8).prop_map(Headers)
}

proptest! {
    #[test]
    fn frames_are_read_as_they_were_written_however_they_are_cut(
        frames in proptest::collection::vec(frame(), 0..8),
        cut in 1_usize..50,
    ) {
        let written: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
        for piece in written.chunks(cut) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = take(&mut buffer).unwrap() {
                read.push(frame);
            }
        }
        prop_assert_eq!(read, frames);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let mut buffer = BytesMut::from(bytes.as_slice());
        while let Ok(Some(_)) = take(&mut buffer) {}
        let _either = Inflater::new().read(&bytes);
    }

    #[test]
    fn headers_are_read_as_they_were_written(all in proptest::collection::vec(headers(), 0..6)) {
        let (mut deflater, mut inflater) = (Deflater::new().unwrap(), Inflater::new());
        for headers in all {
            let block = deflater.write(&headers).unwrap();
            prop_assert_eq!(inflater.read(&block).unwrap(), headers);
        }
    }

    #[test]
    fn headers_that_were_damaged_are_read_or_refused(headers in headers(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut block = Deflater::new().unwrap().write(&headers).unwrap().to_vec();
        let place = place.index(block.len());
        block[place] = byte;
        let _either = Inflater::new().read(&block);
    }
}

#[test]
fn a_bomb_is_refused() {
    let bomb = Headers(vec![("a".to_owned(), "b".repeat(10 << 20))]);
    let block = Deflater::new().unwrap().write(&bomb).unwrap();
    assert!(block.len() < 100_000, "{}", block.len());
    assert!(Inflater::new().read(&block).is_err());
    let mut long = BytesMut::from(Frame::Ping(1).bytes().as_ref());
    long[5..8].copy_from_slice(&[0xff; 3]);
    assert!(take(&mut long).is_err(), "{LONGEST}");
}

/// A client, whose frames are read whole.
struct Client {
    connection: DuplexStream,
    buffer: BytesMut,
    deflater: Deflater,
}

impl Client {
    async fn send(&mut self, frame: Frame) {
        self.connection.write_all(&frame.bytes()).await.unwrap();
    }

    async fn open(&mut self, id: u32, name: &str) {
        let headers = Headers(vec![("name".to_owned(), name.to_owned())]);
        let block = self.deflater.write(&headers).unwrap();
        let fin = false;
        self.send(Frame::SynStream { id, fin, block }).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            if self.connection.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }
}

/// A session whose streams say their name and then what they hear, until `streams` of them have ended.
fn echoing(streams: usize) -> (Client, tokio::task::JoinHandle<Result<(), SessionError>>) {
    let (near, far) = tokio::io::duplex(1000);
    let serving = serve(far, move |mut opened| async move {
        let mut ended = Vec::new();
        while ended.len() < streams {
            let stream: super::Stream = opened.recv().await.unwrap();
            ended.push(async move {
                let (mut read, mut write) = tokio::io::split(stream.bytes);
                let name = stream.headers.get("name").unwrap().as_bytes();
                write.write_all(name).await.unwrap();
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
        }
        futures::future::join_all(ended).await;
    });
    let client = Client {
        connection: near,
        buffer: BytesMut::new(),
        deflater: Deflater::new().unwrap(),
    };
    (client, tokio::spawn(serving))
}

#[tokio::test]
async fn streams_carry_more_than_any_buffer_holds_and_the_session_ends_with_them() {
    let (mut client, serving) = echoing(2);
    client.open(1, "one").await;
    client.open(3, "two").await;
    client.send(Frame::Ping(7)).await;
    let (mut read, mut heard) = (0, [Vec::new(), Vec::new()]);
    let sent = vec![b'x'; 300_000];
    let (mut ended, mut pinged) = (0, false);
    let mut next = sent.chunks(10_000);
    while ended < 2 {
        // One piece for each frame that comes, so that neither side waits for the other.
        if let Some(data) = next.next() {
            for id in [1, 3] {
                let data = Bytes::copy_from_slice(data);
                client
                    .send(Frame::Data {
                        id,
                        fin: false,
                        data,
                    })
                    .await;
            }
            read += 1;
            if read == 30 {
                for id in [1, 3] {
                    let data = Bytes::new();
                    client
                        .send(Frame::Data {
                            id,
                            fin: true,
                            data,
                        })
                        .await;
                }
            }
        }
        match client.next().await.unwrap() {
            Frame::Data { id, fin, data } => {
                heard[(id / 2) as usize].extend_from_slice(&data);
                ended += usize::from(fin);
            }
            Frame::Ping(id) => pinged = id == 7,
            Frame::SynReply { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(pinged);
    for (heard, name) in heard.iter().zip(["one", "two"]) {
        assert_eq!(heard.len(), 3 + sent.len());
        assert!(heard.starts_with(name.as_bytes()));
    }
    assert_eq!(client.next().await, Some(Frame::GoAway { last: 0 }));
    assert_eq!(client.next().await, None);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reset_ends_one_stream_and_a_broken_frame_the_session() {
    let (mut client, serving) = echoing(2);
    client.open(1, "one").await;
    client.send(Frame::Reset { id: 1 }).await;
    // Of a stream that was never opened nobody hears.
    let data = Bytes::from_static(b"lost");
    client
        .send(Frame::Data {
            id: 9,
            fin: true,
            data,
        })
        .await;
    client.open(3, "two").await;
    let mut ended = Vec::new();
    while !ended.contains(&1) {
        if let Frame::Data { id, fin: true, .. } = client.next().await.unwrap() {
            ended.push(id);
        }
    }
    client.connection.write_all(&[0xff; 8]).await.unwrap();
    assert!(matches!(
        serving.await.unwrap(),
        Err(SessionError::Frame(_))
    ));
}
