//! Whole connections: routes of TLS and TCP, and what servers of gateways show. Asked by openssl and curl; each row names its source.

use crate::SOON;
use anyhow::{Result, ensure};
use osier_identity::{Authority, Credential};
use osier_tests::server::Server;
use osier_tests::tls::{certificate, secret};
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What comes of a handshake: the common name of the certificate that is shown, or none.
type Shown = Option<&'static str>;

/// A row: its source, the port that a gateway asks for, more arguments of openssl, and what is shown.
type Row = (&'static str, u16, &'static [&'static str], Shown);

const ISTIO: &[Row] = &[
    (
        "gateway/#ServerTLSSettings-TLSmode SIMPLE; hosts: the certificate of the server name",
        8443,
        &["-servername", "one.test"],
        Some("one.test"),
    ),
    (
        "gateway/#Server hosts: another server of the same port",
        8443,
        &["-servername", "two.test"],
        Some("two.test"),
    ),
    (
        "gateway/#Server hosts: a name that no server has",
        8443,
        &["-servername", "nobody.test"],
        None,
    ),
    (
        "gateway/#ServerTLSSettings minProtocolVersion TLSV1_3: 1.2 is refused",
        8443,
        &["-servername", "two.test", "-tls1_2"],
        None,
    ),
    (
        "gateway/#ServerTLSSettings minProtocolVersion TLSV1_3: 1.3 is spoken",
        8443,
        &["-servername", "two.test", "-tls1_3"],
        Some("two.test"),
    ),
    (
        "gateway/#ServerTLSSettings maxProtocolVersion TLSV1_2: 1.2 is spoken",
        8443,
        &["-servername", "three.test", "-tls1_2"],
        Some("three.test"),
    ),
    (
        "gateway/#ServerTLSSettings maxProtocolVersion TLSV1_2: 1.3 is refused",
        8443,
        &["-servername", "three.test", "-tls1_3"],
        None,
    ),
    (
        "gateway/#ServerTLSSettings-TLSmode PASSTHROUGH, virtual-service/#TLSMatchAttributes sniHosts: the backend's own",
        9443,
        &["-servername", "pass.test"],
        Some("backend-a"),
    ),
    (
        "virtual-service/#TLSMatchAttributes sniHosts: a wildcard",
        9443,
        &["-servername", "x.wild.test"],
        Some("backend-b"),
    ),
    (
        "virtual-service/#TLSMatchAttributes sniHosts: a wildcard is for subdomains only",
        9443,
        &["-servername", "wild.test"],
        None,
    ),
    (
        "virtual-service/#TLSMatchAttributes sniHosts: none that matches",
        9443,
        &["-servername", "nobody.test"],
        None,
    ),
    (
        "virtual-service/#TLSMatchAttributes sniHosts: case counts for nothing (RFC 6066 3)",
        9443,
        &["-servername", "PASS.test"],
        Some("backend-a"),
    ),
];

const GATEWAY_API: &[Row] = &[
    (
        "#TLSRoute hostnames: the backend's own",
        9443,
        &["-servername", "pass.test"],
        Some("backend-a"),
    ),
    (
        "#TLSRoute hostnames: a wildcard",
        9443,
        &["-servername", "x.wild.test"],
        Some("backend-b"),
    ),
    (
        "#TLSRoute hostnames: none that matches",
        9443,
        &["-servername", "nobody.test"],
        None,
    ),
    (
        "#ListenerTLSConfig mode Terminate, certificateRefs",
        8443,
        &["-servername", "one.test"],
        Some("one.test"),
    ),
    (
        "#Listener hostname: a name of no listener",
        8443,
        &["-servername", "nobody.test"],
        None,
    ),
];

/// The certificates and backends of all rows.
struct Site {
    authority: Authority,
    folder: tempfile::TempDir,
    a: Server,
    b: Server,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let of = |name: &str| certificate(&authority, name).unwrap();
        let pem = authority.certificate_pem();
        let a = Server::secure(pem, &of("backend-a")).await.unwrap();
        let b = Server::secure(pem, &of("backend-b")).await.unwrap();
        Self {
            authority,
            folder,
            a,
            b,
        }
    }

    /// A certificate as a Secret.
    fn shown(&self, name: &str) -> String {
        let pair = certificate(&self.authority, &format!("{name}.test")).unwrap();
        secret(
            name,
            &[
                ("tls.crt", &pair.certificate_pem),
                ("tls.key", &pair.key_pem),
            ],
        )
    }

    /// A client's certificate in files, and the authority that it is to be known by.
    fn client(&self) -> [PathBuf; 3] {
        let Credential {
            certificate_pem,
            key_pem,
            ..
        } = certificate(&self.authority, "client").unwrap();
        let write = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        [
            write("client.crt", &certificate_pem),
            write("client.key", &key_pem),
            write("ca.crt", self.authority.certificate_pem()),
        ]
    }
}

/// The common name that a server shows to openssl; none where there is no handshake.
fn handshake(address: &str, more: &[&str]) -> Option<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", address])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("subject="))?;
    let (_, name) = line.rsplit_once("CN = ").or(line.rsplit_once("CN="))?;
    Some(name.trim().to_owned())
}

