//! Pods of WASI 0.3: a service whose requests meet in one instance, in the mesh like any other.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::kubectl::installed;
use osier_tests::{Node, http, objects, until};
use std::time::Duration;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/wasi03.yaml");

async fn site() -> Node {
    let node = Node::start().unwrap();
    for (name, guest) in [
        ("service:1.0", "tests/wasi03"),
        ("program:1.0", "tests/program03"),
        ("sockets:1.0", "tests/sockets03"),
        ("echo:1.0", "tests/echo"),
    ] {
        node.import(name, &component(guest).unwrap()).unwrap();
    }
    node.apply_text(OBJECTS).unwrap();
    for app in ["service", "echo", "lines", "datagrams", "client"] {
        objects::ready(&node, &format!("app={app}"), 1)
            .await
            .unwrap();
    }
    let gateway = node.address("gateway").unwrap();
    let answers = || async {
        let answer = http::get(&gateway, "/x").await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(Some(()))
    };
    until("the gateway reaches the service", LIMIT, answers)
        .await
        .unwrap();
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_served_at_the_same_time_and_call_on_through_the_mesh() {
    let node = site().await;
    let gateway = node.address("gateway").unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let gateway = gateway.clone();
        calls.spawn(async move { http::get(&gateway, "/meet/8").await.unwrap().text() });
    }
    let mut places = calls.join_all().await;
    places.sort();
    assert_eq!(places, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let answer = http::get(&gateway, "/call/echo").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json().unwrap()["path"], "/called");
    // Who is called by nobody's name is refused by the door, as for any pod.
    let answer = http::get(&gateway, "/call/nowhere.example.com")
        .await
        .unwrap();
    assert!(
        answer.status != 200 || answer.text().contains("nowhere.example.com"),
        "{}",
        answer.text()
    );
    // A trap ends what was in the instance, and shows; the next is served by a new one.
    let trapped = http::get(&gateway, "/trap").await.unwrap();
    assert_eq!(trapped.status, 503, "{}", trapped.text());
    let again = http::get(&gateway, "/x").await.unwrap();
    assert_eq!(
        (again.status.as_u16(), again.text().as_str()),
        (200, "/x\n")
    );
    let restarted = || async {
        let pods = objects::pods(&node, "app=service").await?;
        let status = &pods[0]["status"]["containerStatuses"][0];
        ensure!(status["lastState"]["terminated"].is_object(), "{status}");
        Ok(Some(()))
    };
    until("the trap shows in the pod's status", LIMIT, restarted)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_to_its_end() {
    let node = site().await;
    let kubectl = installed().unwrap();
    let ended = || async {
        let pods = objects::pods(&node, "app=program").await?;
        let phase = pods[0]["status"]["phase"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        ensure!(phase == "Succeeded", "{}", objects::states(&pods));
        Ok(Some(()))
    };
    until("the program ends", LIMIT, ended).await.unwrap();
    let log = kubectl
        .ok(&node.kubeconfig(), &["logs", "program"], None)
        .unwrap();
    assert_eq!(log, "program one two\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_listen_and_connect_by_the_sockets_of_0_3() {
    let node = site().await;
    let kubectl = installed().unwrap();
    let says = |words: &str| {
        let mut line = vec!["exec", "client", "--", "main"];
        line.extend(words.split_whitespace());
        let output = kubectl.run(&node.kubeconfig(), &line, None).unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    };
    // By name, through the door to another pod; what is not granted is refused.
    assert_eq!(says("ask lines:70 hello"), "hello");
    let path = "/api/v1/namespaces/default/pods/lines";
    let lines = objects::get(&node, path).await.unwrap();
    let address = lines["status"]["podIP"].as_str().unwrap();
    assert_eq!(says(&format!("ask {address}:7000 again")), "again");
    assert_eq!(says("ask lines:71 x"), "ErrorCode::AccessDenied");
    assert_eq!(says("ask 192.0.2.1:443 x"), "ErrorCode::AccessDenied");
    assert!(says("lookup lines").contains("Ipv4"));
    assert_eq!(says("lookup nobody"), "ErrorCode::NameUnresolvable");
    assert_eq!(says("udp-ask datagrams:71 ping"), "ping (true, true)");
    // In use, free again, and no address of the pod.
    assert_eq!(
        says("twice"),
        "Err(ErrorCode::AddressInUse) Ok(()) Err(ErrorCode::AddressNotBindable)"
    );
}
