//! Lists: pages, selectors, revisions, and the forms in which they are written.

use serde_json::{Value, json};

use crate::server::{MAPS, PODS, Server, map, pod, request};

async fn with_maps(count: usize) -> Server {
    let server = Server::new().await;
    for number in 0..count {
        let mut body = map(&format!("m{number}"));
        body["metadata"]["labels"] =
            json!({"parity": if number % 2 == 0 { "even" } else { "odd" }});
        server.post(MAPS, body).await.good();
    }
    server
}

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_show_one_state() {
    let server = with_maps(5).await;
    let first = server.get(&format!("{MAPS}?limit=2")).await.good();
    assert_eq!(names(&first), ["m0", "m1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.delete(&format!("{MAPS}/m3"), json!({})).await.good();
    server.post(MAPS, map("m9")).await.good();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = server
        .get(&format!("{MAPS}?limit=10&continue={token}"))
        .await
        .good();
    assert_eq!(names(&rest), ["m2", "m3", "m4"]);
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert_eq!(rest["metadata"]["continue"], Value::Null);
    assert_eq!(
        server.get(&format!("{MAPS}?continue=rubbish")).await.code,
        400
    );
    assert_eq!(
        server.get(&format!("{PODS}?continue={token}")).await.code,
        400
    );
    assert_eq!(
        server
            .get(&format!("{MAPS}?resourceVersion=1&continue={token}"))
            .await
            .code,
        400
    );
}

#[tokio::test]
async fn selectors_choose_and_a_page_counts_what_they_chose() {
    let server = with_maps(6).await;
    let odd = server
        .get(&format!("{MAPS}?labelSelector=parity=odd&limit=2"))
        .await
        .good();
    assert_eq!(names(&odd), ["m1", "m3"]);
    assert_eq!(odd["metadata"]["remainingItemCount"], Value::Null);
    let token = odd["metadata"]["continue"].as_str().unwrap();
    let rest = server
        .get(&format!(
            "{MAPS}?labelSelector=parity=odd&limit=2&continue={token}"
        ))
        .await
        .good();
    assert_eq!(names(&rest), ["m5"]);
    let sets = server
        .get(&format!("{MAPS}?labelSelector=parity notin (odd)"))
        .await
        .good();
    assert_eq!(names(&sets), ["m0", "m2", "m4"]);
    let one = server
        .get(&format!("{MAPS}?fieldSelector=metadata.name=m4"))
        .await
        .good();
    assert_eq!(names(&one), ["m4"]);
    let unknown = server.get("/api/v1/secrets?fieldSelector=spec.x=1").await;
    assert_eq!(unknown.code, 400);
    assert!(
        unknown
            .message()
            .contains("field label not supported: spec.x"),
        "{}",
        unknown.message()
    );
    assert_eq!(
        server.get(&format!("{MAPS}?labelSelector=,,")).await.code,
        400
    );
}

#[tokio::test]
async fn an_older_state_can_be_listed_and_a_future_one_not() {
    let server = with_maps(1).await;
    let then = server.get(MAPS).await.good()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    server.post(MAPS, map("later")).await.good();
    let exact = format!("{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact");
    assert_eq!(names(&server.get(&exact).await.good()), ["m0"]);
    assert_eq!(
        names(
            &server
                .get(&format!("{MAPS}?resourceVersion={then}"))
                .await
                .good()
        ),
        ["later", "m0"]
    );
    assert_eq!(
        names(
            &server
                .get(&format!("{MAPS}?resourceVersion=0"))
                .await
                .good()
        ),
        ["later", "m0"]
    );
    let future = server.get(&format!("{MAPS}?resourceVersion=99999")).await;
    assert_eq!(
        (future.code, future.json()["reason"].as_str()),
        (504, Some("Timeout"))
    );
    assert!(
        future
            .message()
            .starts_with("Too large resource version: 99999"),
        "{}",
        future.message()
    );
    assert_eq!(
        server.get(&format!("{MAPS}?resourceVersion=x")).await.code,
        400
    );
}

#[tokio::test]
async fn an_empty_list_has_items() {
    let server = Server::new().await;
    let list = server.get(PODS).await.good();
    assert_eq!(
        (&list["kind"], &list["items"]),
        (&json!("PodList"), &json!([]))
    );
}

#[tokio::test]
async fn tables_are_for_people() {
    let server = Server::new().await;
    server.post(PODS, pod("p")).await.good();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = server.accepting(PODS, accept).await.good();
    assert_eq!(
        (&table["kind"], &table["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "p");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table["metadata"]["resourceVersion"].is_string());
    let whole = server
        .accepting(&format!("{PODS}?includeObject=Object"), accept)
        .await
        .good();
    assert_eq!(
        whole["rows"][0]["object"]["spec"]["containers"][0]["image"],
        "hello"
    );
    let none = server
        .accepting(&format!("{PODS}?includeObject=None"), accept)
        .await
        .good();
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let one = server.accepting(&format!("{PODS}/p"), accept).await.good();
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
    let empty = server.accepting(MAPS, accept).await.good();
    assert_eq!(empty["rows"], json!([]));
    assert_eq!(empty["columnDefinitions"][0]["name"], "Name");
}

#[tokio::test]
async fn metadata_alone_and_yaml() {
    let server = with_maps(1).await;
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = server.accepting(MAPS, accept).await.good();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["data"], Value::Null);
    assert_eq!(list["items"][0]["metadata"]["name"], "m0");
    let yaml = server
        .accepting(&format!("{MAPS}/m0"), "application/yaml")
        .await;
    assert!(yaml.text.contains("kind: ConfigMap"), "{}", yaml.text);
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert_eq!(server.accepting(MAPS, "text/html").await.code, 406);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served() {
    let server = Server::new().await;
    for path in [
        "/api/v1/things",
        "/nowhere",
        "/api/v1/pods/x",
        "/api/v1/namespaces/default/pods/p/exec",
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.code, answer.json()["kind"].as_str()),
            (404, Some("Status")),
            "{path}"
        );
    }
    assert_eq!(
        server
            .send(request("PUT", MAPS, "application/json", "{}"))
            .await
            .code,
        405
    );
}
