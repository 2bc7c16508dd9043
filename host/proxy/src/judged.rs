//! An answer speaks for its endpoint when it has come to its end: a body that breaks off is a call that failed, whatever its head said.
//!
//! Envoy counts the good head at once, so that an endpoint which cuts every body is never left out by failures in a row.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use osier_process::body::{Body, BodyError, boxed};
use osier_process::clock::Uptime;
use osier_snapshot::Cluster;

use crate::judge::{self, Ended};
use crate::trace::{Meter, Trace};
use osier_upstream::Failure;

/// Tells the endpoint at a place of its cluster how a call to it ended; of an answer with a body, when that has ended.
pub(crate) fn tried(
    (cluster, place): (&Arc<Cluster>, usize),
    result: Result<Response<Body>, Failure>,
    (trace, uptime): (&Trace, Uptime),
) -> Result<Response<Body>, Failure> {
    if cluster.balancing.outlier.is_none() || trace.was_spoilt() {
        return result;
    }
    let now = || uptime.millis();
    match result {
        Ok(response) if is_open(&response) => Ok(response.map(|body| {
            boxed(Judged {
                left: body.size_hint().exact(),
                body,
                about: Some(About {
                    cluster: Arc::clone(cluster),
                    place,
                    request: trace.request_meter.clone(),
                    uptime,
                }),
            })
        })),
        Ok(response) => {
            let ended = Ended::Answered(response.status(), response.headers());
            judge::judge(cluster, place, ended, now);
            Ok(response)
        }
        Err(failure) => {
            judge::judge(cluster, place, Ended::Failed(&failure), now);
            Err(failure)
        }
    }
}

/// Whether only the end of the body tells how it went.
fn is_open(response: &Response<Body>) -> bool {
    let status = response.status();
    !status.is_server_error() && !status.is_informational() && !response.body().is_end_stream()
}

/// Whom a body speaks for or against.
struct About {
    cluster: Arc<Cluster>,
    place: usize,
    request: Option<Arc<Meter>>,
    uptime: Uptime,
}

impl About {
    fn end(self, ended: Ended<'_>) {
        judge::judge(&self.cluster, self.place, ended, || self.uptime.millis());
    }

    fn broke(self) {
        if self.request.as_ref().is_some_and(|meter| meter.is_spoilt()) {
            return;
        }
        let failure = Failure::Reset("the answer broke off".into());
        self.end(Ended::Failed(&failure));
    }
}

/// A body that is judged by how it ends. One that nobody wants any more says nothing.
struct Judged {
    body: Body,
    /// None once it is judged.
    about: Option<About>,
    /// Bytes that are still to come, if that is known: who reads no further than these does not ask for the end.
    left: Option<u64>,
}

impl Judged {
    fn seen(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            return self.end(trailers);
        }
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        self.left = self.left.map(|left| left.saturating_sub(length));
        if self.left == Some(0) || self.body.is_end_stream() {
            self.end(&HeaderMap::new());
        }
    }

    fn end(&mut self, trailers: &HeaderMap) {
        if let Some(about) = self.about.take() {
            about.end(Ended::Answered(StatusCode::OK, trailers));
        }
    }
}

impl http_body::Body for Judged {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => this.seen(frame),
            Some(Err(_)) => {
                if let Some(about) = this.about.take() {
                    about.broke();
                }
            }
            None => this.end(&HeaderMap::new()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
