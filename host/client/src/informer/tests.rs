//! An informer against a server that says what the test wants, in paused time.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;

use http::{Request, Response};
use osier_api::resources::PODS;
use osier_process::Boxed;
use osier_process::body::{self, Body};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::error::TransportError;
use crate::transport::Transport;

/// Answers one after the other, and remembers what was asked; when there are no more, it is silent.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    answers: VecDeque<Result<(u16, String), ()>>,
    asked: Vec<(String, Duration)>,
    began: Option<Instant>,
}

impl Transport for Script {
    fn send(
        &self,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, TransportError>> {
        let mut lines = self.0.lock();
        let began = *lines.began.get_or_insert_with(Instant::now);
        lines
            .asked
            .push((request.uri().to_string(), began.elapsed()));
        let Some(answer) = lines.answers.pop_front() else {
            return Box::pin(std::future::pending());
        };
        Box::pin(async move {
            let (code, text) = answer.map_err(|()| TransportError::Stopping)?;
            Ok(Response::builder()
                .status(code)
                .body(body::full(text))
                .unwrap())
        })
    }
}

impl Script {
    fn then(self, code: u16, answer: impl ToString) -> Self {
        self.0
            .lock()
            .answers
            .push_back(Ok((code, answer.to_string())));
        self
    }

    fn then_fails(self) -> Self {
        self.0.lock().answers.push_back(Err(()));
        self
    }

    /// Runs an informer until it has asked everything; the changes that it told.
    async fn run(&self) -> (Arc<Informer>, Vec<String>) {
        self.run_of(Scope::default()).await
    }

    /// The same of a part.
    async fn run_of(&self, scope: Scope) -> (Arc<Informer>, Vec<String>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let client = Client::new(Arc::new(self.clone()));
        let tasks = Tasks::new();
        let informer = Informer::start(client, &PODS, scope, &tasks);
        let log = Arc::clone(&told);
        informer.on_change(move |change| {
            let sign = match change {
                Change::Added(_) => '+',
                Change::Modified { .. } => '~',
                Change::Deleted(_) => '-',
            };
            log.lock().push(format!("{sign}{}", change.object().name()));
        });
        // Paused time only moves when everybody waits: after this, the last answer has been used.
        tokio::time::sleep(Duration::from_secs(600)).await;
        tasks.stop();
        let told = told.lock().clone();
        (informer, told)
    }
}

fn pod(name: &str, revision: u64) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": revision.to_string()}})
}

fn list(revision: u64, pods: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": revision.to_string()}, "items": pods})
}

fn events(events: &[(&str, Value)]) -> String {
    events
        .iter()
        .map(|(kind, object)| json!({"type": kind, "object": object}).to_string() + "\n")
        .collect()
}

fn gone() -> Value {
    json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
}

#[tokio::test(start_paused = true)]
async fn a_watch_continues_where_it_was_and_410_lists_again() {
    let script = Script::default()
        .then(200, list(5, &[pod("a", 3), pod("b", 4)]))
        .then(
            200,
            events(&[("MODIFIED", pod("a", 6)), ("BOOKMARK", pod("", 9))]),
        )
        .then(200, events(&[("ADDED", pod("c", 11)), ("ERROR", gone())]))
        .then(200, list(20, &[pod("a", 6), pod("c", 15)]));
    let (informer, told) = script.run().await;
    assert_eq!(told, ["+a", "+b", "~a", "+c", "~c", "-b"]);
    let asked = script
        .0
        .lock()
        .asked
        .iter()
        .map(|(url, _)| url.clone())
        .collect::<Vec<_>>();
    assert!(
        asked[1].contains("resourceVersion=5") && asked[2].contains("resourceVersion=9"),
        "{asked:?}"
    );
    assert!(
        !asked[3].contains("watch=true") && asked[4].contains("resourceVersion=20"),
        "{asked:?}"
    );
    assert!(informer.get("shop", "b").is_none() && informer.is_synced());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_asked_with_growing_pauses() {
    let mut script = Script::default();
    for _ in 0..12 {
        script = script.then_fails();
    }
    let script = script.then(200, list(1, &[pod("a", 1)]));
    let (informer, told) = script.run().await;
    assert_eq!(
        (told.as_slice(), informer.len()),
        (["+a".to_owned()].as_slice(), 1)
    );
    let asked = script.0.lock().asked[12].1.as_secs();
    // 50 ms doubling to 10 s, each with half of it as jitter.
    assert!(
        (26..54).contains(&asked),
        "the thirteenth attempt came after {asked} s"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_not_mirrored_and_moves_nothing() {
    let named = |name: &str, revision| {
        let mut pod = pod(name, revision);
        pod["spec"] = json!({"nodeName": if name.starts_with('n') { "n" } else { "m" }});
        pod
    };
    let mut moved = named("n1", 9);
    moved["spec"]["nodeName"] = json!("m");
    let script = Script::default()
        .then(200, list(5, &[named("n1", 3), named("m1", 4)]))
        .then(
            200,
            events(&[
                ("MODIFIED", named("m1", 6)),
                ("ADDED", named("m2", 7)),
                ("ADDED", named("n2", 8)),
                ("MODIFIED", moved),
            ]),
        );
    let scope = Scope {
        only: Some(|pod| pod.text(&["spec", "nodeName"]) == "n"),
        ..Scope::default()
    };
    let (informer, told) = script.run_of(scope).await;
    assert_eq!(told, ["+n1", "+n2", "-n1"]);
    assert_eq!((informer.len(), *informer.changed().borrow()), (1, 3));
    // What is not mirrored is not asked for again.
    let asked = script.0.lock().asked[2].0.clone();
    assert!(asked.contains("resourceVersion=9"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_told_page_by_page_and_what_it_lacks_at_its_end() {
    let page = |revision, pods: &[Value], next: &str| {
        let mut page = list(revision, pods);
        page["metadata"]["continue"] = json!(next);
        page
    };
    let script = Script::default()
        .then(200, page(5, &[pod("a", 3)], "x"))
        .then(200, page(5, &[pod("b", 4)], ""))
        .then(200, events(&[("ERROR", gone())]))
        // A list that breaks off takes nothing away.
        .then(200, page(9, &[pod("c", 8)], "y"))
        .then_fails()
        .then(200, page(9, &[pod("b", 4)], "z"))
        .then(200, page(9, &[pod("c", 8)], ""));
    let (informer, told) = script.run().await;
    assert_eq!(told, ["+a", "+b", "+c", "-a"]);
    assert_eq!(informer.len(), 2);
}
