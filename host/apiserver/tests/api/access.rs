//! Who may do what: roles, bindings, reviews, tokens, impersonation.

use osier_apiserver::User;
use serde_json::{Value, json};

use crate::server::{Answer, MAPS, PODS, Server, map, pod, request};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";

fn ann() -> User {
    User::new("ann", ["dev"])
}

async fn get(server: &Server, user: &User, path: &str) -> u16 {
    server
        .send_as(user, request("GET", path, "", ""))
        .await
        .code
}

async fn post(server: &Server, user: &User, path: &str, value: Value) -> Answer {
    let request = request("POST", path, "application/json", &value.to_string());
    server.send_as(user, request).await
}

/// Gives a cluster role to ann in `default`.
async fn bind(server: &Server, role: &str) {
    let name = role.replace(':', "-");
    let binding = json!({"metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "ann"}]});
    server
        .post(&format!("{RBAC}/namespaces/default/rolebindings"), binding)
        .await
        .good();
}

#[tokio::test]
async fn nobody_may_do_anything_until_a_binding_says_so() {
    let server = Server::new().await;
    let refused = server.send_as(&ann(), request("GET", PODS, "", "")).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message(),
        "pods is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(
        get(&server, &ann(), "/apis").await,
        200,
        "everybody may discover"
    );
    assert_eq!(get(&server, &ann(), "/metrics").await, 403);
    bind(&server, "view").await;
    assert_eq!(get(&server, &ann(), PODS).await, 200);
    assert_eq!(
        get(&server, &ann(), "/api/v1/pods").await,
        403,
        "only in that namespace"
    );
    assert_eq!(
        get(&server, &ann(), "/api/v1/namespaces/default/secrets").await,
        403
    );
    assert_eq!(post(&server, &ann(), MAPS, map("m")).await.code, 403);
    bind(&server, "edit").await;
    post(&server, &ann(), MAPS, map("m")).await.good();
    server
        .delete(
            &format!("{RBAC}/namespaces/default/rolebindings/edit"),
            json!({}),
        )
        .await
        .good();
    assert_eq!(
        post(&server, &ann(), MAPS, map("n")).await.code,
        403,
        "a right ends with its binding"
    );
}

#[tokio::test]
async fn sums_of_roles_follow_what_they_select() {
    let server = Server::new().await;
    let view = server
        .get(&format!("{RBAC}/clusterroles/view"))
        .await
        .good();
    assert!(!view["rules"].as_array().unwrap().is_empty());
    bind(&server, "view").await;
    let plugins = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";
    assert_eq!(get(&server, &ann(), plugins).await, 200);
    assert_eq!(
        get(&server, &ann(), "/api/v1/namespaces/default/secrets").await,
        403
    );
    let more = json!({"metadata": {"name": "more", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]});
    server
        .post(&format!("{RBAC}/clusterroles"), more)
        .await
        .good();
    assert_eq!(
        get(&server, &ann(), "/api/v1/namespaces/default/secrets").await,
        200
    );
    server
        .delete(&format!("{RBAC}/clusterroles/more"), json!({}))
        .await
        .good();
    assert_eq!(
        get(&server, &ann(), "/api/v1/namespaces/default/secrets").await,
        403
    );
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let server = Server::new().await;
    bind(&server, "admin").await;
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |name: &str, resource: &str| json!({"metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]});
    post(&server, &ann(), &roles, role("fits", "pods"))
        .await
        .good();
    let refused = post(&server, &ann(), &roles, role("too-much", "nodes")).await;
    assert_eq!(refused.code, 403);
    assert!(refused.message().ends_with(
        "is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\"]}"
    ), "{}", refused.message());
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let binding = |role: &str| {
        json!({"metadata": {"name": role}, "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": "bob"}]})
    };
    assert_eq!(
        post(&server, &ann(), &bindings, binding("cluster-admin"))
            .await
            .code,
        403
    );
    post(&server, &ann(), &bindings, binding("edit"))
        .await
        .good();
    assert_eq!(
        post(&server, &ann(), &bindings, binding("nothing"))
            .await
            .code,
        404
    );
    let changed = json!({"roleRef": {"name": "view"}});
    let changed = server.merge(&format!("{bindings}/edit"), changed).await;
    assert!(
        changed.code == 422 && changed.message().contains("cannot change roleRef"),
        "{}",
        changed.text
    );
}

#[tokio::test]
async fn the_rights_survive_a_restart() {
    let server = Server::new().await;
    bind(&server, "view").await;
    server.api.close().await.unwrap();
    let server = Server::at(server.folder).await;
    assert_eq!(get(&server, &ann(), PODS).await, 200);
}

#[tokio::test]
async fn reviews_answer_and_store_nothing() {
    let server = Server::new().await;
    bind(&server, "view").await;
    let asks = |verb: &str, namespace: &str| json!({"spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": namespace}}});
    let own = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    for (verb, namespace, allowed) in [
        ("get", "default", true),
        ("create", "default", false),
        ("get", "kube-system", false),
    ] {
        let answer = post(&server, &ann(), &own, asks(verb, namespace))
            .await
            .good();
        assert_eq!(answer["status"]["allowed"], allowed, "{verb} {namespace}");
    }
    let mut other = asks("get", "default");
    other["spec"]["user"] = json!("ann");
    let others = format!("{AUTHORIZATION}/subjectaccessreviews");
    assert_eq!(
        server.post(&others, other.clone()).await.good()["status"]["allowed"],
        true
    );
    assert_eq!(
        post(&server, &ann(), &others, other.clone()).await.code,
        403
    );
    let local = format!("{AUTHORIZATION}/namespaces/kube-system/localsubjectaccessreviews");
    assert_eq!(server.post(&local, other).await.code, 422);
    assert_eq!(server.post(&own, json!({"spec": {}})).await.code, 422);
    assert_eq!(server.post(&own, json!({})).await.code, 422);
    let rules = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let held = post(
        &server,
        &ann(),
        &rules,
        json!({"spec": {"namespace": "default"}}),
    )
    .await
    .good();
    let held = held["status"]["resourceRules"].as_array().unwrap().clone();
    assert!(
        held.iter()
            .any(|rule| rule["resources"] == json!(["selfsubjectreviews"])),
        "{held:?}"
    );
    let who = post(
        &server,
        &ann(),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json!({}),
    )
    .await
    .good();
    assert_eq!(
        who["status"]["userInfo"],
        json!({"username": "ann", "groups": ["dev", "system:authenticated"]})
    );
    assert_eq!(server.get(&own).await.code, 405);
}

