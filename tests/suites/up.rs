//! `osier up` from the outside: addresses, refusals with a remedy, exit codes, and a stop that loses nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::component;
use osier_tests::load::Plan;
use osier_tests::node::refused;
use osier_tests::{Node, Options, api::Api, http, objects, until};
use rustix::process::Signal;
use std::process::Output;
use std::time::{Duration, Instant};

const ECHO: &str = include_str!("manifests/echo.yaml");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

async fn echo() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((http::get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", Duration::from_secs(30), answers)
        .await
        .unwrap();
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_prints_its_addresses() {
    let node = Node::start().unwrap();
    for name in ["api", "gateway", "admin"] {
        let address = node.address(name).unwrap();
        assert!(!address.ends_with(":0"), "{name} is {address}");
        let printed = || async { Ok(node.log().contains(&address).then_some(())) };
        until(
            &format!("{name} at {address} is printed"),
            Duration::from_secs(30),
            printed,
        )
        .await
        .unwrap();
    }
    let version = Api::open(&node)
        .await
        .unwrap()
        .send("GET", "/version", None)
        .await
        .unwrap();
    assert_eq!(version.status, 200);
    assert!(node.kubeconfig().is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_on_the_same_directory_is_refused() {
    let node = Node::start().unwrap();
    let output = refused(&node.data_dir(), &Options::default()).unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let directory = node.data_dir().display().to_string();
    assert!(
        said(&output).contains(&directory),
        "the message does not name {directory}: {}",
        said(&output)
    );
    let pid = node.pid().unwrap().to_string();
    assert!(
        said(&output).contains(&pid),
        "the message does not name process {pid}: {}",
        said(&output)
    );
    assert_eq!(
        http::get(&node.address("admin").unwrap(), "/readyz")
            .await
            .unwrap()
            .status,
        200,
        "the first one is unharmed"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let args = vec!["--gateway-listen".to_owned(), address.clone()];
    let output = refused(
        &folder.path().join("data"),
        &Options {
            args,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(
        said(&output).contains("gateway-listen") && said(&output).contains(&address),
        "{}",
        said(&output)
    );
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    for directory in [std::path::PathBuf::from("/proc/osier"), file] {
        let output = refused(&directory, &Options::default()).unwrap();
        assert_eq!(
            output.status.code(),
            Some(4),
            "{}: {}",
            directory.display(),
            said(&output)
        );
        assert!(
            said(&output).contains(&directory.display().to_string()),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn every_fault_of_a_configuration_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--api-listen",
        "nonsense",
        "--admin-listen",
        "also:nonsense",
    ]
    .map(str::to_owned)
    .to_vec();
    let output = refused(
        &folder.path().join("data"),
        &Options {
            args,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("api-listen") && said(&output).contains("admin-listen"),
        "{}",
        said(&output)
    );
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, "gatewayListen: 127.0.0.1:0\nnoSuchKey: 1\n").unwrap();
    let args = vec!["--config".to_owned(), file.display().to_string()];
    let output = refused(
        &folder.path().join("data"),
        &Options {
            args,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("noSuchKey"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_loses_no_request_in_flight() {
    let mut node = echo().await;
    let load = Plan::get(&node.address("gateway").unwrap(), "/?ms=400", 16).start();
    let flowing = || async { Ok((load.count(200, Duration::ZERO) >= 32).then_some(())) };
    until("traffic flows", Duration::from_secs(30), flowing)
        .await
        .unwrap();
    load.stop_asking();
    node.signal(Signal::TERM).unwrap();
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
    let status = node.left().unwrap();
    assert_eq!(status.code(), Some(0), "{}", node.log_tail(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_leaves_at_once() {
    let mut node = echo().await;
    let gateway = node.address("gateway").unwrap();
    let slow = tokio::spawn(async move {
        http::get(&gateway, "/slow?ms=20000")
            .await
            .map(|answer| answer.status)
    });
    let arrived = || async {
        Ok(objects::log(&node, "app=echo")
            .await?
            .contains("/slow")
            .then_some(()))
    };
    until(
        "the slow request is in the pod",
        Duration::from_secs(10),
        arrived,
    )
    .await
    .unwrap();
    node.signal(Signal::TERM).unwrap();
    let draining = || async { Ok(node.log().contains("draining").then_some(())) };
    until("the node drains", Duration::from_secs(10), draining)
        .await
        .unwrap();
    let asked = Instant::now();
    node.signal(Signal::TERM).unwrap();
    let status = node.left().unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        asked.elapsed()
    );
    assert_eq!(status.code(), Some(130), "{}", node.log_tail(30));
    assert!(slow.await.unwrap().is_err(), "the slow request was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_there_after_a_restart() {
    let mut node = Node::start().unwrap();
    node.apply_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {answer: '42'}\n",
    )
    .unwrap();
    let path = "/api/v1/namespaces/default/configmaps/kept";
    let before = objects::get(&node, path).await.unwrap();
    assert_eq!(node.terminate().unwrap().code(), Some(0));
    node.restart().unwrap();
    assert_eq!(objects::get(&node, path).await.unwrap(), before);
}
