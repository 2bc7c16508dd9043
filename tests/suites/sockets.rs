//! Programs that listen and connect by sockets: on the network of their pod, through the one door to anybody else.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/sockets.yaml");

struct Site {
    node: Node,
    kubectl: Kubectl,
}

impl Site {
    async fn start() -> Self {
        let node = Node::start().unwrap();
        for (name, guest) in [
            ("sockets:1.0", "tests/fixture-sockets"),
            ("echo:1.0", "tests/echo"),
        ] {
            node.import(name, &component(guest).unwrap()).unwrap();
        }
        node.apply_text(OBJECTS).unwrap();
        for app in [
            "lines",
            "hermit",
            "greeter",
            "web",
            "sink",
            "datagrams",
            "client",
            "confined",
        ] {
            objects::ready(&node, &format!("app={app}"), 1)
                .await
                .unwrap();
        }
        let kubectl = installed().unwrap();
        Self { node, kubectl }
    }

    /// What a program says that is run in a pod's sandbox, and what it complains of.
    fn run(&self, pod: &str, words: &str) -> (String, String) {
        let mut line = vec!["exec"];
        line.extend(pod.split_whitespace());
        line.extend(["--", "main"]);
        line.extend(words.split_whitespace());
        let output = self
            .kubectl
            .run(&self.node.kubeconfig(), &line, None)
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (text(&output.stdout), text(&output.stderr))
    }

    fn says(&self, pod: &str, words: &str) -> String {
        let (said, errors) = self.run(pod, words);
        assert!(errors.is_empty(), "{pod} {words}: {said} {errors}");
        said
    }

    async fn address(&self, pod: &str) -> String {
        let path = format!("/api/v1/namespaces/default/pods/{pod}");
        let pod = objects::get(&self.node, &path).await.unwrap();
        pod["status"]["podIP"].as_str().unwrap().to_owned()
    }

