//! What guests ask of others.

use crate::guests::{Net, container, serve, text};
use http::Response;
use http_body_util::BodyExt;
use osier_engine::{Container, OutgoingError, Timeouts};
use osier_process::Boxed;
use osier_process::body::{self, Body};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;

type Answer = Boxed<'static, Result<Response<Body>, OutgoingError>>;

#[tokio::test]
async fn two_services_are_asked_at_the_same_time() {
    let both = Arc::new(Barrier::new(2));
    let outgoing = Net(move |request: http::Request<Body>, _| -> Answer {
        let both = both.clone();
        Box::pin(async move {
            // Neither is answered before both are asked.
            both.wait().await;
            let host = request.uri().host().unwrap_or_default().to_owned();
            assert_eq!(request.headers()["host"], host);
            Ok(Response::new(body::full(format!("{host}!"))))
        })
    });
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    assert_eq!(
        text(&http, "/call/details/reviews").await,
        "details!+reviews!"
    );
}

#[tokio::test]
async fn one_pod_is_answered_by_another_in_memory() {
    let other = serve(container());
    let outgoing = Net(move |request, _| -> Answer {
        let other = other.clone();
        Box::pin(async move {
            other
                .call(request)
                .await
                .map_err(|error| OutgoingError::Internal(error.to_string()))
        })
    });
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    assert_eq!(
        text(&http, "/call/other/other/other").await,
        "hello+hello+hello"
    );
}

#[tokio::test]
async fn a_guest_learns_why_it_got_no_answer() {
    let outgoing = Net(|request: http::Request<Body>, _| -> Answer {
        let error = match request.uri().host() {
            Some("gone") => OutgoingError::Unavailable,
            Some("forbidden") => OutgoingError::Denied,
            Some("slow") => OutgoingError::ResponseTimeout,
            _ => OutgoingError::NotFound,
        };
        Box::pin(async move { Err(error) })
    });
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    for (host, code) in [
        ("gone", "DestinationUnavailable"),
        ("forbidden", "HttpRequestDenied"),
        ("slow", "HttpResponseTimeout"),
        ("nobody", "DestinationNotFound"),
    ] {
        let said = text(&http, &format!("/call/{host}")).await;
        assert!(said.contains(code), "{host}: {said}");
    }
}

#[tokio::test]
async fn a_guests_timeouts_are_kept() {
    let outgoing = Net(
        |request: http::Request<Body>, timeouts: Timeouts| -> Answer {
            assert_eq!(timeouts.first_byte, Some(Duration::from_millis(50)));
            Box::pin(async move {
                if request.uri().host() == Some("mute") {
                    std::future::pending::<()>().await;
                }
                let chunks = futures::stream::once(async { Ok("a".into()) });
                let never = futures::stream::pending();
                Ok(Response::new(body::stream(futures::StreamExt::chain(
                    chunks, never,
                ))))
            })
        },
    );
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    let mute = text(&http, "/impatient/mute").await;
    assert!(mute.contains("ConnectionReadTimeout"), "{mute}");
    let stalled = text(&http, "/impatient/stalled").await;
    assert!(stalled.starts_with("broken"), "{stalled}");
}

#[tokio::test]
async fn ending_a_guest_ends_what_it_asked() {
    let (asked, mut heard) = tokio::sync::mpsc::channel::<tokio::sync::oneshot::Receiver<()>>(1);
    let outgoing = Net(move |_, _| -> Answer {
        let (held, dropped) = tokio::sync::oneshot::channel();
        let asked = asked.clone();
        Box::pin(async move {
            let _ = asked.send(dropped).await;
            let _held = held;
            std::future::pending().await
        })
    });
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    let calling = tokio::spawn(async move {
        crate::guests::get(&http, "/call/other")
            .await
            .map(|answer| answer.into_body().boxed_unsync())
    });
    let dropped = heard.recv().await.unwrap();
    calling.abort();
    assert!(dropped.await.is_err(), "the outgoing request was dropped");
}
