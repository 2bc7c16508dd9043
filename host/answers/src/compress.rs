//! Gzip for large answers to who takes it, as upstream does it. A list is compressed piece by piece while it is sent, so that no
//! caller holds up others and nothing is held twice.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http::Response;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use osier_api::Status;
use osier_process::body::{self, Body, BodyError};

use crate::respond;

/// What is smaller is sent as it is.
const LEAST: usize = 128 * 1024;
/// So much is compressed at a time.
const PIECE: usize = 64 * 1024;

/// An answer of this type whose body is these bytes, one after the other. A small one is made whole; of a large one a chunk is made
/// when it is asked for.
///
/// # Errors
/// That of a chunk that could not be made before the answer began.
pub fn answer(
    asked: &HeaderMap,
    (code, content_type): (u16, &'static str),
    chunks: impl IntoIterator<Item = Result<Bytes, Status>, IntoIter: Send + 'static>,
) -> Result<Response<Body>, Status> {
    let mut chunks = chunks.into_iter();
    let (mut first, mut size) = (Vec::new(), 0);
    while size < LEAST {
        let Some(chunk) = chunks.next() else {
            return Ok(respond::bytes(code, content_type, whole(first)));
        };
        let chunk = chunk?;
        size += chunk.len();
        first.push(chunk);
    }
    let rest = chunks.map(|chunk| chunk.map_err(BodyError::from));
    let all = first.into_iter().map(Ok).chain(rest);
    if !takes_gzip(asked) {
        let body = body::stream(stream::iter(all));
        return Ok(respond::streamed(code, content_type, body));
    }
    let compressed = Compressed {
        encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        chunks: Box::new(all),
        piece: Bytes::new(),
    };
    let body = body::stream(stream::iter(compressed));
    let mut response = respond::streamed(code, content_type, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(response)
}

fn whole(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        1 => chunks.pop().unwrap_or_default(),
        _ => chunks.concat().into(),
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let mut codings = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    codings.any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let named = words.next() == Some("gzip");
        named && !words.any(|word| matches!(word, "q=0" | "q=0.0"))
    })
}

/// The chunks, compressed piece by piece as they are asked for.
struct Compressed {
    /// Until it was asked for the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    chunks: Box<dyn Iterator<Item = Result<Bytes, BodyError>> + Send>,
    /// What is left of the chunk that was begun.
    piece: Bytes,
}

impl Iterator for Compressed {
    type Item = Result<Bytes, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let encoder = self.encoder.as_mut()?;
        loop {
            if self.piece.is_empty() {
                match self.chunks.next() {
                    Some(Ok(chunk)) => self.piece = chunk,
                    Some(Err(error)) => {
                        self.encoder = None;
                        return Some(Err(error));
                    }
                    None => break,
                }
            }
            let part = self.piece.split_to(self.piece.len().min(PIECE));
            // Writing to memory does not fail.
            let _infallible = encoder.write_all(&part);
            let made = std::mem::take(encoder.get_mut());
            if !made.is_empty() {
                return Some(Ok(made.into()));
            }
        }
        let last = self.encoder.take()?.finish().unwrap_or_default();
        Some(Ok(last.into()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io::Read;

    use super::*;

    fn asked(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    async fn sent(value: &'static str, size: usize) -> (bool, Vec<u8>) {
        let pieces = [vec![b'a'; size / 2], vec![b'b'; size - size / 2]];
        let pieces = pieces.map(|piece| Ok(Bytes::from(piece)));
        let response = answer(&asked(value), (200, respond::JSON), pieces).unwrap();
        let coded = response.headers().contains_key(CONTENT_ENCODING);
        let body = body::read(response.into_body(), 1 << 30).await.unwrap();
        (coded, body.to_vec())
    }

    #[tokio::test]
    async fn what_is_large_is_compressed_for_who_takes_it() {
        let broken = [Err(Status::internal("x"))];
        assert!(answer(&asked("gzip"), (200, respond::JSON), broken).is_err());
        for (value, size, coded) in [
            ("gzip, deflate", 300_000, true),
            ("br;q=1.0, gzip;q=0.5", LEAST, true),
            ("gzip", LEAST - 1, false),
            ("gzip;q=0", 300_000, false),
            ("identity", 300_000, false),
        ] {
            let (is_coded, body) = sent(value, size).await;
            assert_eq!(is_coded, coded, "{value}");
            let mut plain = Vec::new();
            if coded {
                assert!(body.len() < size / 10);
                let mut decoder = flate2::read::GzDecoder::new(body.as_slice());
                decoder.read_to_end(&mut plain).unwrap();
            } else {
                plain = body;
            }
            let half = size / 2;
            assert!(plain.len() == size && plain[..half].iter().all(|byte| *byte == b'a'));
            assert!(plain[half..].iter().all(|byte| *byte == b'b'));
        }
    }
}
