//! Services and programs of WASI 0.3.

use crate::guests::{Net, PROGRAM03, Paper, WASI03, container, eventually, request, workload};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use osier_engine::{CallError, Container, Exit, HttpContainer, OutgoingError};
use osier_process::Boxed;
use osier_process::body::{self, Body};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn serve(container: Container) -> HttpContainer {
    let workload = workload(WASI03);
    assert!(workload.serves_http() && !workload.is_command());
    workload.http(container).unwrap()
}

async fn text(http: &HttpContainer, path: &str) -> Result<String, CallError> {
    let answer = http.call(request(path)).await?;
    assert_eq!(answer.headers()["x-wasi"], "0.3");
    let whole = answer.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(whole.to_vec()).unwrap())
}

#[tokio::test]
async fn requests_meet_in_one_instance() {
    let http = serve(Container {
        max_instances: 8,
        ..container()
    });
    http.start().await.unwrap();
    let all = join_all((0..8).map(|_| text(&http, "/meet/8"))).await;
    let mut places: Vec<String> = all.into_iter().map(Result::unwrap).collect();
    places.sort();
    assert_eq!(places, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!((http.usage().instances, http.usage().requests), (1, 8));
    assert_eq!(text(&http, "/file").await.unwrap(), "false");
}

#[tokio::test]
async fn what_is_beyond_the_bound_waits_or_is_refused() {
    let http = serve(Container {
        max_instances: 2,
        max_queued: 1,
        ..container()
    });
    let two = join_all((0..2).map(|_| text(&http, "/meet/3")));
    let waits = text(&http, "/meet/1");
    let refused = async {
        // The others have come before.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        text(&http, "/").await
    };
    tokio::select! {
        biased;
        _ = two => panic!("they wait for a third"),
        _ = waits => panic!("there is no room"),
        refused = refused => assert_eq!(refused, Err(CallError::Overloaded)),
    }
}

#[tokio::test]
async fn an_instance_that_has_served_its_share_is_replaced() {
    let http = serve(Container {
        max_requests_per_instance: 2,
        ..container()
    });
    for _ in 0..5 {
        assert_eq!(text(&http, "/x").await.unwrap(), "/x\n");
    }
    eventually("one instance is left", || http.usage().instances == 1).await;
}

#[tokio::test]
async fn bodies_stream_both_ways_with_trailers() {
    let http = serve(container());
    let pieces = futures::stream::iter((0..200).map(|_| Ok(Bytes::from(vec![7; 50_000]))));
    let asked = Request::post("http://fixture/echo")
        .body(body::stream(pieces))
        .unwrap();
    let answer = http.call(asked).await.unwrap();
    let (mut count, mut body) = (0, answer.into_body());
    while let Some(frame) = body.frame().await {
        count += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(count, 200 * 50_000);
    let answer = http.call(request("/drip/20")).await.unwrap();
    let whole = answer.into_body().collect().await.unwrap();
    let trailers: &HeaderMap = whole.trailers().unwrap();
    assert_eq!(trailers["x-count"], "20");
    assert_eq!(
        whole
            .to_bytes()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        20
    );
}

#[tokio::test]
async fn what_it_asks_of_others_goes_out_by_the_same_door() {
    let outgoing = Net(
        |request: Request<Body>, _| -> Boxed<'static, Result<Response<Body>, OutgoingError>> {
            let asked = request.uri().to_string();
            Box::pin(async move {
                match asked.contains("nobody") {
                    true => Err(OutgoingError::Denied),
                    false => Ok(Response::new(body::full(asked))),
                }
            })
        },
    );
    let http = serve(Container {
        outgoing: Arc::new(outgoing),
        ..container()
    });
    assert_eq!(
        text(&http, "/call/other").await.unwrap(),
        "http://other/called"
    );
    let denied = text(&http, "/call/nobody").await.unwrap_err();
    assert!(
        matches!(&denied, CallError::Refused { code } if code.contains("Denied")),
        "{denied}"
    );
    let refused = text(&http, "/refuse").await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused { code } if code.contains("ConnectionRefused")));
}

#[tokio::test]
async fn a_trap_fails_what_was_under_way_and_nothing_after() {
    let http = serve(container());
    let (met, trapped) = tokio::join!(text(&http, "/meet/9"), async {
        tokio::task::yield_now().await;
        text(&http, "/trap").await
    });
    for failed in [met, trapped] {
        assert!(matches!(failed, Err(CallError::Trap { .. })), "{failed:?}");
    }
    assert_eq!(text(&http, "/x").await.unwrap(), "/x\n");
    assert_eq!(http.usage().traps, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_told_and_the_rest_goes_on() {
    for path in ["/hang", "/spin"] {
        let http = serve(Container {
            request_deadline: Duration::from_millis(300),
            ..container()
        });
        let begun = Instant::now();
        let late = text(&http, path).await;
        assert!(
            matches!(
                late,
                Err(CallError::Deadline { .. } | CallError::Trap { .. })
            ),
            "{path}: {late:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(text(&http, "/x").await.unwrap(), "/x\n", "{path}");
        eventually("the late instance is gone", || http.usage().instances == 1).await;
    }
}

#[tokio::test]
async fn it_stops_after_what_it_has() {
    let http = serve(container());
    let answer = http.call(request("/drip/50")).await.unwrap();
    let stopping = http.clone();
    let stopped = tokio::spawn(async move { stopping.stop(Duration::from_secs(20)).await });
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-count"], "50");
    stopped.await.unwrap();
    assert_eq!(text(&http, "/x").await, Err(CallError::Stopped));
    eventually("no instance is left", || http.usage().instances == 0).await;
}

#[tokio::test]
async fn a_program_runs_to_its_end() {
    for (word, exit) in [("well", Exit::Code(0)), ("fail", Exit::Code(1))] {
        let out = Arc::new(Paper::default());
        let given = Container {
            args: vec!["program".to_owned(), word.to_owned()],
            stdout: out.clone(),
            ..container()
        };
        let program = workload(PROGRAM03);
        assert!(program.is_command());
        assert_eq!(program.command(given).unwrap().run().await, exit);
        assert_eq!(out.text(), format!("program {word}\n"));
    }
}
