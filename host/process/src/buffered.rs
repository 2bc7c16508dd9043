//! A message's body held in memory, because somebody must see it whole.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use crate::body::{self, Body, BodyError};

/// Nobody gets more than this, whatever he asks for.
pub const MOST: u64 = 16 << 20;
/// A body that does not come within this is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A whole body.
pub struct Buffered {
    /// Its bytes.
    pub data: Bytes,
    trailers: Option<HeaderMap>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Unbuffered {
    /// It has more bytes than it may have.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// It ended before its end.
    #[error("the body ended early: {0}")]
    Broken(BodyError),
    /// It took too long.
    #[error("the body did not come in time")]
    Late,
}

impl Buffered {
    /// Reads a body of at most `limit` bytes; a minute is the longest that is waited for it.
    ///
    /// # Errors
    /// See [`Unbuffered`].
    pub async fn read(
        body: Body,
        limit: u64,
        deadline: Option<Instant>,
    ) -> Result<Self, Unbuffered> {
        let patience = Instant::now() + PATIENCE;
        let deadline = deadline.map_or(patience, |deadline| deadline.min(patience));
        tokio::time::timeout_at(deadline, collect(body, limit.min(MOST)))
            .await
            .unwrap_or(Err(Unbuffered::Late))
    }

    /// The body again, with the trailers that it had.
    #[must_use]
    pub fn into_body(self) -> Body {
        match self.trailers {
            None => body::full(self.data),
            Some(trailers) => body::boxed(
                Full::new(self.data).with_trailers(std::future::ready(Some(Ok(trailers)))),
            ),
        }
    }
}

async fn collect(mut body: Body, limit: u64) -> Result<Buffered, Unbuffered> {
    let (mut data, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        match frame.map_err(Unbuffered::Broken)?.into_data() {
            Ok(chunk) if (data.len() + chunk.len()) as u64 > limit => {
                return Err(Unbuffered::TooLarge(limit));
            }
            Ok(chunk) => data.extend_from_slice(&chunk),
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    Ok(Buffered {
        data: data.freeze(),
        trailers,
    })
}
