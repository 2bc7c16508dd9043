//! Istio's RequestAuthentication: tokens of calls, where pods are called and at gateways, by keys that stand in the object or are fetched.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_identity::TokenKey;
use osier_tests::artifacts::{binary, component};
use osier_tests::curl::{Answer, Ask};
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ECHO: &str = include_str!("manifests/echo.yaml");
const SOON: Duration = Duration::from_secs(30);
const ISSUER: &str = "https://id.example";
/// The year 2100.
const LATER: u64 = 4_102_444_800;

/// Somebody who signs tokens.
struct Issuer(TokenKey);

impl Issuer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self(TokenKey::open(folder.path()).unwrap())
    }

    fn jwks(&self) -> String {
        self.0.key_set().to_string()
    }

    /// `authorization` with a token that says more than who and until when.
    fn bearer(&self, more: Value) -> String {
        let mut claims = json!({"iss": ISSUER, "sub": "alice", "exp": LATER});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        format!("Bearer {}", self.0.sign(&claims).unwrap())
    }
}

/// A server that answers every request with this text, for a few seconds.
struct Keys {
    port: u16,
    text: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Keys {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (text, asked) = (
            Arc::<Mutex<Option<String>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (said, count) = (text.clone(), asked.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let text = said.lock().unwrap().clone();
                let _gone = Self::answer(stream, text).await;
            }
        });
        Self {
            port,
            text,
            asked,
            accepting,
        }
    }

    async fn answer(mut stream: TcpStream, text: Option<String>) -> std::io::Result<()> {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        }
        let status = if text.is_some() { "200 OK" } else { "503 No" };
        let text = text.unwrap_or_default();
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncache-control: max-age=1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{text}").as_bytes()).await
    }

    fn say(&self, text: &str) {
        *self.text.lock().unwrap() = Some(text.to_owned());
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn object(group: &str, kind: &str, name: &str, spec: Value) -> String {
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

fn security(kind: &str, name: &str, spec: Value) -> String {
    object("security.istio.io/v1", kind, name, spec)
}

/// A node with `echo` behind its gateway.
async fn stage() -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    answered(&gateway, &Ask::get("/x"), 200).await;
    (node, gateway)
}

/// Asks by curl until the answer is this one: objects need a moment to be in force.
async fn answered(gateway: &str, ask: &Ask<'_>, status: u16) -> Answer {
    let asked = || async {
        let answer = tokio::task::block_in_place(|| ask.send(gateway, "echo"))?;
        let (found, said) = (answer.status, answer.json());
        ensure!(found == status, "{found}: {said}");
        Ok(Some(answer))
    };
    until(&format!("{ask:?} is answered {status}"), SOON, asked)
        .await
        .unwrap()
}

/// What `osier why` says of an answer.
fn why(node: &Node, answer: &Answer) -> String {
    let id = answer.header("x-request-id").unwrap().to_owned();
    let output = Command::new(binary().unwrap())
        .args(["why", &id, "--kubeconfig"])
        .arg(node.kubeconfig())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_called_with_tokens_of_its_issuer_only() {
    let ((node, gateway), issuer, other) = (stage().await, Issuer::new(), Issuer::new());
    let rule = json!({"issuer": ISSUER, "jwks": issuer.jwks(), "audiences": ["shop"],
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]});
    let spec = json!({"selector": {"matchLabels": {"app": "echo"}}, "jwtRules": [rule]});
    node.apply_text(&security("RequestAuthentication", "tokens", spec))
        .unwrap();
    let forged = other.bearer(json!({"aud": "shop"}));
    let ask = Ask::get("/x").with("authorization", &forged);
    let refused = answered(&gateway, &ask, 401).await;
    let challenge = refused.header("www-authenticate").unwrap();
    assert_eq!(
        challenge,
        "Bearer realm=\"http://echo/x\", error=\"invalid_token\""
    );
    let told = why(&node, &refused);
    for part in [
        "default/tokens",
        "RequestAuthentication",
        "none of its issuer's keys",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let by =
        |line: &str| line.contains("osier::access") && line.contains("none of its issuer's keys");
    let logged = || async { Ok(node.log().lines().any(by).then_some(())) };
    until("the reason is in the log", SOON, logged)
        .await
        .unwrap();
    let good = issuer.bearer(json!({"aud": ["shop"], "groups": ["dev", "ops"]}));
    let passed = answered(
        &gateway,
        &Ask::get("/x")
            .with("authorization", &good)
            .with("x-user", "mallory"),
        200,
    )
    .await;
    let seen = passed.json();
    assert_eq!(seen["headers"]["x-user"], "alice");
    assert!(
        seen["headers"]["authorization"].is_null(),
        "the token is for the host: {seen}"
    );
    for (claims, status) in [
        (json!({"aud": "shop", "exp": 1000}), 401),
        (json!({"aud": "shop", "nbf": LATER}), 401),
        (json!({"aud": "shop", "iss": "https://evil.example"}), 401),
        (json!({"aud": "bank"}), 403),
    ] {
        answered(
            &gateway,
            &Ask::get("/x").with("authorization", &issuer.bearer(claims)),
            status,
        )
        .await;
    }
    // Who brings no token passes, until a policy asks who it is.
    let nobody = answered(&gateway, &Ask::get("/x").with("x-user", "mallory"), 200)
        .await
        .json();
    assert!(nobody["headers"]["x-user"].is_null(), "{nobody}");
    let rules = json!([{"from": [{"source": {"requestPrincipals": [format!("{ISSUER}/*")]}}],
        "when": [{"key": "request.auth.claims[groups]", "values": ["ops"]}, {"key": "request.auth.audiences", "values": ["shop"]}]}]);
    node.apply_text(&security(
        "AuthorizationPolicy",
        "ops",
        json!({"rules": rules}),
    ))
    .unwrap();
    answered(&gateway, &Ask::get("/x"), 403).await;
    answered(&gateway, &Ask::get("/x").with("authorization", &good), 200).await;
    let guest = issuer.bearer(json!({"aud": "shop", "groups": ["dev"]}));
    answered(&gateway, &Ask::get("/x").with("authorization", &guest), 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_choose_routes_at_gateways_and_are_attributes_of_policies() {
    let ((node, gateway), issuer) = (stage().await, Issuer::new());
    let rule = json!({"issuer": ISSUER, "jwks": issuer.jwks(), "fromCookies": ["session"], "fromParams": ["token"], "forwardOriginalToken": true});
    let target = json!([{"group": "networking.istio.io", "kind": "Gateway", "name": "web"}]);
    let tokens = security(
        "RequestAuthentication",
        "edge",
        json!({"targetRefs": target, "jwtRules": [rule]}),
    );
    let gold = json!({"headers": {"@request.auth.claims.tier": {"exact": "gold"}}});
    let route = json!({"hosts": ["*"], "gateways": ["web"], "http": [
        {"match": [gold], "rewrite": {"uri": "/gold"}, "route": [{"destination": {"host": "echo"}}]},
        {"match": [{"withoutHeaders": {"@request.auth.claims[tier]": {}}}], "rewrite": {"uri": "/nobody"}, "route": [{"destination": {"host": "echo"}}]},
        {"route": [{"destination": {"host": "echo"}}]}]});
    let plugin = object(
        "policy.osier.dev/v1alpha1",
        "Plugin",
        "closed",
        json!({"image": "builtin://denier"}),
    );
    let policy = json!({"match": "request.auth.claims['tier'].orValue('') == 'blocked' && request.auth.principal == 'https://id.example/alice'",
        "actions": [{"plugin": "closed", "template": "checknothing"}]});
    let policy = object("policy.osier.dev/v1alpha1", "Policy", "closed", policy);
    for text in [
        tokens,
        object("networking.istio.io/v1", "VirtualService", "echo", route),
        plugin,
        policy,
    ] {
        node.apply_text(&text).unwrap();
    }
    let cookie = |tier: &str| {
        let bearer = issuer.bearer(json!({"tier": tier}));
        format!("session={}", bearer.trim_start_matches("Bearer "))
    };
    let path = |answer: Answer| {
        answer.json()["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    answered(
        &gateway,
        &Ask::get("/x").with("cookie", "session=a.b.c"),
        401,
    )
    .await;
    let gold = answered(
        &gateway,
        &Ask::get("/x").with("cookie", &cookie("gold")),
        200,
    )
    .await;
    assert_eq!(path(gold), "/gold");
    let silver = answered(
        &gateway,
        &Ask::get("/x").with("cookie", &cookie("silver")),
        200,
    )
    .await;
    assert_eq!(path(silver), "/x");
    assert_eq!(
        path(answered(&gateway, &Ask::get("/x"), 200).await),
        "/nobody"
    );
    let query = format!("/x?token={}", cookie("gold").trim_start_matches("session="));
    assert_eq!(
        path(answered(&gateway, &Ask::get(&query), 200).await),
        "/gold"
    );
    answered(
        &gateway,
        &Ask::get("/x").with("cookie", &cookie("blocked")),
        403,
    )
    .await;
}

/// What the status says of fetched keys.
async fn fetched(node: &Node, name: &str, wanted: &str, words: &str) {
    let path =
        format!("/apis/security.istio.io/v1/namespaces/default/requestauthentications/{name}");
    let told = || async {
        let object = objects::get(node, &path).await?;
        let found = objects::condition(&object, "KeysFetched");
        let said = object["status"]["conditions"].to_string();
        ensure!(found == Some(wanted) && said.contains(words), "{said}");
        Ok(Some(()))
    };
    until(&format!("KeysFetched is {wanted}"), SOON, told)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_behind_the_requests_and_again_before_they_are_old() {
    let ((node, gateway), keys) = (stage().await, Keys::start().await);
    let (first, second) = (Issuer::new(), Issuer::new());
    // A name that only the mesh knows.
    let entry = json!({"hosts": ["id.internal"], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": keys.port}]});
    node.apply_text(&object(
        "networking.istio.io/v1",
        "ServiceEntry",
        "id",
        entry,
    ))
    .unwrap();
    let rule = json!({"issuer": ISSUER, "jwksUri": "http://id.internal/keys", "timeout": "2s"});
    node.apply_text(&security(
        "RequestAuthentication",
        "tokens",
        json!({"jwtRules": [rule]}),
    ))
    .unwrap();
    let (old, new) = (first.bearer(json!({})), second.bearer(json!({})));
    fetched(&node, "tokens", "False", "tokens of the issuer are refused").await;
    let ask = Ask::get("/x").with("authorization", &old);
    let refused = answered(&gateway, &ask, 401).await;
    assert!(why(&node, &refused).contains("has not been fetched yet"));
    answered(&gateway, &Ask::get("/x"), 200).await;
    keys.say("<html>no keys</html>");
    fetched(&node, "tokens", "False", "it is not JSON").await;
    keys.say(&first.jwks());
    fetched(&node, "tokens", "True", "Fetched").await;
    answered(&gateway, &ask, 200).await;
    keys.say(&second.jwks());
    answered(&gateway, &Ask::get("/x").with("authorization", &new), 200).await;
    answered(&gateway, &ask, 401).await;
    // An issuer that is silent takes no key away.
    *keys.text.lock().unwrap() = None;
    fetched(&node, "tokens", "False", "stay in force").await;
    answered(&gateway, &Ask::get("/x").with("authorization", &new), 200).await;
    assert!(keys.asked.load(Ordering::SeqCst) > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_tells_where_its_keys_are() {
    let ((node, gateway), keys, description) =
        (stage().await, Keys::start().await, Keys::start().await);
    let signs = Issuer::new();
    let issuer = format!("http://127.0.0.1:{}", description.port);
    keys.say(&signs.jwks());
    let uri = format!("http://127.0.0.1:{}/keys", keys.port);
    description.say(&json!({"issuer": issuer, "jwks_uri": uri}).to_string());
    node.apply_text(&security(
        "RequestAuthentication",
        "tokens",
        json!({"jwtRules": [{"issuer": issuer}]}),
    ))
    .unwrap();
    let good = signs.bearer(json!({"iss": issuer}));
    fetched(&node, "tokens", "True", "Fetched").await;
    answered(&gateway, &Ask::get("/x").with("authorization", &good), 200).await;
    let other = signs.bearer(json!({}));
    answered(&gateway, &Ask::get("/x").with("authorization", &other), 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_by_is_refused_by_field_and_value() -> Result<()> {
    let node = Node::start()?;
    for (rule, words) in [
        (
            json!({"issuer": "", "jwks": Issuer::new().jwks()}),
            "spec.jwtRules[0].issuer: Invalid value: \"\"",
        ),
        (
            json!({"issuer": "a", "jwks": "{}"}),
            "spec.jwtRules[0].jwks: Invalid value: \"{}\": key set: it has no list `keys`",
        ),
        (
            json!({"issuer": "a", "jwksUri": "keys"}),
            "spec.jwtRules[0].jwksUri: Invalid value: \"keys\": must be a URL",
        ),
        (
            json!({"issuer": "a"}),
            "spec.jwtRules[0].jwksUri: Required value: is needed, or jwks",
        ),
        (
            json!({"issuer": "http://a", "timeout": "x"}),
            "spec.jwtRules[0].timeout: Invalid value: \"x\"",
        ),
    ] {
        let spec = json!({"jwtRules": [rule]});
        let refused = node
            .apply_text(&security("RequestAuthentication", "bad", spec))
            .unwrap_err();
        assert!(
            format!("{refused:#}").contains(words),
            "{words}: {refused:#}"
        );
    }
    // What is refused of an AuthorizationPolicy stands beside the reason.
    let block = json!({"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/40"]}}]}]});
    let refused = node
        .apply_text(&security("AuthorizationPolicy", "bad", block))
        .unwrap_err();
    let words = "spec.rules[0].from[0].source.ipBlocks[0]: Invalid value: \"10.0.0.0/40\": must be";
    assert!(format!("{refused:#}").contains(words), "{refused:#}");
    Ok(())
}
