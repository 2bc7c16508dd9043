//! The Gateway API, row by row: each names the test of the conformance suite that it mirrors
//! (<https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/tests>), and is asked by curl after kubectl applied it.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_identity::Authority;
use osier_tests::artifacts::component;
use osier_tests::curl::{Answer, Ask};
use osier_tests::server::Server;
use osier_tests::tls::{certificate, secret};
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

const BACKENDS: &str = include_str!("manifests/gateway_api.yaml");
const SOON: Duration = Duration::from_secs(20);
const GROUP: &str = "/apis/gateway.networking.k8s.io/v1";

async fn node() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(BACKENDS).unwrap();
    objects::ready(&node, "app=echo", 2).await.unwrap();
    node
}

/// What a row expects of a request.
enum Expect {
    /// The answer of this pod.
    Pod(&'static str),
    /// This pod's answer, to a request for this path with this header.
    Sees(
        &'static str,
        &'static str,
        (&'static str, Option<&'static str>),
    ),
    /// A status without a pod.
    Status(u16),
    /// A status and a `Location`.
    Location(u16, &'static str),
    /// An answer with this header.
    Header(&'static str, Option<&'static str>),
}
use Expect::{Header, Location, Pod, Sees, Status};

impl Expect {
    fn check(&self, row: &str, ask: &Ask<'_>, answer: &Answer) {
        let what = format!("{row}: {ask:?}: {answer:?}");
        match self {
            Pod(name) => {
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.json()["pod"], *name, "{what}");
            }
            Sees(name, path, (header, value)) => {
                let told = answer.json();
                assert_eq!(told["pod"], *name, "{what}");
                assert_eq!(told["path"], *path, "{what}");
                assert_eq!(told["headers"][*header].as_str(), *value, "{what}");
            }
            Status(code) => assert_eq!(answer.status, *code, "{what}"),
            Location(code, location) => {
                assert_eq!(answer.status, *code, "{what}");
                assert_eq!(answer.header("location"), Some(*location), "{what}");
            }
            Header(name, value) => assert_eq!(answer.header(name), *value, "{what}"),
        }
    }
}

/// An HTTPRoute of the host `ROW.test`, and what is asked of it.
struct Row {
    /// The conformance test.
    source: &'static str,
    rules: Value,
    asks: Vec<(Ask<'static>, Expect)>,
}

fn route(name: &str, gateway: &str, spec: Value) -> String {
    let mut spec = spec;
    if spec["parentRefs"].is_null() {
        spec["parentRefs"] = json!([{"name": gateway}]);
    }
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name}, "spec": spec})
    .to_string()
}

fn backend(name: &str) -> Value {
    json!([{"name": name, "port": 8080}])
}

fn path(kind: &str, value: &str) -> Value {
    json!({"path": {"type": kind, "value": value}})
}

fn to(matches: Value, name: &str) -> Value {
    json!({"matches": matches, "backendRefs": backend(name)})
}

fn filtered(matches: Value, filters: Value, name: &str) -> Value {
    json!({"matches": matches, "filters": filters, "backendRefs": backend(name)})
}

