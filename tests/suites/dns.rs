//! Names of the mesh for what is no pod: asked by a real resolver over UDP and TCP, by `dig` where it is, and by a process that knows
//! of nothing but its machine's resolver.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::op::{Message, MessageType};
use hickory_server::proto::rr::rdata::A;
use hickory_server::proto::rr::{RData, Record, RecordType};
use hickory_server::resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
};
use hickory_server::resolver::{Resolver, TokioResolver};
use osier_tests::artifacts::component;
use osier_tests::{Node, Options, http, objects, until};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;

const ECHO: &str = include_str!("manifests/echo.yaml");
const NAMES: &str = include_str!("manifests/names.yaml");
const SOON: Duration = Duration::from_secs(30);

/// A client of a server, which remembers nothing.
fn resolver(address: &str) -> TokioResolver {
    let address: SocketAddr = address.parse().unwrap();
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    builder.build().unwrap()
}

/// The records of a name as text, without their owner.
async fn records(
    client: &TokioResolver,
    name: &str,
    kind: RecordType,
) -> Result<Vec<String>, NetError> {
    let answer = client.lookup(format!("{name}."), kind).await?;
    let data = answer
        .answers()
        .iter()
        .map(|record| record.data.to_string());
    Ok(data.collect())
}

/// Waits until a name has as many records as wanted.
async fn found(
    client: &TokioResolver,
    (name, kind): (&str, RecordType),
    count: usize,
) -> Vec<String> {
    let ask = || async {
        let all = records(client, name, kind).await?;
        ensure!(all.len() == count, "{all:?}");
        Ok(Some(all))
    };
    until(&format!("{name} has {count} {kind}"), SOON, ask)
        .await
        .unwrap()
}

fn dns(more: &[&str]) -> Options {
    let args = ["--dns-listen", "127.0.0.1:0"].iter().chain(more);
    Options {
        args: args.map(|word| (*word).to_owned()).collect(),
        ..Options::default()
    }
}

/// A node that answers names, with `echo` and what `names.yaml` has.
async fn stage(more: &[&str]) -> Node {
    let node = Node::start_with(&dns(more)).unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    node.apply_text(NAMES).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    node
}

