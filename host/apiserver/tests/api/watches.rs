//! Watches: what a reader sees of changes, and how it starts and ends.

use http_body_util::BodyExt;
use osier_apiserver::User;
use osier_process::body::Body;
use serde_json::{Value, json};

use crate::custom::{DEFINITION, DEFINITIONS, TABS, definition, tab};
use crate::server::{MAPS, Server, map, request};

/// Reads the events of a watch one by one.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    async fn open(server: &Server, path: &str, accept: &str) -> Self {
        let mut request = request("GET", path, "", "");
        request
            .headers_mut()
            .insert("accept", accept.parse().unwrap());
        let answer = server
            .api
            .call(&User::new("admin", ["system:masters"]), request)
            .await;
        assert_eq!(answer.status(), 200);
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// The next event, or `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        while !self.text.contains('\n') {
            let data = self.body.frame().await?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
        let (line, rest) = self.text.split_once('\n').unwrap();
        let event = serde_json::from_str(line).unwrap();
        self.text = rest.to_owned();
        Some(event)
    }

    /// Type and name of the next event.
    async fn brief(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&event["type"]),
            text(&event["object"]["metadata"]["name"]),
        )
    }
}

fn brief(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn changes_after_a_list_arrive_in_order() {
    let server = Server::new().await;
    server.post(MAPS, map("before")).await.good();
    let version = server.get(MAPS).await.good()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut events = Events::open(
        &server,
        &format!("{MAPS}?watch=true&resourceVersion={version}"),
        "",
    )
    .await;
    let made = server.post(MAPS, map("m")).await.good();
    let changed = server
        .merge(&format!("{MAPS}/m"), json!({"data": {"a": "2"}}))
        .await
        .good();
    server.delete(&format!("{MAPS}/m"), json!({})).await.good();
    assert_eq!(
        events.next().await.unwrap(),
        json!({"type": "ADDED", "object": made})
    );
    assert_eq!(
        events.next().await.unwrap(),
        json!({"type": "MODIFIED", "object": changed})
    );
    let deleted = events.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(deleted["object"]["data"]["a"], "2");
    let number = |object: &Value| -> u64 {
        object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert!(
        number(&deleted["object"]) > number(&changed),
        "the deletion has a revision of its own"
    );
}

#[tokio::test]
async fn without_a_revision_it_begins_with_what_is_there() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let mut events = Events::open(&server, &format!("{MAPS}?{query}"), "").await;
        assert_eq!(events.brief().await, brief("ADDED", "m"));
    }
}

#[tokio::test]
async fn entering_and_leaving_a_selector() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    let mut events = Events::open(
        &server,
        &format!("{MAPS}?watch=true&labelSelector=color"),
        "",
    )
    .await;
    let path = format!("{MAPS}/m");
    server
        .merge(&path, json!({"metadata": {"labels": {"color": "red"}}}))
        .await
        .good();
    server
        .merge(&path, json!({"metadata": {"labels": {"color": "blue"}}}))
        .await
        .good();
    server
        .merge(&path, json!({"metadata": {"labels": {"color": null}}}))
        .await
        .good();
    server
        .merge(&path, json!({"data": {"b": "unseen"}}))
        .await
        .good();
    server
        .merge(&path, json!({"metadata": {"labels": {"color": "green"}}}))
        .await
        .good();
    server.delete(&path, json!({})).await.good();
    for kind in ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"] {
        assert_eq!(events.brief().await, brief(kind, "m"));
    }
}

#[tokio::test]
async fn one_object_by_name_and_all_namespaces() {
    let server = Server::new().await;
    let mut one = Events::open(
        &server,
        &format!("{MAPS}?watch=true&fieldSelector=metadata.name=b"),
        "",
    )
    .await;
    let mut all = Events::open(&server, "/api/v1/configmaps?watch=true", "").await;
    server.post(MAPS, map("a")).await.good();
    server
        .post("/api/v1/namespaces/kube-system/configmaps", map("b"))
        .await
        .good();
    server.post(MAPS, map("b")).await.good();
    assert_eq!(one.brief().await, brief("ADDED", "b"));
    assert_eq!(
        [
            all.brief().await.1,
            all.brief().await.1,
            all.brief().await.1
        ],
        ["a", "b", "b"]
    );
}