fn get(path: &'static str) -> Ask<'static> {
    Ask::get(path)
}

fn matching() -> Vec<Row> {
    let header = |name: &str, value: &str| json!({"headers": [{"name": name, "value": value}]});
    let query = |name: &str, value: &str| json!({"queryParams": [{"name": name, "value": value}]});
    vec![
        Row {
            source: "HTTPRouteMatching",
            rules: json!([
                to(
                    json!([path("PathPrefix", "/"), header("version", "one")]),
                    "v1"
                ),
                to(
                    json!([path("PathPrefix", "/v2"), header("version", "two")]),
                    "v2"
                ),
            ]),
            asks: vec![
                (get("/"), Pod("v1")),
                (get("/example"), Pod("v1")),
                (get("/").with("version", "one"), Pod("v1")),
                (get("/v2"), Pod("v2")),
                (get("/v2/"), Pod("v2")),
                (get("/v2/example"), Pod("v2")),
                // A prefix goes by segments: this one is not below /v2.
                (get("/v2example"), Pod("v1")),
                (get("/").with("version", "two"), Pod("v2")),
            ],
        },
        Row {
            source: "HTTPRouteExactPathMatching",
            rules: json!([
                to(json!([path("Exact", "/one")]), "v1"),
                to(json!([path("Exact", "/two")]), "v2"),
            ]),
            asks: vec![
                (get("/one"), Pod("v1")),
                (get("/two"), Pod("v2")),
                (get("/"), Status(404)),
                (get("/one/example"), Status(404)),
                (get("/two/"), Status(404)),
                (get("/Two"), Status(404)),
            ],
        },
        Row {
            source: "HTTPRoutePathMatchOrder",
            rules: json!([
                to(json!([path("PathPrefix", "/match")]), "v1"),
                to(json!([path("Exact", "/match/exact/one")]), "v2"),
                to(json!([path("PathPrefix", "/match/prefix/one")]), "v2"),
            ]),
            asks: vec![
                (get("/match/exact/one"), Pod("v2")),
                (get("/match/exact"), Pod("v1")),
                (get("/match/prefix/one/any"), Pod("v2")),
                (get("/match/any"), Pod("v1")),
            ],
        },
        Row {
            source: "HTTPRouteHeaderMatching",
            rules: json!([
                to(json!([header("version", "one")]), "v1"),
                to(
                    json!([{"headers": [{"name": "version", "value": "two"}, {"name": "color", "value": "orange"}]}]),
                    "v2"
                ),
            ]),
            asks: vec![
                (get("/").with("version", "one"), Pod("v1")),
                (
                    get("/").with("VERSION", "two").with("Color", "orange"),
                    Pod("v2"),
                ),
                (get("/").with("version", "two"), Status(404)),
                (get("/").with("color", "orange"), Status(404)),
                (get("/"), Status(404)),
            ],
        },
        Row {
            source: "HTTPRouteQueryParamMatching",
            rules: json!([
                to(json!([query("animal", "whale")]), "v1"),
                to(json!([query("animal", "dolphin")]), "v2"),
            ]),
            asks: vec![
                (get("/?animal=whale"), Pod("v1")),
                (get("/?animal=dolphin&color=blue"), Pod("v2")),
                (get("/?animal=dog"), Status(404)),
                (get("/?animal=whaledolphin"), Status(404)),
                (get("/"), Status(404)),
            ],
        },
        Row {
            source: "HTTPRouteMethodMatching",
            rules: json!([
                to(json!([{"method": "POST"}]), "v1"),
                to(json!([{"method": "GET"}]), "v2"),
            ]),
            asks: vec![
                (get("/").by("POST"), Pod("v1")),
                (get("/"), Pod("v2")),
                (get("/").by("PUT"), Status(404)),
            ],
        },
    ]
}

fn filters() -> Vec<Row> {
    let all = || json!([path("PathPrefix", "/")]);
    let change = json!({"set": [{"name": "x-set", "value": "set"}], "add": [{"name": "x-add", "value": "add"}], "remove": ["x-remove"]});
    vec![
        Row {
            source: "HTTPRouteRequestHeaderModifier",
            rules: json!([filtered(
                all(),
                json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": change}]),
                "v1"
            )]),
            asks: vec![
                (
                    get("/").with("x-set", "old"),
                    Sees("v1", "/", ("x-set", Some("set"))),
                ),
                (get("/"), Sees("v1", "/", ("x-add", Some("add")))),
                (
                    get("/").with("x-remove", "old"),
                    Sees("v1", "/", ("x-remove", None)),
                ),
            ],
        },
        Row {
            source: "HTTPRouteResponseHeaderModifier",
            rules: json!([filtered(
                all(),
                json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier":
                {"set": [{"name": "content-type", "value": "text/x"}], "add": [{"name": "x-add", "value": "add"}], "remove": ["content-length"]}}]),
                "v1"
            )]),
            asks: vec![
                (get("/"), Header("content-type", Some("text/x"))),
                (get("/"), Header("x-add", Some("add"))),
            ],
        },
        Row {
            source: "HTTPRouteBackendRequestHeaderModifier",
            rules: json!([{"backendRefs": [{"name": "v1", "port": 8080, "filters":
                [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-of", "value": "v1"}]}}]}]}]),
            asks: vec![(get("/"), Sees("v1", "/", ("x-of", Some("v1"))))],
        },
        Row {
            source: "HTTPRouteCORS",
            rules: json!([filtered(
                all(),
                json!([{"type": "CORS", "cors": {"allowOrigins": ["https://www.foo.com", "https://*.bar.com"],
                "allowMethods": ["GET", "OPTIONS"], "maxAge": 10}}]),
                "v1"
            )]),
            asks: vec![
                (
                    get("/")
                        .by("OPTIONS")
                        .with("origin", "https://www.bar.com")
                        .with("access-control-request-method", "GET"),
                    Header("access-control-allow-origin", Some("https://www.bar.com")),
                ),
                (
                    get("/")
                        .by("OPTIONS")
                        .with("origin", "https://www.foo.com")
                        .with("access-control-request-method", "GET"),
                    Header("access-control-max-age", Some("10")),
                ),
                (
                    get("/").with("origin", "https://foobar.com"),
                    Header("access-control-allow-origin", None),
                ),
            ],
        },
        Row {
            source: "HTTPRouteTimeoutRequest, HTTPRouteTimeoutBackendRequest",
            rules: json!([
                {"matches": [path("PathPrefix", "/request")], "timeouts": {"request": "200ms"}, "backendRefs": backend("v1")},
                {"matches": [path("PathPrefix", "/backend")], "timeouts": {"backendRequest": "200ms"}, "backendRefs": backend("v1")},
                {"matches": [path("PathPrefix", "/disabled")], "timeouts": {"request": "0s"}, "backendRefs": backend("v1")}]),
            asks: vec![
                (get("/request?ms=3000"), Status(504)),
                (get("/backend?ms=3000"), Status(504)),
                (get("/request"), Pod("v1")),
                (get("/disabled?ms=500"), Pod("v1")),
            ],
        },
    ]
}

fn targets() -> Vec<Row> {
    let redirect = |prefix: &str, change: Value| {
        json!({"matches": [path("PathPrefix", prefix)],
            "filters": [{"type": "RequestRedirect", "requestRedirect": change}]})
    };
    let rewrite = |prefix: &str, change: Value| {
        let filters = json!([{"type": "URLRewrite", "urlRewrite": change}]);
        filtered(json!([path("PathPrefix", prefix)]), filters, "v1")
    };
    let whole = |path: &str| json!({"type": "ReplaceFullPath", "replaceFullPath": path});
    let prefix = |path: &str| json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path});
    vec![
        Row {
            source: "HTTPRouteRedirectHostAndStatus",
            rules: json!([
                redirect("/host", json!({"hostname": "example.org"})),
                redirect(
                    "/status",
                    json!({"hostname": "example.org", "statusCode": 301})
                )
            ]),
            asks: vec![
                (get("/host"), Location(302, "http://example.org/host")),
                (get("/status"), Location(301, "http://example.org/status")),
            ],
        },
        Row {
            source: "HTTPRouteRedirectScheme, HTTPRouteRedirectPort",
            rules: json!([
                redirect("/scheme", json!({"scheme": "https"})),
                redirect("/port", json!({"hostname": "example.org", "port": 8083})),
                redirect(
                    "/both",
                    json!({"scheme": "https", "hostname": "example.org", "port": 443})
                )
            ]),
            asks: vec![
                (get("/scheme"), Location(302, "https://HOST/scheme")),
                (get("/port"), Location(302, "http://example.org:8083/port")),
                (get("/both"), Location(302, "https://example.org/both")),
            ],
        },
        Row {
            source: "HTTPRouteRedirectPath",
            rules: json!([
                redirect(
                    "/original-prefix",
                    json!({"path": prefix("/replacement-prefix")})
                ),
                redirect("/full", json!({"path": whole("/replaced")}))
            ]),
            asks: vec![
                (
                    get("/original-prefix/lemon"),
                    Location(302, "http://HOST/replacement-prefix/lemon"),
                ),
                (
                    get("/full/path/original"),
                    Location(302, "http://HOST/replaced"),
                ),
            ],
        },
        Row {
            source: "HTTPRouteRewritePath",
            rules: json!([
                rewrite("/prefix/one", json!({"path": prefix("/one")})),
                rewrite("/full/one", json!({"path": whole("/one")})),
                rewrite("/strip-prefix", json!({"path": prefix("/")}))
            ]),
            asks: vec![
                (
                    get("/prefix/one/two"),
                    Sees("v1", "/one/two", ("x-none", None)),
                ),
                (get("/prefix/one"), Sees("v1", "/one", ("x-none", None))),
                (get("/full/one/two"), Sees("v1", "/one", ("x-none", None))),
                (
                    get("/strip-prefix/three"),
                    Sees("v1", "/three", ("x-none", None)),
                ),
                (get("/strip-prefix"), Sees("v1", "/", ("x-none", None))),
            ],
        },
    ]
}

fn references() -> Vec<Row> {
    let only = |backends: Value| json!([{"backendRefs": backends}]);
    vec![
        Row {
            source: "HTTPRouteInvalidBackendRefUnknownKind",
            rules: only(
                json!([{"group": "unknownkind.example.com", "kind": "NonExistent", "name": "x", "port": 8080}]),
            ),
            asks: vec![(get("/"), Status(500))],
        },
        Row {
            source: "HTTPRouteInvalidNonExistentBackendRef",
            rules: only(json!([{"name": "nonexistent", "port": 8080}])),
            asks: vec![(get("/"), Status(500))],
        },
        Row {
            source: "HTTPRouteInvalidCrossNamespaceBackendRef",
            rules: only(json!([{"name": "other", "namespace": "web-backend", "port": 8080}])),
            asks: vec![(get("/"), Status(500))],
        },
        Row {
            source: "HTTPRouteInvalidBackendRefUnknownKind: what is valid in the route works on",
            rules: json!([
                {"matches": [path("PathPrefix", "/bad")], "backendRefs": [{"kind": "Bucket", "name": "x"}]},
                to(json!([path("PathPrefix", "/good")]), "v2")]),
            asks: vec![(get("/good"), Pod("v2")), (get("/bad"), Status(500))],
        },
    ]
}

/// The reason of a condition at a route's first parent, once it speaks of the route's newest edition.
async fn parent(node: &Node, route: &str, kind: &str) -> (String, String) {
    let path = format!("{GROUP}/namespaces/default/httproutes/{route}");
    let said = || async {
        let route = objects::get(node, &path).await?;
        let conditions = route["status"]["parents"][0]["conditions"].as_array();
        let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
        ensure!(
            found.is_some_and(|one| one["observedGeneration"] == route["metadata"]["generation"]),
            "{route}"
        );
        let text = |field: &str| {
            found
                .and_then(|one| one[field].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Some((text("status"), text("reason"))))
    };
    until(&format!("{kind} of {route}"), SOON, said)
        .await
        .unwrap()
}

async fn check(node: &Node, rows: Vec<Row>) {
    let gateway = node.address("gateway").unwrap();
    for (number, row) in rows.into_iter().enumerate() {
        let name = format!(
            "row-{number}-{}",
            row.source.split([',', ':']).next().unwrap().to_lowercase()
        );
        let host = format!("{name}.test");
        let spec = json!({"hostnames": [host], "rules": row.rules});
        node.apply_text(&route(&name, "same-namespace", spec))
            .unwrap();
        let accepted = parent(node, &name, "Accepted").await;
        assert_eq!(
            accepted,
            ("True".into(), "Accepted".into()),
            "{}",
            row.source
        );
        for (ask, expect) in row.asks {
            let answer = ask.send(&gateway, &host).unwrap();
            expect.check(row.source, &ask, &answer.with_host(&host));
        }
        objects::delete(
            node,
            &format!("{GROUP}/namespaces/default/httproutes/{name}"),
        )
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_match_as_the_specification_says() {
    let node = node().await;
    check(&node, matching()).await;
    check(&node, filters()).await;
    check(&node, targets()).await;
    check(&node, references()).await;
}

/// Conditions of a Gateway's listener as `type=status/reason`, and how many routes are attached.
async fn listener(node: &Node, gateway: &str, name: &str, expected: &[&str]) {
    let path = format!("{GROUP}/namespaces/default/gateways/{gateway}");
    let said = || async {
        let gateway = objects::get(node, &path).await?;
        let listeners = gateway["status"]["listeners"].as_array();
        let listener = listeners.and_then(|all| all.iter().find(|one| one["name"] == name));
        let conditions = listener.and_then(|one| one["conditions"].as_array());
        let mut said: Vec<String> = conditions
            .into_iter()
            .flatten()
            .map(|one| {
                format!("{}={}/{}", one["type"], one["status"], one["reason"]).replace('"', "")
            })
            .collect();
        said.extend(listener.map(|one| format!("attached={}", one["attachedRoutes"])));
        let all = expected
            .iter()
            .all(|wanted| said.iter().any(|one| one == wanted));
        ensure!(all, "{said:?} has not {expected:?}");
        Ok(Some(()))
    };
    until(&format!("listener {name} of {gateway}"), SOON, said)
        .await
        .unwrap();
}

fn gateway(name: &str, listeners: &Value) -> String {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name},
        "spec": {"gatewayClassName": "osier", "listeners": listeners}})
    .to_string()
}

/// GatewayClass and Gateway conditions; GatewayInvalidRouteKind, GatewayInvalidTLSConfiguration, GatewayModifyListeners,
/// GatewayWithAttachedRoutes, GatewayHTTPListenerIsolation, GatewaySecretReferenceGrantSpecific.
#[tokio::test(flavor = "multi_thread")]
async fn gateways_say_what_became_of_their_listeners() {
    let node = node().await;
    let class = || async {
        let class = objects::get(&node, &format!("{GROUP}/gatewayclasses/osier")).await?;
        Ok((objects::condition(&class, "Accepted") == Some("True")).then_some(()))
    };
    until("the class is accepted", SOON, class).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = certificate(&authority, "secure.test").unwrap();
    let made = secret(
        "cert",
        &[
            ("tls.crt", &pair.certificate_pem),
            ("tls.key", &pair.key_pem),
        ],
    );
    let secure = |name: &str, host: &str, reference: Value| json!({"name": name, "port": 8443, "protocol": "HTTPS", "hostname": host, "tls": {"certificateRefs": [reference]}});
    let listeners = json!([
        {"name": "plain", "port": 9001, "protocol": "HTTP"},
        {"name": "kinds", "port": 9002, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "InvalidRoute"}]}},
        {"name": "twice", "port": 9003, "protocol": "HTTP"},
        {"name": "mixed", "port": 9003, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
        secure("secure", "secure.test", json!({"name": "cert"})),
        secure("absent", "absent.test", json!({"name": "nonexistent"})),
        secure("kind", "kind.test", json!({"group": "wrong.group", "kind": "WrongKind", "name": "cert"})),
        secure("elsewhere", "elsewhere.test", json!({"name": "cert", "namespace": "web-backend"})),
    ]);
    node.apply_text(&gateway("edge", &listeners)).unwrap();
    let good = [
        "Accepted=True/Accepted",
        "ResolvedRefs=True/ResolvedRefs",
        "Conflicted=False/NoConflicts",
        "Programmed=True/Programmed",
        "attached=0",
    ];
    listener(&node, "edge", "plain", &good).await;
    listener(
        &node,
        "edge",
        "kinds",
        &["ResolvedRefs=False/InvalidRouteKinds"],
    )
    .await;
    listener(
        &node,
        "edge",
        "twice",
        &[
            "Conflicted=True/ProtocolConflict",
            "Programmed=False/Invalid",
        ],
    )
    .await;
    listener(
        &node,
        "edge",
        "mixed",
        &["Conflicted=True/ProtocolConflict"],
    )
    .await;
    listener(
        &node,
        "edge",
        "secure",
        &[
            "ResolvedRefs=False/InvalidCertificateRef",
            "Programmed=False/Invalid",
        ],
    )
    .await;
    listener(
        &node,
        "edge",
        "kind",
        &["ResolvedRefs=False/InvalidCertificateRef"],
    )
    .await;
    listener(
        &node,
        "edge",
        "elsewhere",
        &["ResolvedRefs=False/RefNotPermitted"],
    )
    .await;
    // What was missing arrives: the listener is in force without anybody touching the Gateway.
    node.apply_text(&made).unwrap();
    listener(&node, "edge", "secure", &good).await;
    listener(
        &node,
        "edge",
        "absent",
        &["ResolvedRefs=False/InvalidCertificateRef"],
    )
    .await;
    let permit = json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "certs", "namespace": "web-backend"},
        "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default"}],
            "to": [{"group": "", "kind": "Secret", "name": "cert"}]}});
    node.apply_text(&permit.to_string()).unwrap();
    listener(
        &node,
        "edge",
        "elsewhere",
        &["ResolvedRefs=False/InvalidCertificateRef"],
    )
    .await;
    let spec = json!({"parentRefs": [{"name": "edge", "sectionName": "secure"}, {"name": "edge", "sectionName": "plain"}],
        "rules": [{"backendRefs": backend("v1")}]});
    node.apply_text(&route("attached", "edge", spec)).unwrap();
    listener(&node, "edge", "plain", &["attached=1"]).await;
    listener(&node, "edge", "secure", &["attached=1"]).await;
    let client = osier_tests::tls::Client::trusting(&authority);
    let address = node.listener(8443).await.unwrap();
    let (answer, _) = client.get(&address, "https://secure.test/").await.unwrap();
    assert_eq!(answer.json().unwrap()["pod"], "v1");
    let shown = kubectl(
        &node,
        &["get", "gateways.gateway.networking.k8s.io", "edge"],
    );
    assert!(shown.contains("osier") && shown.contains("True"), "{shown}");
    let refused = gateway(
        "bad",
        &json!([{"name": "a", "port": 80, "protocol": "HTTP", "tls": {"mode": "Terminate", "certificateRefs": [{"name": "x"}]}}]),
    );
    let error = node.apply_text(&refused).unwrap_err().to_string();
    assert!(error.contains("tls must not be specified"), "{error}");
}

