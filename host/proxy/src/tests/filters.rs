//! Filters around the call, on both sides.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use osier_snapshot::HeaderOperation;

use super::*;
use crate::{BodyVerdict, Change, Exchange, HeadVerdict, Reply};

/// What a filter of these tests does.
#[derive(Clone, Default)]
struct Script {
    name: &'static str,
    /// Bytes of the request's body that it asks for.
    request_body: Option<u64>,
    /// Likewise of the response's.
    response_body: Option<u64>,
    respond: Option<u16>,
    trailers: bool,
}

impl Script {
    fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    fn mark(&self, header: &'static str) -> Change {
        Change::Header(HeaderOperation::Add(
            HeaderName::from_static(header),
            HeaderValue::from_static(self.name),
        ))
    }
}

impl Filter for Script {
    fn label(&self) -> (Arc<str>, Arc<str>) {
        ("p".into(), "f".into())
    }

    fn on_request(&self, _: &Exchange<'_>, _: &HeaderMap) -> HeadVerdict {
        if let Some(status) = self.respond {
            return HeadVerdict::Respond(Reply {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"own"),
                policy: "p".into(),
                plugin: "f".into(),
                reason: "told so".into(),
            });
        }
        match self.request_body {
            Some(limit) => HeadVerdict::NeedBody(limit),
            None => HeadVerdict::Proceed(vec![self.mark("x-request")]),
        }
    }

    fn on_request_body(&self, _: &Exchange<'_>, _: &HeaderMap, body: &[u8]) -> BodyVerdict {
        BodyVerdict::Proceed(Vec::new(), Some(body.to_ascii_uppercase().into()))
    }

    fn sees_responses(&self) -> bool {
        true
    }

    fn on_response(&self, _: &Exchange<'_>, _: StatusCode, _: &HeaderMap) -> HeadVerdict {
        match self.response_body {
            Some(limit) => HeadVerdict::NeedBody(limit),
            None => HeadVerdict::Proceed(vec![self.mark("x-response")]),
        }
    }

    fn on_response_body(
        &self,
        _: &Exchange<'_>,
        _: (StatusCode, &HeaderMap),
        body: &[u8],
    ) -> BodyVerdict {
        BodyVerdict::Proceed(Vec::new(), Some([body, b"!"].concat().into()))
    }

    fn sees_trailers(&self) -> bool {
        self.trailers
    }

    fn on_trailers(
        &self,
        _: &Exchange<'_>,
        response: bool,
        _: &HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        assert!(response);
        match self.mark("x-trailer") {
            Change::Header(operation) => Ok(vec![operation]),
            _ => Ok(Vec::new()),
        }
    }
}

fn mesh(direction: Direction, scripts: &[Script]) -> Mesh {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    let scripts = scripts.to_vec();
    *mesh.gate.filters.lock() = Box::new(move |call| {
        let scripts = scripts.iter().filter(|_| call.direction == direction);
        scripts
            .map(|script| Arc::new(script.clone()) as Arc<dyn Filter>)
            .collect()
    });
    mesh
}

fn marks(headers: &HeaderMap, name: &str) -> Vec<String> {
    let all = headers.get_all(name).iter();
    all.map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

const SIDES: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

#[tokio::test]
async fn requests_meet_filters_in_order_and_responses_in_reverse() {
    for side in SIDES {
        let mesh = mesh(side, &[Script::named("one"), Script::named("two")]);
        mesh.pod("echo-0", |request| {
            Box::pin(async move {
                let seen = marks(request.headers(), "x-request").join(",");
                Ok(Response::new(body::full(seen)))
            })
        });
        let response = mesh.send(get("http://a/")).await;
        assert_eq!(marks(response.headers(), "x-response"), ["two", "one"]);
        assert_eq!(text(response).await, "one,two");
    }
}

#[tokio::test]
async fn a_body_comes_whole_to_the_filter_that_asks_for_it() {
    let script = Script {
        request_body: Some(5),
        // Large enough for the proxy's own words, which pass the filter too.
        response_body: Some(256),
        ..Script::named("f")
    };
    for side in SIDES {
        let mesh = mesh(side, std::slice::from_ref(&script));
        let response = mesh.send(post("http://a/", "hello")).await;
        assert_eq!(response.headers()["content-length"], "13");
        assert_eq!(text(response).await, "echo-0:HELLO!");
        let refused = mesh.send(post("http://a/", "longer")).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(mesh.called().len(), 1, "the pod did not see it");
    }
}

#[tokio::test]
async fn a_response_larger_than_its_filter_takes_is_a_500() {
    let script = Script {
        response_body: Some(3),
        ..Script::named("f")
    };
    let mesh = mesh(Direction::Outbound, &[script]);
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_local_reply_passes_the_response_filters_and_is_not_retried() {
    let responding = Script {
        respond: Some(418),
        ..Script::named("f")
    };
    for side in SIDES {
        let mesh = mesh(side, &[responding.clone(), Script::named("other")]);
        mesh.publish(
            1,
            to_echo(json!({"retries": {"attempts": 3, "retryOn": "retriable-4xx"}})),
        );
        let response = mesh.send(get("http://a/")).await;
        assert_eq!(response.status().as_u16(), 418);
        assert_eq!(marks(response.headers(), "x-response"), ["other", "f"]);
        assert_eq!(text(response).await, "own");
        assert_eq!(mesh.called().len(), 0);
        let report = mesh.report();
        assert_eq!(
            (report.verdict, report.policy.as_str(), report.flags),
            ("deny", "p", "UAEX")
        );
        assert_eq!(
            report.decisions,
            [
                "filter respond told so",
                "filter continue ",
                "filter continue "
            ]
        );
    }
}

#[tokio::test]
async fn a_denial_passes_the_response_filters_too() {
    for side in SIDES {
        let mesh = mesh(side, &[Script::named("f")]);
        *mesh.gate.check.lock() = Box::new(move |call| match call.direction == side {
            false => Verdict::Allow(Approval::default()),
            true => Verdict::Deny(Denial {
                status: StatusCode::FORBIDDEN,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                policy: "p".into(),
                plugin: "c".into(),
                reason: "no".into(),
                failed: false,
                decisions: Vec::new(),
            }),
        });
        let response = mesh.send(get("http://a/")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(marks(response.headers(), "x-response"), ["f"]);
    }
}

#[tokio::test]
async fn trailers_pass_the_filters_that_want_them() {
    let script = Script {
        trailers: true,
        ..Script::named("f")
    };
    for side in SIDES {
        let mesh = mesh(side, std::slice::from_ref(&script));
        mesh.pod("echo-0", |_| {
            let trailers = headers_of("grpc-status", "0");
            let body = Full::new(Bytes::from_static(b"data"))
                .with_trailers(std::future::ready(Some(Ok(trailers))));
            Box::pin(async { Ok(Response::new(body::boxed(body))) })
        });
        let whole = mesh
            .send(get("http://a/"))
            .await
            .into_body()
            .collect()
            .await
            .unwrap();
        let trailers = whole.trailers().unwrap();
        assert_eq!(marks(trailers, "x-trailer"), ["f"]);
        assert_eq!(marks(trailers, "grpc-status"), ["0"]);
    }
}

fn headers_of(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )])
}
