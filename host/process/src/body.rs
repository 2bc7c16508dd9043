//! The one HTTP body type of all rooms, so that a request crosses them without being copied or re-wrapped.

mod unread;

pub use unread::{Unread, lend};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};

/// Why a body could not be read to its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed request or response body with trailers. Back-pressure is its poll: nobody reads, nothing flows.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body of bytes that are already here.
pub fn full(data: impl Into<Bytes>) -> Body {
    Full::new(data.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body without bytes.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The body of a message that hyper is receiving.
#[must_use]
pub fn from_incoming(incoming: hyper::body::Incoming) -> Body {
    boxed(incoming)
}

/// Any body in our type; costs one allocation, and one more for each error.
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// A body made of a stream of chunks, without trailers.
pub fn stream(chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Body {
    StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync()
}

/// Reads a body whole, refusing more than `limit` bytes.
///
/// # Errors
/// [`ReadError::TooLarge`] as soon as the limit is passed; [`ReadError::Broken`] when the sender stops early.
pub async fn read(mut body: Body, limit: usize) -> Result<Bytes, ReadError> {
    let mut whole = bytes::BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ReadError::Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(ReadError::TooLarge { limit });
        }
        if whole.is_empty() && body.is_end_stream_hint() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Whether a body is known to have no more frames: lets [`read`] hand on a single chunk without copying it.
trait EndHint {
    fn is_end_stream_hint(&self) -> bool;
}

impl EndHint for Body {
    fn is_end_stream_hint(&self) -> bool {
        http_body::Body::is_end_stream(self)
    }
}

/// Why [`read`] gave up.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The sender sent more than the reader allows.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The sender went away or broke the protocol.
    #[error("the body ended early: {0}")]
    Broken(BodyError),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let chunks = futures::stream::iter((0..4).map(|_| Ok(Bytes::from_static(b"1234"))));
        let refused = read(stream(chunks), 15).await.unwrap_err();
        assert!(matches!(refused, ReadError::TooLarge { limit: 15 }));
    }

    #[tokio::test]
    async fn a_single_chunk_is_handed_on_as_it_is() {
        let data = Bytes::from_static(b"hello");
        assert_eq!(
            read(full(data.clone()), 5).await.unwrap().as_ptr(),
            data.as_ptr()
        );
    }
}