fn kubectl(node: &Node, args: &[&str]) -> String {
    let kubectl = osier_tests::kubectl::installed().unwrap();
    let output = kubectl.run(&node.kubeconfig(), args, None).unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// HTTPRouteReferenceGrant, HTTPRoutePartiallyInvalidViaInvalidReferenceGrant, HTTPRouteInvalidCrossNamespaceParentRef,
/// HTTPRouteCrossNamespace, HTTPRouteInvalidParentRefNotMatchingSectionName, HTTPRouteHostnameIntersection, HTTPRouteWeight.
#[tokio::test(flavor = "multi_thread")]
async fn routes_say_what_became_of_their_references() {
    let node = node().await;
    let address = node.address("gateway").unwrap();
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let elsewhere = json!({"hostnames": ["grant.test"], "rules": [{"backendRefs": [{"name": "other", "namespace": "web-backend", "port": 8080}]}]});
    node.apply_text(&route("grant", "same-namespace", elsewhere))
        .unwrap();
    assert_eq!(
        parent(&node, "grant", "ResolvedRefs").await,
        is("False", "RefNotPermitted")
    );
    assert_eq!(get("/").send(&address, "grant.test").unwrap().status, 500);
    let permit = json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "services", "namespace": "web-backend"},
        "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
            "to": [{"group": "", "kind": "Service", "name": "other"}]}});
    node.apply_text(&permit.to_string()).unwrap();
    let resolved = || async {
        Ok(
            (parent(&node, "grant", "ResolvedRefs").await == is("True", "ResolvedRefs"))
                .then_some(()),
        )
    };
    until("the grant counts", SOON, resolved).await.unwrap();
    let served = || async {
        Ok((get("/").send(&address, "grant.test").unwrap().json()["pod"] == "other").then_some(()))
    };
    until("the pod of the other namespace answers", SOON, served)
        .await
        .unwrap();
    for (name, backends, reason) in [
        (
            "kind",
            json!([{"kind": "Bucket", "name": "x"}]),
            "InvalidKind",
        ),
        (
            "absent",
            json!([{"name": "nonexistent", "port": 8080}]),
            "BackendNotFound",
        ),
    ] {
        let spec =
            json!({"hostnames": [format!("{name}.test")], "rules": [{"backendRefs": backends}]});
        node.apply_text(&route(name, "same-namespace", spec))
            .unwrap();
        assert_eq!(
            parent(&node, name, "Accepted").await,
            is("True", "Accepted")
        );
        assert_eq!(
            parent(&node, name, "ResolvedRefs").await,
            is("False", reason)
        );
    }
    let narrow =
        json!([{"name": "named", "port": 9001, "protocol": "HTTP", "hostname": "*.named.test"}]);
    node.apply_text(&gateway("narrow", &narrow)).unwrap();
    for (name, parent_ref, host, reason) in [
        (
            "section",
            json!({"name": "narrow", "sectionName": "http-listener-not-matching"}),
            "a.named.test",
            "NoMatchingParent",
        ),
        (
            "host",
            json!({"name": "narrow"}),
            "a.other.test",
            "NoMatchingListenerHostname",
        ),
        (
            "fits",
            json!({"name": "narrow", "port": 9001}),
            "a.named.test",
            "Accepted",
        ),
    ] {
        let spec = json!({"parentRefs": [parent_ref], "hostnames": [host], "rules": [{"backendRefs": backend("v1")}]});
        node.apply_text(&route(name, "narrow", spec)).unwrap();
        let (_, said) = parent(&node, name, "Accepted").await;
        assert_eq!(said, reason, "{name}");
    }
    let foreign = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "foreign", "namespace": "web-backend"},
        "spec": {"parentRefs": [{"name": "same-namespace", "namespace": "default"}], "rules": [{"backendRefs": backend("other")}]}});
    node.apply_text(&foreign.to_string()).unwrap();
    let refused = || async {
        let route = objects::get(
            &node,
            &format!("{GROUP}/namespaces/web-backend/httproutes/foreign"),
        )
        .await?;
        let reason = &route["status"]["parents"][0]["conditions"][0]["reason"];
        ensure!(reason == "NotAllowedByListeners", "{route}");
        Ok(Some(()))
    };
    until("the listener takes its own namespace only", SOON, refused)
        .await
        .unwrap();
    let weights = json!({"hostnames": ["weight.test"], "rules": [{"backendRefs": [
        {"name": "v1", "port": 8080, "weight": 70}, {"name": "v2", "port": 8080, "weight": 30}, {"name": "other", "port": 8080, "weight": 0}]}]});
    node.apply_text(&route("weight", "same-namespace", weights))
        .unwrap();
    parent(&node, "weight", "Accepted").await;
    let first = (0..200)
        .filter(|_| get("/").send(&address, "weight.test").unwrap().json()["pod"] == "v1")
        .count();
    // Four standard deviations around 140.
    assert!((114..=166).contains(&first), "{first} of 200");
}

