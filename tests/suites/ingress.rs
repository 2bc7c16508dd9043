//! Ingress as people apply it: kubectl in, curl out. The rules of paths are in `host/snapshot/src/tests/ingress.rs`, row by row from
//! the documentation's table.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_identity::Authority;
use osier_tests::artifacts::component;
use osier_tests::curl::Ask;
use osier_tests::tls::{Client, certificate, secret};
use osier_tests::{Node, kubectl, objects, until};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/gateway_api.yaml");
const SOON: Duration = Duration::from_secs(20);

const SHOP: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  tls:
  - {hosts: [shop.test], secretName: cert}
  defaultBackend: {service: {name: v2, port: {name: http}}}
  rules:
  - host: shop.test
    http:
      paths:
      - {path: /cart, pathType: Prefix, backend: {service: {name: v1, port: {number: 8080}}}}
      - {path: /cart/exact, pathType: Exact, backend: {service: {name: v2, port: {number: 8080}}}}
      - {path: /gone, pathType: Prefix, backend: {service: {name: nobody, port: {number: 8080}}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_of_the_default_class_is_served() {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 2).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = certificate(&authority, "shop.test").unwrap();
    let pair = [
        ("tls.crt", &*pair.certificate_pem),
        ("tls.key", &*pair.key_pem),
    ];
    node.apply_text(&secret("cert", &pair)).unwrap();
    node.apply_text(SHOP).unwrap();
    let path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/shop";
    let served = || async {
        let ingress = objects::get(&node, path).await?;
        let point = &ingress["status"]["loadBalancer"]["ingress"][0]["ip"];
        Ok(point.is_string().then_some(()))
    };
    until("the ingress says where it is reached", SOON, served)
        .await
        .unwrap();
    let address = node.address("gateway").unwrap();
    for (path, host, pod) in [
        ("/cart", "shop.test", "v1"),
        ("/cart/", "shop.test", "v1"),
        ("/cart/exact", "shop.test", "v2"),
        ("/cart/exact/more", "shop.test", "v1"),
        ("/cartage", "shop.test", "v2"),
        ("/", "other.test", "v2"),
    ] {
        let answer = Ask::get(path).send(&address, host).unwrap();
        assert_eq!(answer.json()["pod"], pod, "{host}{path}: {answer:?}");
    }
    // A Service that is not there harms its own path only, and is said.
    assert_eq!(
        Ask::get("/gone")
            .send(&address, "shop.test")
            .unwrap()
            .status,
        503
    );
    let kubectl = |args: &[&str]| {
        let output = kubectl::installed()
            .unwrap()
            .run(&node.kubeconfig(), args, None);
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    let told = || async {
        let events = kubectl(&[
            "get",
            "events",
            "--field-selector",
            "involvedObject.name=shop",
        ]);
        Ok(events
            .contains("service nobody.default does not exist")
            .then_some(()))
    };
    until("an event says what is missing", SOON, told)
        .await
        .unwrap();
    let shown = kubectl(&["get", "ingress", "shop"]);
    assert!(
        shown.contains("shop.test") && shown.contains("127.0.0.1") && shown.contains("80, 443"),
        "{shown}"
    );
    let secure = node.listener(443).await.unwrap();
    let (answer, _) = Client::trusting(&authority)
        .get(&secure, "https://shop.test/cart")
        .await
        .unwrap();
    assert_eq!(answer.json().unwrap()["pod"], "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_of_another_class_is_left_alone() {
    let node = Node::start().unwrap();
    let foreign = SHOP.replace("spec:\n  tls:", "spec:\n  ingressClassName: nginx\n  tls:");
    assert_ne!(foreign, SHOP);
    node.apply_text(&foreign).unwrap();
    let own = SHOP.replace(
        "name: shop}",
        "name: own, annotations: {kubernetes.io/ingress.class: osier}}",
    );
    node.apply_text(&own.replace("shop.test", "own.test"))
        .unwrap();
    let address = node.address("gateway").unwrap();
    let known = || async {
        Ok((Ask::get("/gone").send(&address, "own.test").unwrap().status == 503).then_some(()))
    };
    until("the ingress of our class is served", SOON, known)
        .await
        .unwrap();
    let path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/shop";
    let ingress = objects::get(&node, path).await.unwrap();
    assert!(
        ingress["status"]["loadBalancer"]["ingress"].is_null(),
        "{ingress}"
    );
}