    async fn cluster_ip(&self, service: &str) -> String {
        let path = format!("/api/v1/namespaces/default/services/{service}");
        let service = objects::get(&self.node, &path).await.unwrap();
        service["spec"]["clusterIP"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_reached_by_its_service_and_its_pods_address() {
    let site = Site::start().await;
    let (lines, client) = (site.address("lines").await, site.address("client").await);
    let answer = format!("lines says hello to {client} at {lines}:7000");
    let service = site.cluster_ip("lines").await;
    for at in [
        "lines:70".to_owned(),
        "lines.default.svc.cluster.local:70".to_owned(),
        format!("{service}:70"),
        format!("{lines}:7000"),
    ] {
        assert_eq!(
            site.says("client", &format!("ask {at} hello")),
            answer,
            "{at}"
        );
    }
    assert_eq!(site.says("client", "lookup lines"), service);
    assert_eq!(site.says("client", "lookup client"), client);
    // Who speaks first needs no protocol to be said.
    assert_eq!(
        site.says("client", "ask greeter:71 x"),
        "welcome to greeter"
    );
    // Much more than any buffer on the way.
    assert_eq!(site.says("client", "flood sink:72 5000000"), "5000000");
    let tcp = || async {
        let log = site.node.log();
        let mut lines = log.lines().filter(|line| line.contains("osier::access"));
        let told = lines
            .any(|line| line.contains("outbound|70||lines.default") && line.contains("client"));
        Ok(told.then_some(()))
    };
    until("the connection is in the access log", LIMIT, tcp)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_the_pods_own() {
    let site = Site::start().await;
    let hermit = site.address("hermit").await;
    let answer = "hermit says hello to 127.0.0.1 at 127.0.0.1:7000";
    assert_eq!(
        site.says("hermit -c neighbour", "ask localhost:7000 hello"),
        answer
    );
    // A container that answers requests does so on a connection from its own pod.
    let told = site.says("hermit -c neighbour", "get localhost:9000 /own");
    assert!(
        told.starts_with("HTTP/1.1 200") && told.contains("/own"),
        "{told}"
    );
    for (pod, at) in [
        ("client", "localhost:7000".to_owned()),
        ("client", "hermit:70".to_owned()),
        ("client", format!("{hermit}:7000")),
        ("hermit -c neighbour", "localhost:7009".to_owned()),
    ] {
        let (said, errors) = site.run(pod, &format!("ask {at} hello"));
        assert!(said.starts_with("ConnectionRefused"), "{at}: {said}");
        assert!(errors.contains("nobody listens on port"), "{at}: {errors}");
    }
    // Whoever may forward ports reaches it nevertheless, as at any pod.
    let command = site.kubectl.command(&site.node.kubeconfig());
    let mut child = tokio::process::Command::from(command)
        .args(["port-forward", "pod/hermit", ":7000"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(LIMIT, said.next_line())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let local = first.split_whitespace().nth(2).unwrap().to_owned();
    let mut stream = TcpStream::connect(&local).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(&mut stream);
    let reading = reader.read_line(&mut line);
    tokio::time::timeout(LIMIT, reading).await.unwrap().unwrap();
    assert_eq!(line.trim_end(), answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_speaks_http_takes_requests_of_the_mesh() {
    let site = Site::start().await;
    let gateway = site.node.address("gateway").unwrap();
    let asked = || async {
        let answer = http::get_with(
            &gateway,
            "/shop",
            &[("x-one", "two"), ("host", "shop.test")],
        )
        .await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(Some(answer.text()))
    };
    let told = until("the gateway reaches the program", LIMIT, asked)
        .await
        .unwrap();
    for part in [
        "web\nget /shop http/1.1\n",
        "host: shop.test\n",
        "x-one: two\n",
        "x-request-id: ",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    // Many, one after the other, on connections that are kept.
    for number in 0..30 {
        let path = format!("/n/{number}");
        let answer = http::get(&gateway, &path).await.unwrap();
        assert!(answer.text().contains(&path), "{}", answer.text());
    }
    // A program that speaks HTTP by itself, too, to one that does and to one that does not.
    let told = site.says("client", "get web:80 /by-hand");
    assert!(told.contains("200") && told.contains("/by-hand"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_reached_is_refused_with_the_reason() {
    let site = Site::start().await;
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = outside.local_addr().unwrap().port();
    let (said, errors) = site.run("client", &format!("ask 192.0.2.1:{port} x"));
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(errors.contains("osier: connect 192.0.2.1"), "{errors}");
    assert!(errors.contains("is not a service of the mesh"), "{errors}");
    let (_, errors) = site.run("client", "ask db.example.com:5432 x");
    assert!(!errors.contains("connect"), "the name is unknown: {errors}");
    let (said, errors) = site.run("confined", "ask lines:70 x");
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(errors.contains("Sidecar default/narrow"), "{errors}");
    let lines = site.address("lines").await;
    let (said, _) = site.run("confined", &format!("ask {lines}:7000 x"));
    assert!(said.starts_with("PermissionDenied"), "{said}");
    let refused = || async {
        let log = site.node.log();
        let mut lines = log.lines().filter(|line| line.contains("osier::access"));
        let told = lines.any(|line| line.contains("NR") && line.contains("192.0.2.1"));
        Ok(told.then_some(()))
    };
    until("the refusal is in the access log", LIMIT, refused)
        .await
        .unwrap();
    // A grant makes the way.
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "db"}, "spec": {
        "hosts": ["db.example.com"], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
        "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP", "targetPort": port}]}});
    site.node.apply_text(&entry.to_string()).unwrap();
    tokio::spawn(database(outside));
    let granted = || async {
        let (said, errors) = site.run("client", "ask db.example.com:5432 select");
        ensure!(said == "rows for select", "{said} {errors}");
        Ok(Some(()))
    };
    until("the grant holds", LIMIT, granted).await.unwrap();
}

/// A server outside, for one question on each connection.
async fn database(listener: TcpListener) -> Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut asked = String::new();
        stream.read_to_string(&mut asked).await?;
        stream
            .write_all(format!("rows for {asked}").as_bytes())
            .await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_holds_a_bounded_number_of_sockets() {
    let site = Site::start().await;
    let (said, errors) = site.run("client", "many 0.0.0.0:0 2000");
    assert_eq!(said, "1024", "{errors}");
    assert!(
        errors.contains("1024 sockets open, which is the most"),
        "{errors}"
    );
    assert_eq!(
        site.says("client", "many 0.0.0.0:0 10"),
        "10",
        "they end with the program"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_go_to_services_and_pods_and_back() {
    let site = Site::start().await;
    let (to, client) = (
        site.address("datagrams").await,
        site.address("client").await,
    );
    let answer = format!("datagrams says hello to {client}");
    let service = site.cluster_ip("datagrams").await;
    for at in [
        "datagrams:53".to_owned(),
        format!("{service}:53"),
        format!("{to}:5300"),
    ] {
        let asked = || async {
            let (said, errors) = site.run("client", &format!("udp-ask {at} hello"));
            ensure!(said == answer, "{said} {errors}");
            Ok(Some(()))
        };
        until(&format!("{at} answers"), LIMIT, asked).await.unwrap();
    }
    let large = "x".repeat(20_000);
    let said = site.says("client", &format!("udp-ask datagrams:53 {large}"));
    assert_eq!(said.len(), answer.len() - "hello".len() + large.len());
    let confined = |at: &str| site.run("confined", &format!("udp-tell {at} hello"));
    for at in ["datagrams:53".to_owned(), format!("{to}:5300")] {
        let (said, errors) = confined(&at);
        assert!(
            said.starts_with("PermissionDenied"),
            "{at}: {said} {errors}"
        );
    }
}

/// Two nodes: a program on one, its clients on the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_another_node_is_reached_over_the_mesh() {
    let node = Node::start().unwrap();
    node.import("sockets:1.0", &component("tests/fixture-sockets").unwrap())
        .unwrap();
    let _second = node.joined("second").unwrap();
    let pod = |name: &str, on: &Value, args: &[&str]| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
            "nodeName": on, "terminationGracePeriodSeconds": 1,
            "containers": [{"name": name, "image": "sockets:1.0", "args": args,
                "env": [{"name": "POD_NAME", "value": name}]}]}})
    };
    let nodes = objects::get(&node, "/api/v1/nodes").await.unwrap();
    let all = nodes["items"].as_array().unwrap();
    let first = all
        .iter()
        .find(|node| node["metadata"]["name"] != "second")
        .unwrap();
    let objects = [
        pod("lines", &json!("second"), &["serve", "0.0.0.0:7000"]),
        pod(
            "datagrams",
            &json!("second"),
            &["udp-serve", "0.0.0.0:5300"],
        ),
        pod("client", &first["metadata"]["name"], &["sleep"]),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "datagrams"}, "spec": {
            "selector": {"app": "datagrams"}, "ports": [{"protocol": "UDP", "port": 53, "targetPort": 5300}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lines"}, "spec": {
            "selector": {"app": "lines"}, "ports": [{"name": "tcp", "port": 70, "targetPort": 7000}]}}),
    ];
    node.apply_text(&objects.map(|object| object.to_string()).join("\n---\n"))
        .unwrap();
    for app in ["lines", "datagrams", "client"] {
        objects::ready(&node, &format!("app={app}"), 1)
            .await
            .unwrap();
    }
    let kubectl = installed().unwrap();
    let site = Site { node, kubectl };
    let (lines, client) = (site.address("lines").await, site.address("client").await);
    let answer = format!("lines says hello to {client} at {lines}:7000");
    let datagrams = site.address("datagrams").await;
    let echoed = format!("datagrams says hello to {client}");
    for (words, answer) in [
        ("ask lines:70".to_owned(), &answer),
        (format!("ask {lines}:7000"), &answer),
        ("udp-ask datagrams:53".to_owned(), &echoed),
        (format!("udp-ask {datagrams}:5300"), &echoed),
    ] {
        let asked = || async {
            let (said, errors) = site.run("client", &format!("{words} hello"));
            ensure!(said == *answer, "{said} {errors}");
            Ok(Some(()))
        };
        until(&format!("{words} is answered"), LIMIT, asked)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_requests_to_programs_are_measured_for_autoscalers() {
    let site = Site::start().await;
    let gateway = site.node.address("gateway").unwrap();
    let raw =
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/istio_requests_per_second";
    let measured = |pod: &'static str| {
        let line = ["get", "--raw", raw];
        let told = site.kubectl.ok(&site.node.kubeconfig(), &line, None);
        let told: Value = serde_json::from_str(&told.unwrap()).unwrap();
        let items = told["items"].as_array().cloned().unwrap_or_default();
        let of = items
            .into_iter()
            .find(|item| item["describedObject"]["name"] == pod);
        of.map(|item| item["value"].clone())
    };
    let counted = || async {
        site.says("client", "ask lines:70 hello");
        http::get(&gateway, "/shop").await?;
        let told = ["lines", "web", "hermit"].map(measured);
        let [Some(lines), Some(web), Some(hermit)] = &told else {
            anyhow::bail!("{told:?}");
        };
        assert_eq!(hermit, "0", "nobody but its probes has called it");
        ensure!(lines != "0" && web != "0", "{told:?}");
        Ok(Some(()))
    };
    until("both are counted", LIMIT, counted).await.unwrap();
}