const CALLERS: &str = include_str!("manifests/callers.yaml");

/// MeshBasic, MeshFrontend, MeshConsumerRoute: routes of a Service decide where calls between pods go.
#[tokio::test(flavor = "multi_thread")]
async fn calls_between_pods_follow_routes_of_their_service() {
    let node = node().await;
    node.import("http:1.0", &component("tests/http").unwrap())
        .unwrap();
    node.apply_text(CALLERS).unwrap();
    objects::ready(&node, "app=caller", 1).await.unwrap();
    let address = node.listener(9001).await.unwrap();
    let answers = |host: &'static str, pod: &'static str| {
        let address = address.clone();
        async move {
            let called = || async {
                let answer = Ask::get("/call/v1.default:8080").send(&address, host)?;
                ensure!(answer.json()["pod"] == pod, "{answer:?}");
                Ok(Some(()))
            };
            let what = format!("calls of {host} go to {pod}");
            until(&what, SOON, called).await.unwrap();
        }
    };
    answers("near.test", "v1").await;
    answers("far.test", "v1").await;
    let of_service = |namespace: &str, backend: &str| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "v1", "namespace": namespace},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "v1", "namespace": "default", "port": 8080}],
                "rules": [{"backendRefs": [{"name": backend, "port": 8080}]}]}})
        .to_string()
    };
    // A consumer's route is for the callers of its namespace.
    node.apply_text(&of_service("web-backend", "other"))
        .unwrap();
    answers("far.test", "other").await;
    answers("near.test", "v1").await;
    node.apply_text(&of_service("default", "v2")).unwrap();
    let (status, reason) = parent(&node, "v1", "Accepted").await;
    assert_eq!((&*status, &*reason), ("True", "Accepted"));
    answers("near.test", "v2").await;
    answers("far.test", "other").await;
    objects::delete(&node, &format!("{GROUP}/namespaces/default/httproutes/v1"))
        .await
        .unwrap();
    answers("near.test", "v1").await;
}