#[tokio::test]
async fn events_show_objects_as_they_are_read() {
    let server = Server::new().await;
    let all = Events::open(&server, &format!("{MAPS}?watch=true"), "").await;
    server.post(MAPS, map("b")).await.good();
    server.post(MAPS, map("b2")).await.good();
    // Each asks for the same in another way; the last has to read what the others hand on.
    let asked = |selectors: &str| format!("{MAPS}?watch=true&resourceVersion=1&{selectors}");
    let mut watches = vec![all];
    for selectors in [
        "fieldSelector=metadata.name=b",
        "fieldSelector=metadata.name=b,metadata.namespace=default",
    ] {
        watches.push(Events::open(&server, &asked(selectors), "").await);
    }
    let path = format!("{MAPS}/b");
    let made = server.get(&path).await.good();
    let changed = server
        .merge(&path, json!({"data": {"z": "é\n"}}))
        .await
        .good();
    server.delete(&path, json!({})).await.good();
    for watch in &mut watches {
        let mut events = Vec::new();
        while events.len() < 3 {
            let event = watch.next().await.unwrap();
            if event["object"]["metadata"]["name"] == "b" {
                events.push(event);
            }
        }
        assert_eq!(events[0], json!({"type": "ADDED", "object": made}));
        assert_eq!(events[1], json!({"type": "MODIFIED", "object": changed}));
        let mut gone = changed.clone();
        gone["metadata"]["resourceVersion"] =
            events[2]["object"]["metadata"]["resourceVersion"].clone();
        assert_ne!(gone, changed, "the last state has the deletion's revision");
        assert_eq!(events[2], json!({"type": "DELETED", "object": gone}));
    }
}

#[tokio::test]
async fn a_watch_of_one_begins_with_that_one() {
    let server = Server::new().await;
    for name in ["b", "b2"] {
        server.post(MAPS, map(name)).await.good();
    }
    let path = format!("{MAPS}?watch=true&fieldSelector=metadata.name=b&timeoutSeconds=1");
    let mut one = Events::open(&server, &path, "").await;
    assert_eq!(one.brief().await, brief("ADDED", "b"));
    assert_eq!(one.next().await, None);
}

#[tokio::test]
async fn the_initial_events_end_with_a_bookmark() {
    let server = Server::new().await;
    server.post(MAPS, map("a")).await.good();
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = Events::open(&server, &format!("{MAPS}?{query}"), "").await;
    assert_eq!(events.brief().await, brief("ADDED", "a"));
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    server.post(MAPS, map("b")).await.good();
    assert_eq!(events.brief().await, brief("ADDED", "b"));
    assert_eq!(
        server
            .get(&format!("{MAPS}?watch=true&sendInitialEvents=true"))
            .await
            .code,
        400
    );
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_at_the_end() {
    let server = Server::new().await;
    let query = "watch=true&allowWatchBookmarks=true&timeoutSeconds=90&resourceVersion=1";
    let mut events = Events::open(&server, &format!("/api/v1/pods?{query}"), "").await;
    let current = server.get(MAPS).await.good()["metadata"]["resourceVersion"].clone();
    for _ in 0..2 {
        let bookmark = events.next().await.unwrap();
        assert_eq!(
            (&bookmark["type"], &bookmark["object"]["kind"]),
            (&json!("BOOKMARK"), &json!("Pod"))
        );
        assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], current);
    }
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_it_quietly() {
    let server = Server::new().await;
    let mut events = Events::open(&server, "/api/v1/pods?watch=true&timeoutSeconds=5", "").await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn it_ends_with_the_server() {
    let server = Server::new().await;
    let mut events = Events::open(&server, "/api/v1/pods?watch=true", "").await;
    server.tasks.stop();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_to_start_again() {
    let server = Server::new().await;
    let mut events = Events::open(&server, &format!("{MAPS}?watch=true"), "").await;
    server.post(MAPS, map("m")).await.good();
    for number in 0..1100 {
        server
            .merge(
                &format!("{MAPS}/m"),
                json!({"data": {"a": number.to_string()}}),
            )
            .await
            .good();
    }
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event;
    }
    assert_eq!(last["type"], "ERROR");
    assert_eq!(
        (&last["object"]["code"], &last["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
}

#[tokio::test]
async fn rows_of_a_table() {
    let server = Server::new().await;
    server.post(MAPS, map("m")).await.good();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut events = Events::open(&server, &format!("{MAPS}?watch=true"), accept).await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["kind"]),
        (&json!("ADDED"), &json!("Table"))
    );
    assert_eq!(event["object"]["rows"][0]["cells"][0], "m");
}

#[tokio::test]
async fn a_future_revision_is_refused() {
    let server = Server::new().await;
    assert_eq!(
        server
            .get(&format!("{MAPS}?watch=true&resourceVersion=99999"))
            .await
            .code,
        504
    );
}

#[tokio::test]
async fn a_watch_of_a_kind_ends_when_its_definition_changes_and_goes_on_when_another_does() {
    let server = Server::new().await;
    server.post(DEFINITIONS, definition()).await.good();
    let mut events = Events::open(&server, &format!("{TABS}?watch=true"), "").await;
    server.post(TABS, tab("a")).await.good();
    assert_eq!(events.brief().await, brief("ADDED", "a"));
    let mut other = definition();
    other["metadata"]["name"] = json!("tabs.stable.example.com");
    other["spec"]["names"] = json!({"plural": "tabs", "kind": "Tab"});
    server.post(DEFINITIONS, other).await.good();
    server.post(TABS, tab("b")).await.good();
    assert_eq!(events.brief().await, brief("ADDED", "b"));
    let columns = json!([{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]);
    let media = "application/json-patch+json";
    let change = request("PATCH", DEFINITION, media, &columns.to_string());
    server.send(change).await.good();
    assert_eq!(events.next().await, None);
}
