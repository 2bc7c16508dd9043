//! Filters that take an exchange whole, as a handler of wasi:http does: the request goes in, what comes out goes on, and the answer goes back the
//! same way. Bodies stream through them.

use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use osier_process::body::Body;
use osier_process::buffered::{Buffered, MOST};
use osier_snapshot::rewrite;

use super::{Chain, replied};
use crate::answer::Refusal;
use crate::flags::Flag;
use crate::gate::{Carried, Filter, Reply};
use crate::trace::Trace;

/// What a handler of wasi:http neither sees nor sets: how a message is framed and carried is the host's.
const FRAMING: [HeaderName; 8] = [
    HOST,
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("http2-settings"),
];

impl Chain {
    /// Hands a request to a filter; what it sends on goes on.
    pub(super) async fn carried(
        &self,
        (place, filter): (usize, &Arc<dyn Filter>),
        head: &mut Parts,
        body: Body,
        trace: &mut Trace,
    ) -> Result<Body, Refusal> {
        let began = Instant::now();
        let carried = filter.carry(Request::from_parts(head.clone(), body)).await;
        match carried {
            Carried::On(request, passage) => {
                self.note(filter, ("continue", ""), began, trace);
                self.passages.lock().extend(passage.map(|one| (place, one)));
                let (new, body) = request.into_parts();
                changed(head, new);
                Ok(body)
            }
            Carried::Answer(response) => {
                self.note(filter, ("respond", ""), began, trace);
                Err(self.answered(filter, response, trace).await)
            }
            Carried::Respond(reply) => {
                self.note(filter, ("respond", &reply.reason), began, trace);
                Err(replied(reply, trace))
            }
        }
    }

    /// Hands the answer back to a filter that carried the request.
    pub(super) async fn returned(
        &self,
        (place, filter): (usize, &Arc<dyn Filter>),
        (mut head, body): (http::response::Parts, Body),
        trace: &mut Trace,
    ) -> (http::response::Parts, Body) {
        let passage = {
            let mut passages = self.passages.lock();
            let found = passages.iter().position(|(own, _)| *own == place);
            found.map(|at| passages.swap_remove(at).1)
        };
        let Some(passage) = passage else {
            return (head, body);
        };
        let began = Instant::now();
        match passage.back(Response::from_parts(head.clone(), body)).await {
            Ok(made) => {
                self.note(filter, ("continue", ""), began, trace);
                let (new, body) = made.into_parts();
                head.status = new.status;
                head.headers = reframed(&head.headers, new.headers);
                (head, body)
            }
            Err(reply) => {
                self.note(filter, ("respond", &reply.reason), began, trace);
                let refusal = replied(reply, trace);
                trace.local_reply(refusal).into_parts()
            }
        }
    }

    /// A filter's own answer, which is held whole like any local reply.
    async fn answered(
        &self,
        filter: &Arc<dyn Filter>,
        response: Response<Body>,
        trace: &mut Trace,
    ) -> Refusal {
        let (head, body) = response.into_parts();
        let (policy, plugin) = filter.label();
        match Buffered::read(body, MOST, None).await {
            Ok(whole) => replied(
                Reply {
                    status: head.status,
                    headers: reframed(&HeaderMap::new(), head.headers),
                    body: whole.data,
                    policy,
                    plugin,
                    reason: "the middleware answered itself".to_owned(),
                },
                trace,
            ),
            Err(why) => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Flag::Denied,
                format!("the answer of plugin {plugin} is not whole: {why}"),
            ),
        }
    }
}

/// A request's head as a filter made it.
fn changed(head: &mut Parts, new: Parts) {
    head.method = new.method;
    let named = new.uri.authority().cloned();
    let before = head.uri.authority().map(ToString::to_string).or_else(|| {
        let host = head.headers.get(HOST)?;
        host.to_str().ok().map(str::to_owned)
    });
    let other = named.filter(|named| before.is_some_and(|before| before != named.as_str()));
    head.headers = reframed(&head.headers, new.headers);
    if let Some(other) = &other
        && let Ok(host) = HeaderValue::from_str(other.as_str())
    {
        head.headers.insert(HOST, host);
    }
    let authority = other.filter(|_| head.uri.authority().is_some());
    let path = new.uri.path_and_query().cloned();
    head.uri = rewrite::replace(&head.uri, authority, path);
}

/// A filter's headers, but for those that frame the message.
fn reframed(before: &HeaderMap, mut new: HeaderMap) -> HeaderMap {
    for name in &FRAMING {
        new.remove(name);
        for value in before.get_all(name) {
            new.append(name, value.clone());
        }
    }
    new
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parts(builder: http::request::Builder) -> Parts {
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_frames_a_message_stays_and_the_rest_is_the_filters() {
        let mut head = parts(
            Request::get("/a?x=1")
                .header("host", "web")
                .header("x-old", "1")
                .header("connection", "close"),
        );
        let new = parts(
            Request::post("http://web/b")
                .header("x-new", "2")
                .header("transfer-encoding", "chunked"),
        );
        changed(&mut head, new);
        assert_eq!(
            (head.method.as_str(), head.uri.to_string()),
            ("POST", "/b".to_owned())
        );
        let has = |name: &str| {
            head.headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            (has("host").as_deref(), has("connection").as_deref()),
            (Some("web"), Some("close"))
        );
        assert_eq!(
            (
                has("x-old"),
                has("x-new").as_deref(),
                has("transfer-encoding")
            ),
            (None, Some("2"), None)
        );
    }

    #[test]
    fn another_authority_is_the_host_that_is_called() {
        let mut head = parts(Request::get("http://web/a").header("host", "web"));
        changed(&mut head, parts(Request::get("http://other:81/a")));
        assert_eq!(head.uri.to_string(), "http://other:81/a");
        assert_eq!(head.headers.get("host").unwrap(), "other:81");
    }
}