/// HTTPRouteRequestMirror, HTTPRouteListenerPortMatching, HTTPRouteInvalidParentRefNotMatchingListenerPort, HTTPRouteHTTPSListener's plain side.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_sent_and_ports_are_told_apart() {
    let node = node().await;
    let address = node.address("gateway").unwrap();
    let copied = json!({"hostnames": ["copy.test"], "rules": [{"backendRefs": backend("v1"),
        "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}}}]}]});
    node.apply_text(&route("copy", "same-namespace", copied))
        .unwrap();
    parent(&node, "copy", "Accepted").await;
    let answer = get("/copied").send(&address, "copy.test").unwrap();
    assert_eq!(answer.json()["pod"], "v1");
    let arrived = || async {
        let log = objects::log(&node, "app=echo,version=v2").await?;
        Ok(log.contains("/copied").then_some(()))
    };
    until("the copy arrives", SOON, arrived).await.unwrap();
    let ports = json!([
        {"name": "one", "port": 9001, "protocol": "HTTP"},
        {"name": "two", "port": 9002, "protocol": "HTTP"}]);
    node.apply_text(&gateway("ports", &ports)).unwrap();
    for (name, to, parents) in [
        ("by-port", "v1", json!([{"name": "ports", "port": 9001}])),
        (
            "by-name",
            "v2",
            json!([{"name": "ports", "sectionName": "two"}]),
        ),
    ] {
        let spec = json!({"parentRefs": parents, "rules": [{"backendRefs": backend(to)}]});
        node.apply_text(&route(name, "ports", spec)).unwrap();
        parent(&node, name, "Accepted").await;
    }
    let parents = json!([{"name": "ports", "port": 9003}]);
    let spec = json!({"parentRefs": parents, "rules": [{"backendRefs": backend("v1")}]});
    node.apply_text(&route("no-port", "ports", spec)).unwrap();
    let (accepted, reason) = parent(&node, "no-port", "Accepted").await;
    assert_eq!((&*accepted, &*reason), ("False", "NoMatchingParent"));
    let (resolved, _) = parent(&node, "no-port", "ResolvedRefs").await;
    assert_eq!(resolved, "True");
    // The features that the class tells, sorted and each once, as the API asks.
    let class = objects::get(&node, &format!("{GROUP}/gatewayclasses/osier"))
        .await
        .unwrap();
    let features = class["status"]["supportedFeatures"].as_array().unwrap();
    let features: Vec<&str> = features
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(features.is_sorted() && features.windows(2).all(|pair| pair[0] != pair[1]));
    for feature in [
        "GatewayBackendClientCertificate",
        "GatewayStaticAddresses",
        "HTTPRouteDestinationPortMatching",
    ] {
        assert!(features.contains(&feature), "{features:?}");
    }
    for (port, pod) in [(9001, "v1"), (9002, "v2")] {
        let address = node.listener(port).await.unwrap();
        let answer = get("/").send(&address, "any.test").unwrap();
        assert_eq!(answer.json()["pod"], pod, "{port}");
    }
}

/// GEP-1619: a caller stays with the pod that answered it, across the backends of a rule, whatever their weights become.
#[tokio::test(flavor = "multi_thread")]
async fn callers_stay_with_the_pod_that_answered_them() {
    let node = node().await;
    let address = node.address("gateway").unwrap();
    let split = |session: &Value, weights: [u32; 2]| {
        let [first, second] = weights;
        let backends = json!([
            {"name": "v1", "port": 8080, "weight": first},
            {"name": "v2", "port": 8080, "weight": second}]);
        let rules = json!([{"sessionPersistence": session, "backendRefs": backends}]);
        let spec = json!({"hostnames": ["kept.test"], "rules": rules});
        route("kept", "same-namespace", spec)
    };
    let unbounded = json!({"cookieConfig": {"lifetimeType": "Permanent"}});
    let refused = node.apply_text(&split(&unbounded, [1, 1])).unwrap_err();
    assert!(refused.to_string().contains("absoluteTimeout"), "{refused}");
    let permanent = json!({"sessionName": "sid", "absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}});
    let header = json!({"sessionName": "x-session", "type": "Header", "idleTimeout": "10m"});
    for (session, given, sent) in [
        (permanent, "set-cookie", "cookie"),
        (header, "x-session", "x-session"),
    ] {
        node.apply_text(&split(&session, [1, 1])).unwrap();
        parent(&node, "kept", "Accepted").await;
        let first = get("/").send(&address, "kept.test").unwrap();
        let home = first.json()["pod"].as_str().unwrap().to_owned();
        let token = first.header(given).unwrap().to_owned();
        let ends = token.contains("; Path=/; Max-Age=3600; HttpOnly");
        assert_eq!(ends, given == "set-cookie", "{token}");
        let token = token.split(';').next().unwrap();
        // The other backend takes everything from now on, but who is known stays.
        let weights = if home == "v1" { [0, 1] } else { [1, 0] };
        node.apply_text(&split(&session, weights)).unwrap();
        parent(&node, "kept", "Accepted").await;
        for _ in 0..5 {
            let ask = get("/").with(sent, token);
            let again = ask.send(&address, "kept.test").unwrap();
            assert_eq!(again.json()["pod"], home.as_str());
            let other = get("/").send(&address, "kept.test").unwrap();
            assert_ne!(other.json()["pod"], home.as_str());
        }
    }
}

/// The Service `backend`, which is a port of this machine, and the ConfigMap `backend` with an authority.
fn backend_outside(node: &Node, authority: &Authority, port: u16) {
    let object = |kind: &str, fields: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "backend"}});
        let fields = fields.as_object().unwrap().clone();
        object.as_object_mut().unwrap().extend(fields);
        object.to_string()
    };
    node.apply_text(&object(
        "Service",
        json!({"spec": {"ports": [{"name": "https", "port": 443}]}}),
    ))
    .unwrap();
    let address =
        json!({"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "https", "port": port}]});
    node.apply_text(&object("Endpoints", json!({"subsets": [address]})))
        .unwrap();
    node.apply_text(&object(
        "ConfigMap",
        json!({"data": {"ca.crt": authority.certificate_pem()}}),
    ))
    .unwrap();
}

/// The policy by which the Service `backend` is called over TLS.
fn backend_tls(map: &str, hostname: &str) -> String {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy", "metadata": {"name": "backend"},
        "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "backend"}], "validation": {"hostname": hostname,
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": map}]}}})
    .to_string()
}

/// GatewayBackendClientCertificateFeature, GatewayInvalidTLSBackendConfiguration.
#[tokio::test(flavor = "multi_thread")]
async fn backends_are_shown_the_certificate_of_the_gateway() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = certificate(&authority, "backend.test").unwrap();
    let server = Server::mutual(authority.certificate_pem(), &pair)
        .await
        .unwrap();
    backend_outside(&node, &authority, server.port);
    node.apply_text(&backend_tls("backend", "backend.test"))
        .unwrap();
    let own = certificate(&authority, "gateway.test").unwrap();
    let values = [
        ("tls.crt", own.certificate_pem.as_str()),
        ("tls.key", own.key_pem.as_str()),
    ];
    let malformed = [("tls.crt", "none"), ("tls.key", "none")];
    for (name, values) in [("own", values), ("malformed", malformed)] {
        node.apply_text(&secret(name, &values)).unwrap();
    }
    let edge = |name: &str, host: &str, backend: Value| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name},
            "spec": {"gatewayClassName": "osier", "tls": {"backend": backend},
                "listeners": [{"name": "http", "port": 80, "protocol": "HTTP", "hostname": host}]}})
        .to_string()
    };
    // Another gateway on the same port, which shows nothing.
    node.apply_text(&edge("plain", "plain.test", json!({})))
        .unwrap();
    node.apply_text(&edge("edge", "tls.test", json!({})))
        .unwrap();
    for (name, gateway) in [("tls", "edge"), ("plain", "plain")] {
        let spec = json!({"rules": [{"backendRefs": [{"name": "backend", "port": 443}]}]});
        node.apply_text(&route(name, gateway, spec)).unwrap();
        parent(&node, name, "Accepted").await;
    }
    let address = node.address("gateway").unwrap();
    let invalid = "ResolvedRefs=False/InvalidClientCertificateRef";
    for (reference, said, shows) in [
        (json!({"name": "absent"}), invalid, false),
        (json!({"name": "malformed"}), invalid, false),
        (
            json!({"kind": "ConfigMap", "name": "backend"}),
            invalid,
            false,
        ),
        (
            json!({"group": "unknown.test", "name": "own"}),
            invalid,
            false,
        ),
        (
            json!({"name": "own", "namespace": "other"}),
            "ResolvedRefs=False/RefNotPermitted",
            false,
        ),
        (
            json!({"name": "own"}),
            "ResolvedRefs=True/ResolvedRefs",
            true,
        ),
    ] {
        let backend = json!({"clientCertificateRef": reference});
        node.apply_text(&edge("edge", "tls.test", backend)).unwrap();
        gateway_says(&node, "edge", &[said, "Accepted=True/Accepted"]).await;
        let answer = get("/").send(&address, "tls.test").unwrap();
        assert_eq!(answer.status == 200, shows, "{reference}: {answer:?}");
    }
    let answer = get("/").send(&address, "plain.test").unwrap();
    assert!(answer.status >= 500, "{answer:?}");
}

