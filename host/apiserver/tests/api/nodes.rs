//! What nodes may read and write, what they are given, and who asks for certificates.

use osier_apiserver::User;
use serde_json::{Value, json};

use crate::server::{Answer, MAPS, PODS, Server, map, pod, request};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn node(name: &str) -> User {
    User::new(format!("system:node:{name}"), ["system:nodes"])
}

async fn get(server: &Server, user: &User, path: &str) -> Answer {
    server.send_as(user, request("GET", path, "", "")).await
}

async fn bound(server: &Server, name: &str, on: &str, source: Value) {
    let mut object = pod(name);
    object["spec"]["nodeName"] = json!(on);
    object["spec"]["containers"][0]["envFrom"] = json!([source]);
    server.post(PODS, object).await.good();
}

#[tokio::test]
async fn a_node_reads_only_the_secrets_and_maps_of_its_pods() {
    let server = Server::new().await;
    for name in ["mine", "other"] {
        let secret = json!({"metadata": {"name": name}, "stringData": {"k": "v"}});
        server.post(SECRETS, secret).await.good();
        server.post(MAPS, map(name)).await.good();
    }
    bound(&server, "a", "b", json!({"secretRef": {"name": "mine"}})).await;
    bound(
        &server,
        "c",
        "d",
        json!({"configMapRef": {"name": "other"}}),
    )
    .await;
    let code = async |user: &str, path: String| get(&server, &node(user), &path).await.code;
    assert_eq!(code("b", format!("{SECRETS}/mine")).await, 200);
    assert_eq!(code("d", format!("{MAPS}/other")).await, 200);
    for refused in [
        format!("{SECRETS}/other"),
        format!("{MAPS}/mine"),
        SECRETS.to_owned(),
        MAPS.to_owned(),
    ] {
        assert_eq!(code("b", refused.clone()).await, 403, "{refused}");
    }
    assert_eq!(code("d", format!("{SECRETS}/mine")).await, 403);
    let told = get(&server, &node("b"), &format!("{SECRETS}/other")).await;
    assert!(
        told.message().contains("no pod bound to node \"b\""),
        "{}",
        told.text
    );
    let edge = User::new("system:node:a", ["system:nodes", "osier:control-plane"]);
    assert_eq!(
        get(&server, &edge, SECRETS).await.code,
        200,
        "it serves the gateways"
    );
}

#[tokio::test]
async fn images_are_for_nodes_only() {
    let server = Server::new().await;
    let path = "/osier/v1/images?name=shop/web:1";
    let given = get(&server, &node("b"), path).await;
    assert_eq!((given.code, given.text.as_str()), (200, "shop/web:1"));
    let digest = given.headers["docker-content-digest"].to_str().unwrap();
    assert_eq!(digest, "digest of shop/web:1");
    assert_eq!(
        get(&server, &User::new("ann", ["dev"]), path).await.code,
        403
    );
}

#[tokio::test]
async fn who_asks_for_a_certificate_is_written_by_the_server() {
    let server = Server::new().await;
    let asked = json!({"metadata": {"name": "r"}, "spec": {"request": "eA==", "signerName": "example.com/a",
        "usages": ["client auth"], "username": "admin", "groups": ["system:masters"]}});
    let body = asked.to_string();
    let asks = request("POST", REQUESTS, "application/json", &body);
    let boot = User::new("system:bootstrap:x", ["system:bootstrappers"]);
    let made = server.send_as(&boot, asks).await.good();
    assert_eq!(made["spec"]["username"], "system:bootstrap:x");
    let groups = made["spec"]["groups"].as_array().unwrap();
    assert!(!groups.contains(&json!("system:masters")), "{made}");
    // What was asked does not change afterwards, whoever writes.
    let path = format!("{REQUESTS}/r");
    let changed = server
        .merge(&path, json!({"spec": {"username": "admin"}}))
        .await;
    assert_eq!(changed.good()["spec"]["username"], "system:bootstrap:x");
    let approval =
        json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]}});
    let approves = request(
        "PATCH",
        &format!("{path}/approval"),
        "application/merge-patch+json",
        &approval.to_string(),
    );
    assert_eq!(
        server.send_as(&boot, approves).await.code,
        403,
        "nobody approves himself"
    );
    let approved = server
        .merge(&format!("{path}/approval"), approval)
        .await
        .good();
    assert_eq!(approved["status"]["conditions"][0]["type"], "Approved");
}
