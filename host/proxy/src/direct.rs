//! Actions of a route that need no pod: redirects, fixed answers, injected faults.

use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{HeaderMap, Response, Uri};
use osier_process::body::{self, Body};
use osier_snapshot::{Abort, DirectResponse, Fault, Percentage, Redirect, RouteMatch, rewrite};
use rand::Rng;

use crate::answer::Refusal;
use crate::flags::Flag;

/// Waits and refuses as the route's fault says.
pub(crate) async fn inject(fault: &Fault) -> Result<(), Refusal> {
    if let Some(delay) = fault.delay.filter(|delay| delay.share.hits(point())) {
        tokio::time::sleep(delay.time).await;
    }
    match fault.abort.filter(|abort| abort.share.hits(point())) {
        Some(abort) => Err(aborted(abort)),
        None => Ok(()),
    }
}

fn aborted(abort: Abort) -> Refusal {
    let refusal = Refusal::new(abort.status, Flag::Fault, "the route injected this fault");
    Refusal {
        grpc_status: abort.grpc,
        ..refusal
    }
}

fn point() -> u32 {
    rand::rng().random_range(0..Percentage::WHOLE)
}

/// The answer to a preflight.
pub(crate) fn preflight(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.headers_mut() = headers;
    response
}

/// The answer that sends the client elsewhere.
pub(crate) fn redirect(uri: &Uri, redirect: &Redirect, matched: &RouteMatch) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = redirect.status;
    let at = (matched.port, matched.matched_prefix);
    if let Ok(location) = HeaderValue::try_from(rewrite::location(uri, redirect, at)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The fixed answer.
pub(crate) fn respond(direct: &DirectResponse) -> Response<Body> {
    let mut response = Response::new(body::full(direct.body.clone()));
    *response.status_mut() = direct.status;
    if !direct.body.is_empty() {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    response
}