fn cluster_ip(service: &Value) -> String {
    service["spec"]["clusterIP"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_mesh_are_answered_as_kubernetes_answers_them() {
    let node = stage(&["--dns-forward", "none"]).await;
    let client = resolver(&node.address("dns").unwrap());
    let service = objects::get(&node, "/api/v1/namespaces/default/services/echo");
    let address = cluster_ip(&service.await.unwrap());
    for name in [
        "echo.default",
        "echo.default.svc",
        "echo.default.svc.cluster.local",
    ] {
        assert_eq!(
            found(&client, (name, RecordType::A), 1).await,
            std::slice::from_ref(&address)
        );
    }
    let ports = found(
        &client,
        ("_http._tcp.echo.default.svc.cluster.local", RecordType::SRV),
        1,
    );
    assert!(ports.await[0].ends_with("80 echo.default.svc.cluster.local."));
    let mut octets: Vec<&str> = address.split('.').collect();
    octets.reverse();
    let reverse = format!("{}.in-addr.arpa", octets.join("."));
    let named = found(&client, (&reverse, RecordType::PTR), 1).await;
    assert_eq!(named, ["echo.default.svc.cluster.local."]);
    // A headless service is its pods, and those of a StatefulSet have names.
    let pods = found(&client, ("db.default.svc.cluster.local", RecordType::A), 2).await;
    for pod in ["db-0", "db-1"] {
        let name = format!("{pod}.db.default.svc.cluster.local");
        let own = found(&client, (&name, RecordType::A), 1).await;
        assert!(pods.contains(&own[0]), "{own:?} of {pods:?}");
    }
    let ports = found(
        &client,
        ("_http._tcp.db.default.svc.cluster.local", RecordType::SRV),
        2,
    )
    .await;
    assert!(
        ports
            .iter()
            .any(|port| port.ends_with("8080 db-1.db.default.svc.cluster.local.")),
        "{ports:?}"
    );
    // Aliases, and hosts outside that have addresses.
    let near = found(
        &client,
        ("near.default.svc.cluster.local", RecordType::A),
        2,
    )
    .await;
    assert_eq!(
        near,
        ["echo.default.svc.cluster.local.".to_owned(), address]
    );
    let given = found(&client, ("api.example.com", RecordType::A), 2).await;
    assert_eq!(given, ["192.0.2.7", "192.0.2.8"]);
    assert_eq!(
        found(&client, ("a.wild.example.com", RecordType::A), 1).await,
        ["192.0.2.9"]
    );
    // What is not there is denied by who knows it.
    let missing = records(&client, "none.default.svc.cluster.local", RecordType::A).await;
    let missing = missing.unwrap_err();
    assert!(missing.is_nx_domain(), "{missing}");
    let soa = missing.into_soa().unwrap();
    assert_eq!(
        (soa.name.to_ascii(), soa.data.minimum),
        ("cluster.local.".to_owned(), 5)
    );
    let nothing = records(&client, "echo.default.svc.cluster.local", RecordType::AAAA).await;
    let nothing = nothing.unwrap_err();
    assert!(
        nothing.is_no_records_found() && !nothing.is_nx_domain(),
        "{nothing}"
    );
    let refused = records(&client, "www.example.org", RecordType::A).await;
    assert!(
        !refused.unwrap_err().is_no_records_found(),
        "nobody is asked"
    );
    let admin = node.address("admin").unwrap();
    let metrics = http::get(&admin, "/metrics").await.unwrap().text();
    for answer in ["mesh", "nxdomain", "nodata", "refused"] {
        let line = format!("osier_dns_queries_total{{answer=\"{answer}\"}}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

/// More addresses than a datagram holds.
const MANY: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_a_datagram_comes_over_tcp() {
    let node = Node::start_with(&dns(&["--dns-forward", "none"])).unwrap();
    let addresses: Vec<String> = (0..MANY).map(|last| format!("198.18.0.{last}")).collect();
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "many"}, "spec": {
        "hosts": ["many.example.com"], "addresses": addresses, "resolution": "STATIC", "endpoints": [{"address": "198.51.100.1"}],
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}});
    node.apply_text(&entry.to_string()).unwrap();
    let client = resolver(&node.address("dns").unwrap());
    let all = found(&client, ("many.example.com", RecordType::A), MANY).await;
    assert_eq!(all, addresses);
}

/// A resolver that knows one address for every name; how often it was asked.
async fn upstream() -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::SeqCst);
            let Ok(mut message) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            message.metadata.message_type = MessageType::Response;
            message.metadata.recursion_available = true;
            let name = message.queries[0].name().clone();
            let data = RData::A(A([203, 0, 113, 7].into()));
            message.add_answer(Record::from_rdata(name, 60, data));
            let _gone = socket.send_to(&message.to_vec().unwrap(), client).await;
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_asked_of_resolvers() {
    let (upstream, asked) = upstream().await;
    let node = stage(&["--dns-forward", &upstream]).await;
    let client = resolver(&node.address("dns").unwrap());
    assert_eq!(
        found(&client, ("www.example.org", RecordType::A), 1).await,
        ["203.0.113.7"]
    );
    assert!(asked.load(Ordering::SeqCst) > 0);
    // An alias that leads out of the mesh is followed there.
    let out = found(
        &client,
        ("site.default.svc.cluster.local", RecordType::A),
        2,
    )
    .await;
    assert_eq!(out, ["www.example.com.", "203.0.113.7"]);
    let before = asked.load(Ordering::SeqCst);
    let missing = records(&client, "none.default.svc.cluster.local", RecordType::A).await;
    assert!(missing.unwrap_err().is_nx_domain());
    found(
        &client,
        ("echo.default.svc.cluster.local", RecordType::A),
        1,
    )
    .await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        before,
        "names of the cluster stay in it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_has_short_names_and_a_scope() {
    let control = Node::start().unwrap();
    control
        .import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    control.apply_text(ECHO).unwrap();
    let group = "networking.istio.io/v1";
    let entry = json!({"apiVersion": group, "kind": "WorkloadEntry", "metadata": {"name": "vm"},
        "spec": {"address": "127.0.0.1", "labels": {"app": "vm"}, "serviceAccount": "vm"}});
    control.apply_text(&entry.to_string()).unwrap();
    let companion = control
        .companion("default/vm", dns(&["--dns-forward", "none"]))
        .unwrap();
    let client = resolver(&companion.address("dns").unwrap());
    let short = found(&client, ("echo", RecordType::A), 1).await;
    let full = found(
        &client,
        ("echo.default.svc.cluster.local", RecordType::A),
        1,
    )
    .await;
    assert_eq!(short, full);
    let sidecar = json!({"apiVersion": group, "kind": "Sidecar", "metadata": {"name": "narrow"},
        "spec": {"workloadSelector": {"labels": {"app": "vm"}}, "egress": [{"hosts": ["other/*"]}]}});
    control.apply_text(&sidecar.to_string()).unwrap();
    let hidden = || async {
        let asked = records(&client, "echo.default.svc.cluster.local", RecordType::A).await;
        Ok(asked.is_err_and(|error| error.is_nx_domain()).then_some(()))
    };
    until("its Sidecar hides the name", SOON, hidden)
        .await
        .unwrap();
}

/// What `dig` prints of a server's answer.
fn dig(server: &str, words: &[&str]) -> Result<String> {
    let (address, port) = server.rsplit_once(':').context("an address")?;
    let output = Command::new("dig")
        .args([&format!("@{address}"), "-p", port, "+tries=1", "+timeout=5"])
        .args(words)
        .output()?;
    ensure!(
        output.status.success(),
        "dig {words:?}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_reads_the_answers() {
    if Command::new("dig").arg("-v").output().is_err() {
        return eprintln!("skipped, for there is no dig (apt-get install bind9-dnsutils)");
    }
    let node = stage(&["--dns-forward", "none"]).await;
    let server = node.address("dns").unwrap();
    let name = "echo.default.svc.cluster.local";
    let answered = || async {
        let said = dig(&server, &["+short", name])?;
        Ok(said
            .trim()
            .parse::<std::net::Ipv4Addr>()
            .is_ok()
            .then_some(()))
    };
    until("dig has the address", SOON, answered).await.unwrap();
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["EcHo.default.svc.cluster.local"],
            &[
                "status: NOERROR",
                "flags: qr aa rd;",
                "EcHo.default.svc.cluster.local. 5 IN A",
            ],
        ),
        (&["+tcp", name], &["status: NOERROR", "ANSWER: 1", "(TCP)"]),
        (
            &["none.default.svc.cluster.local"],
            &[
                "status: NXDOMAIN",
                "cluster.local.\t\t5\tIN\tSOA\tns.dns.cluster.local.",
            ],
        ),
        (
            &[name, "MX"],
            &["status: NOERROR", "ANSWER: 0", "AUTHORITY: 1"],
        ),
        (&["+noedns", name], &["status: NOERROR", "ADDITIONAL: 0"]),
        (
            &["+bufsize=4096", name],
            &["; EDNS: version: 0, flags:; udp: 1232"],
        ),
        (
            &["+edns=1", "+noednsnegotiation", name],
            &["status: BADVERS"],
        ),
        (&["www.example.org"], &["status: REFUSED"]),
    ];
    for (words, wanted) in cases {
        let said = dig(&server, words).unwrap();
        let plain = said.replace('\t', " ");
        for part in wanted {
            let part = part.replace('\t', " ");
            assert!(
                plain.contains(&part) || said.contains(&part),
                "{words:?}: {part:?} in\n{said}"
            );
        }
    }
}