/// BackendTLSPolicy, BackendTLSPolicyInvalidCACertificateRef, BackendTLSPolicySANValidation: the backend is an address outside.
#[tokio::test(flavor = "multi_thread")]
async fn backends_are_called_over_tls_and_verified() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = certificate(&authority, "backend.test").unwrap();
    let server = Server::secure(authority.certificate_pem(), &pair)
        .await
        .unwrap();
    backend_outside(&node, &authority, server.port);
    let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
    node.apply_text(&gateway("edge", &listeners)).unwrap();
    let spec = json!({"hostnames": ["tls.test"], "rules": [{"backendRefs": [{"name": "backend", "port": 443}]}]});
    node.apply_text(&route("tls", "edge", spec)).unwrap();
    parent(&node, "tls", "Accepted").await;
    let address = node.address("gateway").unwrap();
    for (map, hostname, status, reason) in [
        ("absent", "backend.test", 503, "NoValidCACertificate"),
        ("backend", "other.test", 503, "Accepted"),
        ("backend", "backend.test", 200, "Accepted"),
    ] {
        node.apply_text(&backend_tls(map, hostname)).unwrap();
        let said = || async {
            let policy = objects::get(
                &node,
                &format!("{GROUP}/namespaces/default/backendtlspolicies/backend"),
            )
            .await?;
            let ancestor = &policy["status"]["ancestors"][0];
            let condition = &ancestor["conditions"][0];
            let newest = condition["observedGeneration"] == policy["metadata"]["generation"];
            ensure!(newest && condition["reason"] == reason, "{policy}");
            ensure!(ancestor["ancestorRef"]["kind"] == "Gateway", "{policy}");
            Ok(Some(()))
        };
        until("the policy says what became of it", SOON, said)
            .await
            .unwrap();
        let answer = get("/").send(&address, "tls.test").unwrap();
        assert_eq!(answer.status, status, "{map} {hostname}: {answer:?}");
    }
}