async fn token(server: &Server, spec: Value) -> Answer {
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    server.post(path, json!({"spec": spec})).await
}

async fn review(server: &Server, token: &Value) -> Value {
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let answer = server.post(path, json!({"spec": {"token": token}})).await;
    answer.good()["status"].clone()
}

#[tokio::test]
async fn a_token_is_its_accounts_while_what_it_is_bound_to_lives() {
    let server = Server::new().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account = server
        .post(accounts, json!({"metadata": {"name": "robot"}}))
        .await
        .good();
    let mut carrier = pod("carrier");
    carrier["spec"]["serviceAccountName"] = json!("robot");
    server.post(PODS, carrier).await.good();
    let free = token(&server, json!({"expirationSeconds": 600}))
        .await
        .good()["status"]["token"]
        .clone();
    let bound = token(
        &server,
        json!({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "carrier"}}),
    );
    let bound = bound.await.good()["status"]["token"].clone();
    let user = review(&server, &free).await["user"].clone();
    assert_eq!(user["username"], "system:serviceaccount:default:robot");
    assert_eq!(user["uid"], account["metadata"]["uid"]);
    assert_eq!(
        user["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ])
    );
    let extra = &review(&server, &bound).await["user"]["extra"];
    assert_eq!(
        extra["authentication.kubernetes.io/pod-name"],
        json!(["carrier"])
    );
    server
        .delete(&format!("{PODS}/carrier"), json!({"gracePeriodSeconds": 0}))
        .await
        .good();
    assert_eq!(
        review(&server, &bound).await["error"],
        "what the token is bound to is gone"
    );
    assert_eq!(review(&server, &free).await["authenticated"], true);
    server
        .delete(&format!("{accounts}/robot"), json!({}))
        .await
        .good();
    server
        .post(accounts, json!({"metadata": {"name": "robot"}}))
        .await
        .good();
    assert_eq!(
        review(&server, &free).await["error"],
        "the account of the token is gone"
    );
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_refused() {
    let server = Server::new().await;
    assert_eq!(
        token(&server, json!({})).await.code,
        404,
        "the account is not there"
    );
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    server
        .post(accounts, json!({"metadata": {"name": "robot"}}))
        .await
        .good();
    server.post(PODS, pod("other")).await.good();
    let cases = [
        (
            json!({"expirationSeconds": 60}),
            422,
            "less than 10 minutes",
        ),
        (
            json!({"boundObjectRef": {"kind": "Pod", "name": "none"}}),
            404,
            "not found",
        ),
        (
            json!({"boundObjectRef": {"kind": "Pod", "name": "other"}}),
            400,
            "different serviceaccount name",
        ),
        (
            json!({"boundObjectRef": {"kind": "Pod", "name": "other", "uid": "x"}}),
            409,
            "does not match the UID",
        ),
        (
            json!({"boundObjectRef": {"kind": "Service", "name": "other"}}),
            400,
            "cannot bind token",
        ),
    ];
    for (spec, code, words) in cases {
        let answer = token(&server, spec).await;
        assert_eq!(answer.code, code, "{}", answer.text);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    let other = token(&server, json!({"audiences": ["elsewhere"]}))
        .await
        .good();
    let status = review(&server, &other["status"]["token"]).await;
    assert_eq!(status["error"], "the token is meant for others");
}

#[tokio::test]
async fn who_may_impersonate_is_the_other_and_nobody_more() {
    let server = Server::new().await;
    bind(&server, "view").await;
    let admin = User::new("admin", ["system:masters"]);
    let as_user = |headers: &[(&str, &str)], path: &str| {
        let mut request = request("GET", path, "", "");
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let ann_asks = as_user(&[("impersonate-user", "ann")], PODS);
    assert_eq!(server.send_as(&admin, ann_asks).await.code, 200);
    let elsewhere = as_user(&[("impersonate-user", "ann")], "/api/v1/nodes");
    let refused = server.send_as(&admin, elsewhere).await;
    assert!(
        refused.code == 403 && refused.message().contains("User \"ann\""),
        "{}",
        refused.text
    );
    let masters = as_user(
        &[
            ("impersonate-user", "x"),
            ("impersonate-group", "system:masters"),
        ],
        "/api/v1/nodes",
    );
    assert_eq!(server.send_as(&admin, masters).await.code, 200);
    let ann_as_admin = as_user(&[("impersonate-user", "admin")], PODS);
    let refused = server.send_as(&ann(), ann_as_admin).await;
    assert_eq!(
        refused.message(),
        "users \"admin\" is forbidden: User \"ann\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let nobody = as_user(&[("impersonate-group", "dev")], PODS);
    assert_eq!(server.send_as(&admin, nobody).await.code, 400);
}

#[tokio::test]
async fn whoever_may_learns_who_signs_tokens_and_with_which_key() {
    let server = Server::new().await;
    let (discovery, keys) = ("/.well-known/openid-configuration", "/openid/v1/jwks");
    let bearer = User::new(
        "system:serviceaccount:default:robot",
        ["system:serviceaccounts"],
    );
    for path in [discovery, keys] {
        assert_eq!(get(&server, &ann(), path).await, 403, "{path}");
        assert_eq!(get(&server, &bearer, path).await, 200, "{path}");
        let posted = post(
            &server,
            &User::new("admin", ["system:masters"]),
            path,
            json!({}),
        )
        .await;
        assert_eq!(posted.code, 405, "{path}");
    }
    let found = server.get(discovery).await.good();
    assert_eq!(
        found["jwks_uri"],
        json!(format!(
            "{}/openid/v1/jwks",
            found["issuer"].as_str().unwrap()
        ))
    );
    let answer = server.get(keys).await;
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    assert_eq!(answer.good()["keys"][0]["alg"], "ES256");
}
