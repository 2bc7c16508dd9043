//! Who gets an instance, who waits, who is refused, and how a container ends.

use crate::guests::{container, engine, eventually, get, serve, text, wasm};
use futures::FutureExt;
use osier_engine::{CallError, Container, Engine, HttpContainer, Settings};
use osier_process::Tasks;
use std::time::{Duration, Instant};

/// Starts a request in the background.
fn begin(
    http: &HttpContainer,
    path: &'static str,
) -> tokio::task::JoinHandle<Result<(), CallError>> {
    let http = http.clone();
    tokio::spawn(async move { get(&http, path).await.map(drop) })
}

#[tokio::test]
async fn beyond_the_queue_a_request_is_refused_at_once() {
    let http = serve(Container {
        max_instances: 1,
        max_queued: 1,
        ..container()
    });
    let running = begin(&http, "/wait");
    eventually("one runs", || http.usage().instances == 1).await;
    let queued = begin(&http, "/hello");
    // One thread: it runs now, up to its place in the queue.
    tokio::task::yield_now().await;
    assert_eq!(
        get(&http, "/hello").now_or_never().unwrap().map(drop),
        Err(CallError::Overloaded)
    );
    running.abort();
    assert_eq!(
        queued.await.unwrap(),
        Ok(()),
        "the place of the aborted request is free"
    );
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_may_take() {
    let http = serve(Container {
        max_instances: 1,
        request_deadline: Duration::from_millis(300),
        ..container()
    });
    let holder = get(&http, "/drip").await.unwrap();
    assert_eq!(
        get(&http, "/hello").await.map(drop),
        Err(CallError::Overloaded)
    );
    drop(holder);
    assert_eq!(text(&http, "/hello").await, "hello");
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_guest() {
    let http = serve(container());
    let waiting = begin(&http, "/wait");
    eventually("it runs", || http.usage().instances == 1).await;
    waiting.abort();
    eventually("it is gone", || http.usage().instances == 0).await;
    assert_eq!(http.usage().memory, 0);
}

#[tokio::test]
async fn an_idle_container_holds_no_instance() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        idle: Duration::from_millis(30),
        ..Settings::new(dir.path(), Tasks::new())
    };
    let engine = Engine::start(settings).unwrap();
    let http = engine
        .workload(&wasm(crate::guests::HTTP))
        .unwrap()
        .http(container())
        .unwrap();
    assert_eq!(text(&http, "/count").await, "1");
    eventually("it cools", || http.usage().instances == 0).await;
    assert_eq!(http.usage().memory, 0);
    assert_eq!(text(&http, "/count").await, "1", "a fresh instance serves");
}

#[tokio::test]
async fn of_too_many_idle_containers_the_longest_idle_hold_no_instance() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_warm: 4,
        ..Settings::new(dir.path(), Tasks::new())
    };
    let engine = Engine::start(settings).unwrap();
    let workload = engine.workload(&wasm(crate::guests::HTTP)).unwrap();
    let mut all = Vec::new();
    for _ in 0..12 {
        let http = workload.http(container()).unwrap();
        assert_eq!(text(&http, "/count").await, "1");
        all.push(http);
    }
    let warm = || all.iter().map(|http| http.usage().instances).sum::<u32>();
    eventually("most have cooled", || warm() <= 4).await;
    let last = all.pop().unwrap();
    assert_eq!(text(&last, "/count").await, "2", "the latest is warm still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_requests_finish_and_then_ends_them() {
    let http = serve(container());
    let short = tokio::spawn({
        let http = http.clone();
        async move { text(&http, "/late/100").await }
    });
    let long = begin(&http, "/wait");
    let spinning = begin(&http, "/spin");
    eventually("all run", || http.usage().instances == 3).await;
    let begun = Instant::now();
    let stopping = tokio::spawn({
        let http = http.clone();
        async move { http.stop(Duration::from_millis(600)).await }
    });
    eventually("new requests are refused", || {
        let refused = get(&http, "/hello").now_or_never();
        refused.is_some_and(|answer| answer.is_err_and(|error| error == CallError::Stopped))
    })
    .await;
    assert_eq!(short.await.unwrap(), "later");
    stopping.await.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "two were still running"
    );
    assert_eq!(long.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(spinning.await.unwrap(), Err(CallError::Stopped));
    eventually("nothing is left", || http.usage().instances == 0).await;
}

#[tokio::test]
async fn stopping_an_idle_container_is_immediate() {
    let http = serve(container());
    text(&http, "/hello").await;
    let begun = Instant::now();
    http.stop(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(http.usage().instances, 0);
    assert_eq!(
        get(&http, "/hello").await.map(drop),
        Err(CallError::Stopped)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_share_few_instances() {
    let _ = engine();
    let http = serve(Container {
        max_instances: 3,
        max_queued: 200,
        ..container()
    });
    let all = (0..200).map(|_| begin(&http, "/hello"));
    for answered in futures::future::join_all(all).await {
        assert_eq!(answered.unwrap(), Ok(()));
    }
    let usage = http.usage();
    assert!(usage.instances <= 3, "{usage:?}");
    assert_eq!(usage.requests, 200);
}

#[tokio::test]
async fn warm_instances_make_room_when_the_pool_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_instances: 16,
        ..Settings::new(dir.path(), Tasks::new())
    };
    let workload = Engine::start(settings)
        .unwrap()
        .workload(&wasm(crate::guests::HTTP))
        .unwrap();
    let pods: Vec<_> = (0..20)
        .map(|_| workload.http(container()).unwrap())
        .collect();
    for http in &pods {
        assert_eq!(text(http, "/hello").await, "hello");
    }
    // Instances at work are not taken away.
    let busy = futures::future::join_all(pods.iter().take(16).map(|http| get(http, "/drip"))).await;
    assert!(busy.iter().all(Result::is_ok));
    assert_eq!(
        get(&pods[19], "/hello").await.map(drop),
        Err(CallError::Overloaded)
    );
    drop(busy);
    assert_eq!(text(&pods[19], "/hello").await, "hello");
}

#[tokio::test]
async fn a_small_memory_limit_means_fewer_instances_not_failures() {
    // Room for two instances of a little more than 1 MiB.
    let http = serve(Container {
        memory_limit: 3 << 20,
        max_instances: 8,
        max_queued: 100,
        ..container()
    });
    let all = (0..40).map(|_| begin(&http, "/hello"));
    for answered in futures::future::join_all(all).await {
        assert_eq!(answered.unwrap(), Ok(()));
    }
}