/// A gateway's conditions as `type=status/reason`, once they speak of its newest edition and hold all that is expected.
async fn gateway_says(node: &Node, name: &str, expected: &[&str]) -> Value {
    let path = format!("{GROUP}/namespaces/default/gateways/{name}");
    let said = || async {
        let gateway = objects::get(node, &path).await?;
        let conditions = gateway["status"]["conditions"].as_array();
        // What stands there before anybody serves the gateway speaks of no edition.
        let newest = |one: &&Value| {
            let of = &one["observedGeneration"];
            of.is_null() || *of == gateway["metadata"]["generation"]
        };
        let said: Vec<String> = conditions
            .into_iter()
            .flatten()
            .filter(newest)
            .map(|one| {
                format!("{}={}/{}", one["type"], one["status"], one["reason"]).replace('"', "")
            })
            .collect();
        let all = expected
            .iter()
            .all(|wanted| said.iter().any(|one| one == wanted));
        ensure!(all, "{said:?} has not {expected:?}");
        Ok(Some(gateway))
    };
    until(&format!("{name} says {expected:?}"), SOON, said)
        .await
        .unwrap()
}

/// GatewayStaticAddresses, GatewayOptionalAddressValue, GatewayInvalidParametersRef, GatewayOverlappingTLSConfigHostnames; the defaults of
/// `status` where nobody serves a Gateway.
#[tokio::test(flavor = "multi_thread")]
async fn what_gateways_ask_for_is_given_or_told() {
    let node = Node::start().unwrap();
    let of = |name: &str, class: &str, port: u16, more: Value| {
        let mut spec = json!({"gatewayClassName": class, "listeners": [{"name": "a", "port": port, "protocol": "http"}]});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let addresses =
        |kind: &str, value: &str| json!({"addresses": [{"type": kind, "value": value}]});
    let open = "Programmed=True/Programmed";
    for (name, more, expected) in [
        (
            "own",
            addresses("IPAddress", "127.0.0.1"),
            ["Accepted=True/Accepted", open],
        ),
        (
            "any",
            json!({"addresses": [{"type": "IPAddress"}]}),
            ["Accepted=True/Accepted", open],
        ),
        (
            "elsewhere",
            addresses("IPAddress", "192.0.2.7"),
            [
                "Accepted=True/Accepted",
                "Programmed=False/AddressNotUsable",
            ],
        ),
        (
            "named",
            addresses("Hostname", "a.test"),
            [
                "Accepted=False/UnsupportedAddress",
                "Programmed=False/AddressNotUsable",
            ],
        ),
        (
            "labels",
            json!({"infrastructure": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}),
            ["Accepted=True/Accepted", open],
        ),
        (
            "parameters",
            json!({"infrastructure": {"parametersRef": {"group": "a.test", "kind": "Parameters", "name": "x"}}}),
            [
                "Accepted=False/InvalidParameters",
                "Programmed=False/Invalid",
            ],
        ),
    ] {
        node.apply_text(&of(name, "osier", 9001, more)).unwrap();
        gateway_says(&node, name, &expected).await;
    }
    node.apply_text(&of("foreign", "nobody", 9002, json!({})))
        .unwrap();
    let pending = ["Accepted=Unknown/Pending", "Programmed=Unknown/Pending"];
    gateway_says(&node, "foreign", &pending).await;
    let passes = |name: &str, host: &str| json!({"name": name, "port": 9443, "protocol": "TLS", "hostname": host, "tls": {"mode": "Passthrough"}});
    let listeners = json!([
        passes("foo", "foo.example.com"),
        passes("wild", "*.example.com"),
        passes("org", "foo.example.org")
    ]);
    node.apply_text(&gateway("overlap", &listeners)).unwrap();
    let overlaps = "OverlappingTLSConfig=True/OverlappingHostnames";
    listener(
        &node,
        "overlap",
        "foo",
        &[overlaps, "Programmed=True/Programmed"],
    )
    .await;
    listener(&node, "overlap", "wild", &[overlaps]).await;
    let told = gateway_says(&node, "overlap", &[open]).await;
    let alone = told["status"]["listeners"][2]["conditions"].to_string();
    assert!(!alone.contains("OverlappingTLSConfig"), "{alone}");
}

/// GatewayFrontendClientCertificateValidation, GatewayFrontendInvalidDefaultClientCertificateValidation,
/// GatewayFrontendClientCertificateValidationInsecureFallback.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_gateway_prove_themselves() {
    let node = node().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = certificate(&authority, "secure.test").unwrap();
    let made = secret(
        "cert",
        &[
            ("tls.crt", &pair.certificate_pem),
            ("tls.key", &pair.key_pem),
        ],
    );
    node.apply_text(&made).unwrap();
    let own = certificate(&authority, "client.test").unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let trusted = file("trusted.crt", authority.certificate_pem());
    let proof = [
        file("client.crt", &own.certificate_pem),
        file("client.key", &own.key_pem),
    ];
    // What curl says of a request with these options: a status, or that there was no connection.
    let asked = |address: &str, options: &[&str]| {
        let port = address.rsplit(':').next().unwrap();
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                "--max-time",
                "20",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ])
            .args([
                "--cacert",
                &trusted,
                "--resolve",
                &format!("secure.test:{port}:127.0.0.1"),
            ])
            .args(options)
            .arg(format!("https://secure.test:{port}/"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let with = ["--cert", &*proof[0], "--key", &*proof[1]];
    let map = |text: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clients"}, "data": {"ca.crt": text}}).to_string()
    };
    let secure = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}});
    let validation = |mode: &str| json!({"validation": {"mode": mode, "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "clients"}]}});
    let tls = json!({"frontend": {"default": validation("AllowValidOnly"), "perPort": [{"port": 9444, "tls": validation("AllowInsecureFallback")}]}});
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": "osier", "tls": tls, "listeners": [secure("strict", 9443), secure("open", 9444)]}});
    node.apply_text(&gateway.to_string()).unwrap();
    node.apply_text(&route(
        "r",
        "edge",
        json!({"rules": [{"backendRefs": backend("v1")}]}),
    ))
    .unwrap();
    let none = [
        "Accepted=False/NoValidCACertificate",
        "ResolvedRefs=False/InvalidCACertificateRef",
        "Programmed=False/Invalid",
    ];
    listener(&node, "edge", "strict", &none).await;
    listener(
        &node,
        "edge",
        "open",
        &["Programmed=True/Programmed", "attached=1"],
    )
    .await;
    gateway_says(
        &node,
        "edge",
        &["InsecureFrontendValidationMode=True/ConfigurationChanged"],
    )
    .await;
    let address = node.listener(9444).await.unwrap();
    assert_eq!(asked(&address, &[]), "200");
    node.apply_text(&map(authority.certificate_pem())).unwrap();
    let good = [
        "Accepted=True/Accepted",
        "ResolvedRefs=True/ResolvedRefs",
        "Programmed=True/Programmed",
        "attached=1",
    ];
    listener(&node, "edge", "strict", &good).await;
    let address = node.listener(9443).await.unwrap();
    assert_eq!(asked(&address, &with), "200");
    assert_eq!(asked(&address, &[]), "000", "without a certificate");
    let other = tempfile::tempdir().unwrap();
    let other = Authority::open(other.path()).unwrap();
    let stranger = certificate(&other, "client.test").unwrap();
    let strange = [
        file("strange.crt", &stranger.certificate_pem),
        file("strange.key", &stranger.key_pem),
    ];
    let strange = ["--cert", &*strange[0], "--key", &*strange[1]];
    assert_eq!(asked(&address, &strange), "000", "of another authority");
}
