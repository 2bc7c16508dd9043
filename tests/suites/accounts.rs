//! Who pods are to the API: the account and the certificate that every namespace has, and the tokens that pods mount.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use osier_tests::api::Api;
use osier_tests::artifacts::component;
use osier_tests::{Node, kubectl, objects, until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const OBJECTS: &str = include_str!("manifests/accounts.yaml");
/// A pod of an account that nobody has made yet.
const STRANGER: &str = include_str!("manifests/stranger.yaml");
/// The end of a certificate.
const END: &str = "-----END CERTIFICATE-----";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

async fn node() -> Node {
    let node = Node::start().unwrap();
    node.import("program:1.0", &component("tests/fixture-command").unwrap())
        .unwrap();
    node
}

/// What a container of the pod `caller` printed of a file, once it did to this end.
async fn printed(node: &Node, container: &str, file: &str, end: &str) -> String {
    let path = format!("/api/v1/namespaces/default/pods/caller/log?container={container}");
    let start = format!("{file}=");
    until(file, LIMIT, || async {
        let answer = Api::open(node).await?.send("GET", &path, None).await?;
        let text = answer.text();
        let said = text.strip_prefix(&start);
        let whole = said.filter(|text| text.ends_with('\n') && text.trim_end().ends_with(end));
        Ok(whole.map(|text| text.trim_end().to_owned()))
    })
    .await
    .unwrap()
}

async fn review(node: &Node, token: &str, audience: &str) -> anyhow::Result<Value> {
    let asked = json!({"spec": {"token": token, "audiences": [audience]}});
    let mut api = Api::open(node).await?;
    let answer = api.send("POST", REVIEWS, Some(&asked)).await?;
    ensure!(answer.status.is_success(), "{}", answer.text());
    let mut review = answer.json()?;
    Ok(review["status"].take())
}

/// The certificate that the kubeconfig trusts.
fn authority(node: &Node) -> String {
    let text = std::fs::read_to_string(node.kubeconfig()).unwrap();
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let data = &config["clusters"][0]["cluster"]["certificate-authority-data"];
    String::from_utf8(STANDARD.decode(data.as_str().unwrap()).unwrap()).unwrap()
}

/// A kubeconfig of somebody who has this token only.
fn kubeconfig_with(node: &Node, token: &str) -> PathBuf {
    let text = std::fs::read_to_string(node.kubeconfig()).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["users"][0]["user"] = json!({"token": token});
    let path = node.data_dir().join("kubeconfig-of-a-pod");
    // JSON is YAML.
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn every_namespace_has_an_account_and_whom_to_trust() {
    let node = node().await;
    let authority = authority(&node);
    let trusted = |namespace: &'static str| {
        let (node, authority) = (&node, &authority);
        let map = format!("/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt");
        until("the namespace has whom to trust", LIMIT, move || {
            let map = map.clone();
            async move {
                let found = objects::get(node, &map).await.unwrap_or_default();
                Ok((found["data"]["ca.crt"] == *authority).then_some(()))
            }
        })
    };
    let account = |namespace: &'static str| {
        let node = &node;
        until("the namespace has its account", LIMIT, move || async move {
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
            Ok(objects::get(node, &path).await.ok())
        })
    };
    node.apply_text("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
        .unwrap();
    for namespace in ["default", "kube-system", "shop"] {
        trusted(namespace).await.unwrap();
        account(namespace).await.unwrap();
    }

    let map = "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt";
    objects::merge(&node, map, &json!({"data": {"ca.crt": "forged"}}))
        .await
        .unwrap();
    trusted("shop").await.unwrap();
    objects::delete(&node, map).await.unwrap();
    trusted("shop").await.unwrap();
    let before = account("shop").await.unwrap();
    objects::delete(&node, "/api/v1/namespaces/shop/serviceaccounts/default")
        .await
        .unwrap();
    let after = account("shop").await.unwrap();
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);

    objects::delete(&node, "/api/v1/namespaces/shop")
        .await
        .unwrap();
    let gone = || async {
        let mut api = Api::open(&node).await?;
        let answer = api.send("GET", "/api/v1/namespaces/shop", None).await?;
        Ok((answer.status == 404).then_some(()))
    };
    until("the namespace is gone", LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_proves_who_it_is_with_the_token_that_it_mounts() {
    let node = node().await;
    node.apply_text(OBJECTS).unwrap();
    let trusted = printed(&node, "others", "/access/ca.crt", END).await;
    assert_eq!(trusted, authority(&node).trim_end());
    let token = printed(&node, "main", "/access/token", "").await;

    let issuer = "https://kubernetes.default.svc.cluster.local";
    let status = review(&node, &token, issuer).await.unwrap();
    assert_eq!(status["authenticated"], true, "{status}");
    let user = &status["user"];
    assert_eq!(user["username"], "system:serviceaccount:default:default");
    let pod = &user["extra"]["authentication.kubernetes.io/pod-name"];
    assert_eq!(*pod, json!(["caller"]));

    let vault = printed(&node, "vault", "/vault/token", "").await;
    let status = review(&node, &vault, "vault").await.unwrap();
    assert_eq!(status["audiences"], json!(["vault"]), "{status}");
    let status = review(&node, &vault, issuer).await.unwrap();
    assert_ne!(status["authenticated"], true, "{status}");

    calls_with(&node, &token).unwrap();

    objects::delete(&node, "/api/v1/namespaces/default/pods/caller")
        .await
        .unwrap();
    let ended = || async {
        let status = review(&node, &token, issuer).await?;
        Ok((status["authenticated"] != true).then_some(()))
    };
    until("the token ended with its pod", LIMIT, ended)
        .await
        .unwrap();
}

/// What the bearer of a pod's token may do: find out who signs tokens, and nothing that no role gives.
fn calls_with(node: &Node, token: &str) -> anyhow::Result<()> {
    let kubectl = kubectl::installed().context("no kubectl on the path")?;
    let config = kubeconfig_with(node, token);
    let discovery = "/.well-known/openid-configuration";
    let found = kubectl.ok(&config, &["get", "--raw", discovery], None)?;
    let found: Value = serde_json::from_str(&found)?;
    let (_, rest) = token.split_once('.').context("no token")?;
    let claims = rest.split('.').next().unwrap_or_default();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    ensure!(found["issuer"] == claims["iss"], "{found} {claims}");
    let keys = kubectl.ok(&config, &["get", "--raw", "/openid/v1/jwks"], None)?;
    ensure!(keys.contains("\"crv\":\"P-256\""), "{keys}");
    let refused = kubectl.fails(&config, &["get", "pods"], None)?;
    ensure!(
        refused.contains("User \"system:serviceaccount:default:default\" cannot list resource"),
        "{refused}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_an_account_that_is_not_there_is_refused() {
    let node = node().await;
    let refused = node.apply_text(STRANGER).unwrap_err().to_string();
    let told = "serviceaccount \"nobody\" not found";
    assert!(refused.contains(told), "{refused}");
    node.apply_text("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody}}")
        .unwrap();
    node.apply_text(STRANGER).unwrap();
    let runs = || async {
        let pod = objects::get(&node, "/api/v1/namespaces/default/pods/stranger").await?;
        Ok((pod["status"]["phase"] == "Running").then_some(()))
    };
    until("the pod runs", LIMIT, runs).await.unwrap();
}
