//! A request body that outlives its reader. A callee may answer without reading all that it was sent; a guest that is still writing
//! then would see its stream closed and take a good answer for a failed call. What is left unread is therefore read to its end.

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// The body as the callee sees it; gives the rest back when it is dropped.
pub(crate) struct Lent {
    body: Option<WasiBody>,
    back: Option<oneshot::Sender<WasiBody>>,
}

/// Lends a body. The future ends when the body was read to its end, by the callee or by the future itself.
pub(crate) fn lend(body: WasiBody) -> (Lent, impl Future<Output = ()> + Send) {
    let (back, returned) = oneshot::channel();
    let lent = Lent {
        body: Some(body),
        back: Some(back),
    };
    let rest = async move {
        if let Ok(mut body) = returned.await {
            while let Some(Ok(_)) = body.frame().await {}
        }
    };
    (lent, rest)
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Refused when nobody waits any more: the call is over and so is the body.
            let _ = back.send(body);
        }
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let exact = SizeHint::with_exact(0);
        self.body.as_ref().map_or(exact, |body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use http_body_util::StreamBody;

    #[tokio::test]
    async fn a_writer_is_heard_to_its_end_after_the_reader_left() {
        let (writer, reader) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Error>>(1);
        let frames = futures::stream::unfold(reader, |mut reader| async move {
            Some((reader.recv().await?, reader))
        });
        let (mut lent, rest) = lend(StreamBody::new(frames).boxed_unsync());
        let frame = || Ok(Frame::data(Bytes::from_static(b"x")));
        writer.send(frame()).await.unwrap();
        assert!(lent.frame().await.unwrap().is_ok());
        drop(lent);
        let rest = tokio::spawn(rest);
        for _ in 0..10 {
            writer.send(frame()).await.unwrap();
        }
        drop(writer);
        rest.await.unwrap();
    }
}
