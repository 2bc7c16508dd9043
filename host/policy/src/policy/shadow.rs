//! Middlewares in shadow mode: each is asked about a copy of the head, beside the request, which has gone on. What it sends on goes nowhere.
//!
//! Bodies are not shown, because there is one, and it belongs to the request. A middleware that wants it before it decides is not judged about
//! that request. What it would make of the response is not looked at: it would have to see the body for that too.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use osier_engine::{Onward, Passage};
use osier_process::body::{self, Body, BodyError};

use super::FilterMiddleware;

impl FilterMiddleware {
    /// Asks what would become of a request. If too many are being asked about, this one is not.
    pub(super) fn shadow(&self, request: &Request<Body>) {
        let Some((middleware, seat)) = self.0.plugin.shadowed() else {
            return;
        };
        let wanted = Arc::new(AtomicBool::new(false));
        let passage = middleware.begin(copy(request, &wanted));
        let (own, began) = (self.clone(), Instant::now());
        self.0
            .plugin
            .tasks()
            .spawn("middleware-shadow", async move {
                let _seat = seat;
                own.judged(passage, &wanted).await;
                own.0.plugin.carried(began.elapsed());
            });
    }

    /// Counts and tells the verdict.
    async fn judged(&self, mut passage: Passage, wanted: &AtomicBool) {
        let onward = passage.onward().await;
        if wanted.load(Ordering::Relaxed) {
            return;
        }
        let (policy, plugin) = self.label();
        match onward {
            Ok(Onward::Next(_)) => {
                self.0.count(true);
                // With an answer the guest ends by itself, and its instance serves again.
                let _made = passage.back(Response::new(body::empty())).await;
            }
            Ok(Onward::Answer(response)) => {
                self.0.count(false);
                tracing::debug!(%policy, %plugin, status = %response.status(), "shadow: would respond");
            }
            Err(lost) => {
                let reason = self.0.unanswered(&lost.0);
                tracing::debug!(%policy, %plugin, reason, "shadow: would give no answer");
            }
        }
    }
}

/// The head of a request, with a body that is not shown.
fn copy(request: &Request<Body>, wanted: &Arc<AtomicBool>) -> Request<Body> {
    let body = match request.body().is_end_stream() {
        true => body::empty(),
        false => body::boxed(Hidden(Arc::clone(wanted))),
    };
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// A body that is not shown, and whether somebody wanted to see it.
struct Hidden(Arc<AtomicBool>);

impl http_body::Body for Hidden {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err("bodies are not shown in shadow mode".into())))
    }
}
