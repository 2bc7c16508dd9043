//! Guests that fail: each costs its own request and nothing else.

use crate::guests::{container, get, serve, text};
use http_body_util::BodyExt;
use osier_engine::{CallError, Container};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_trap_costs_one_request() {
    let http = serve(container());
    let CallError::Trap { reason, backtrace } = get(&http, "/trap").await.unwrap_err() else {
        panic!("no trap")
    };
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(!backtrace.is_empty() && !reason.contains('\n'));
    assert_eq!(text(&http, "/count").await, "1", "a fresh instance");
    assert_eq!(http.usage().traps, 1);
}

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory_and_gives_it_back() {
    let http = serve(Container {
        memory_limit: 16 << 20,
        ..container()
    });
    let bombed = get(&http, "/bomb").await.unwrap_err();
    assert_eq!(bombed, CallError::OutOfMemory { limit: 16 << 20 });
    assert_eq!(http.usage().memory, 0);
    assert_eq!(text(&http, "/hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_ends_at_the_deadline_and_others_are_served_meanwhile() {
    let spinner = serve(Container {
        request_deadline: Duration::from_millis(400),
        ..container()
    });
    let http = serve(container());
    http.start().await.unwrap();
    let spins = (0..4).map(|_| {
        let spinner = spinner.clone();
        tokio::spawn(async move { get(&spinner, "/spin").await.map(drop) })
    });
    let spins: Vec<_> = spins.collect();
    let mut served = 0;
    while !spins.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(text(&http, "/hello").await, "hello");
        served += 1;
    }
    assert!(
        served >= 5,
        "only {served} requests were served beside four loops"
    );
    for spin in spins {
        assert!(matches!(
            spin.await.unwrap(),
            Err(CallError::Deadline { .. })
        ));
    }
    assert_eq!(spinner.usage().instances, 0);
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_ends_at_the_deadline() {
    let http = serve(Container {
        request_deadline: SOON,
        ..container()
    });
    let begun = Instant::now();
    assert_eq!(
        get(&http, "/wait").await.unwrap_err(),
        CallError::Deadline { limit: SOON }
    );
    assert!(begun.elapsed() >= SOON);
    assert_eq!(http.usage().instances, 0);
}

#[tokio::test]
async fn no_answer_is_said_to_be_none() {
    let http = serve(container());
    assert_eq!(
        get(&http, "/silent").await.unwrap_err(),
        CallError::NoResponse
    );
    let CallError::Refused { code } = get(&http, "/refuse").await.unwrap_err() else {
        panic!("an answer")
    };
    assert!(code.contains("HttpRequestDenied"), "{code}");
    assert_eq!(text(&http, "/hello").await, "hello");
}

#[tokio::test]
async fn a_failure_after_the_head_breaks_the_body() {
    let http = serve(Container {
        request_deadline: SOON,
        ..container()
    });
    for (path, says) in [("/half-trap", "unreachable"), ("/half-spin", "deadline")] {
        let mut answer = get(&http, path).await.unwrap().into_body();
        assert_eq!(
            answer.frame().await.unwrap().unwrap().into_data().unwrap(),
            "half"
        );
        let error = answer.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains(says), "{path}: {error}");
        assert!(error.is::<CallError>());
        assert!(answer.frame().await.is_none());
    }
    assert_eq!(http.usage().traps, 2);
    assert_eq!(http.usage().instances, 0);
}

#[tokio::test]
async fn a_guest_that_leaves_its_body_open_is_not_used_again() {
    let http = serve(container());
    assert_eq!(text(&http, "/leak").await, "leaked");
    assert_eq!(http.usage().instances, 0);
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_an_error_for_the_guest_only() {
    let http = serve(container());
    let broken = futures::stream::iter([Ok("a".into()), Err("cable cut".into())]);
    let request = http::Request::post("http://fixture/echo")
        .body(osier_process::body::stream(broken))
        .unwrap();
    // The fixture traps when the trailers cannot be read.
    let answer = http.call(request).await;
    let ended = match answer {
        Ok(answer) => answer
            .into_body()
            .collect()
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    drop(ended);
    assert_eq!(text(&http, "/hello").await, "hello");
}