/// Holds each row, once it comes into force.
async fn hold(node: &Node, rows: &[Row]) {
    for (source, port, more, shown) in rows {
        let address = node.listener(*port).await.unwrap();
        let asked = || async {
            let found = handshake(&address, more);
            ensure!(found.as_deref() == *shown, "{found:?}");
            Ok(Some(()))
        };
        until(&format!("{source} shows {shown:?}"), SOON, asked)
            .await
            .unwrap();
    }
}

fn outside(name: &str, port: u16) -> [String; 2] {
    let meta = json!({"name": name});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"name": "tcp", "port": 443}]}});
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta,
        "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "tcp", "port": port}]}]});
    [service.to_string(), endpoints.to_string()]
}

fn object(group: &str, kind: &str, name: &str, spec: &Value) -> String {
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

fn istio_objects() -> [String; 2] {
    let group = "networking.istio.io/v1";
    let secure = |name: &str, mut tls: Value| {
        tls["credentialName"] = json!(name);
        json!({"port": {"number": 8443, "name": name, "protocol": "HTTPS"}, "hosts": [format!("{name}.test")], "tls": tls})
    };
    let servers = json!([
        secure("one", json!({"mode": "SIMPLE"})),
        secure("two", json!({"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3"})),
        secure("three", json!({"mode": "SIMPLE", "maxProtocolVersion": "TLSV1_2"})),
        secure("four", json!({"mode": "MUTUAL"})),
        {"port": {"number": 9443, "name": "pass", "protocol": "TLS"}, "hosts": ["*"], "tls": {"mode": "PASSTHROUGH"}},
        {"port": {"number": 9080, "name": "plain", "protocol": "HTTP"}, "hosts": ["*"], "tls": {"httpsRedirect": true}},
    ]);
    let to = |name: &str| json!([{"destination": {"host": name, "port": {"number": 443}}}]);
    let tls = json!([
        {"match": [{"sniHosts": ["pass.test"]}], "route": to("backend-a")},
        {"match": [{"sniHosts": ["*.wild.test"]}], "route": to("backend-b")},
    ]);
    let direct = json!([{"directResponse": {"status": 200, "body": {"string": "in"}}}]);
    let routes = json!({"hosts": ["*"], "gateways": ["edge"], "tls": tls, "http": direct});
    [
        object(group, "Gateway", "edge", &json!({"servers": servers})),
        object(group, "VirtualService", "edge", &routes),
    ]
}

/// What curl gets of `four.test`: the status, if there is one.
fn mutual(address: &str, client: Option<&[PathBuf; 3]>, authority: &Path) -> Option<String> {
    let port = address.rsplit(':').next().unwrap();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "--cacert",
    ]);
    curl.arg(authority)
        .args(["--resolve", &format!("four.test:{port}:127.0.0.1")]);
    if let Some([certificate, key, _]) = client {
        curl.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    let output = curl
        .arg(format!("https://four.test:{port}/"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_routed_as_istios_reference_has_it() {
    let (node, site) = (Node::start().unwrap(), Site::open().await);
    let mut all = Vec::from(["one", "two", "three"].map(|name| site.shown(name)));
    let pair = certificate(&site.authority, "four.test").unwrap();
    all.push(secret(
        "four",
        &[
            ("tls.crt", &pair.certificate_pem),
            ("tls.key", &pair.key_pem),
            ("ca.crt", site.authority.certificate_pem()),
        ],
    ));
    all.extend(outside("backend-a", site.a.port));
    all.extend(outside("backend-b", site.b.port));
    all.extend(istio_objects());
    node.apply_text(&all.join("\n---\n")).unwrap();
    hold(&node, ISTIO).await;
    // gateway/#ServerTLSSettings-TLSmode MUTUAL: who proves nothing is not served.
    let (address, client) = (node.listener(8443).await.unwrap(), site.client());
    assert_eq!(
        mutual(&address, Some(&client), &client[2]).as_deref(),
        Some("200")
    );
    assert_eq!(mutual(&address, None, &client[2]), None);
    // gateway/#ServerTLSSettings httpsRedirect: 301 to the server that has the host over TLS, by the port that it asks for.
    let plain = node.listener(9080).await.unwrap();
    let answer = osier_tests::curl::Ask::get("/a?q=1")
        .send(&plain, "one.test")
        .unwrap();
    assert_eq!(answer.status, 301);
    assert_eq!(
        answer.header("location"),
        Some("https://one.test:8443/a?q=1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_routed_as_the_gateway_api_has_it() {
    let (node, site) = (Node::start().unwrap(), Site::open().await);
    let group = "gateway.networking.k8s.io/v1";
    let plain = Server::plain().await.unwrap();
    let listeners = json!([
        {"name": "pass", "port": 9443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "one", "port": 8443, "protocol": "HTTPS", "hostname": "one.test", "tls": {"mode": "Terminate", "certificateRefs": [{"name": "one"}]}},
        {"name": "tcp", "port": 9000, "protocol": "TCP"},
    ]);
    let to = |name: &str| json!([{"backendRefs": [{"name": name, "port": 443}]}]);
    let route = |section: &str, name: &str| json!({"parentRefs": [{"name": "edge", "sectionName": section}], "rules": to(name)});
    let tls = |hosts: &str, name: &str| {
        let mut spec = route("pass", name);
        spec["hostnames"] = json!([hosts]);
        spec
    };
    let mut all = vec![
        site.shown("one"),
        object(
            group,
            "Gateway",
            "edge",
            &json!({"gatewayClassName": "osier", "listeners": listeners}),
        ),
        object(
            "gateway.networking.k8s.io/v1",
            "TLSRoute",
            "one",
            &tls("pass.test", "backend-a"),
        ),
        object(
            "gateway.networking.k8s.io/v1",
            "TLSRoute",
            "wild",
            &tls("*.wild.test", "backend-b"),
        ),
        object(
            "gateway.networking.k8s.io/v1",
            "TCPRoute",
            "raw",
            &route("tcp", "plain"),
        ),
    ];
    for (name, port) in [
        ("backend-a", site.a.port),
        ("backend-b", site.b.port),
        ("plain", plain.port),
    ] {
        all.extend(outside(name, port));
    }
    node.apply_text(&all.join("\n---\n")).unwrap();
    hold(&node, GATEWAY_API).await;
    // #TCPRoute rules.backendRefs: bytes pass as they are; nobody reads the host.
    let address = node.listener(9000).await.unwrap();
    let passes = || async {
        let answer = osier_tests::http::get_with(&address, "/x", &[("host", "any.test")]).await?;
        ensure!(
            answer.text() == "HTTP/1.1 any.test /x ",
            "{}",
            answer.text()
        );
        Result::<_>::Ok(Some(()))
    };
    until("bytes pass", SOON, passes).await.unwrap();
}
