//! The example of the README, end to end: deployed by its manifests, routed by version, by weight and by who is signed in.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use osier_tests::bookinfo::{deploy, manifest};
use osier_tests::http::{get, get_with};
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// The version of reviews on a page.
fn version(page: &str) -> String {
    let (_, rest) = page
        .split_once("data-version=\"")
        .unwrap_or_else(|| panic!("no reviews on the page: {page}"));
    rest.chars().take_while(|c| *c != '"').collect()
}

async fn versions(gateway: &str, count: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let page = get(gateway, "/productpage").await.unwrap().text();
        *seen.entry(version(&page)).or_default() += 1;
    }
    seen
}

/// Waits until pages show only these versions.
async fn only(gateway: &str, wanted: &[&str]) {
    let settled = || async {
        Ok(versions(gateway, 12)
            .await
            .keys()
            .eq(wanted.iter())
            .then_some(()))
    };
    until(&format!("only {wanted:?} on the page"), LIMIT, settled)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_whole_and_says_who_answered() {
    let node = Node::start().unwrap();
    let page = deploy(&node).await.unwrap();
    for part in [
        "The Wind in the Willows",
        "Kenneth Grahame",
        "Mole",
        "productpage-v1-",
        "details-v1-",
        "reviews-v",
    ] {
        assert!(page.contains(part), "{part} is missing on:\n{page}");
    }
    let gateway = node.address("gateway").unwrap();
    only(&gateway, &["v1", "v2", "v3"]).await;
    let products = get(&gateway, "/api/v1/products/0").await.unwrap();
    assert_eq!(products.json().unwrap()["author"], "Kenneth Grahame");
    let cover = get(&gateway, "/static/cover.svg").await.unwrap();
    assert_eq!(cover.headers["content-type"], "image/svg+xml");
    let nothing = get(&gateway, "/no/such/path").await.unwrap();
    assert_eq!(nothing.status, 404, "no route: {}", nothing.text());
    one_request_one_id(&node, &gateway).await;
}

/// The id that a person sends is on every hop's line of the access log.
async fn one_request_one_id(node: &Node, gateway: &str) {
    let id = "3f6c8d1e-5a54-4c1e-8a2f-000000000001";
    let page = get_with(gateway, "/productpage", &[("x-request-id", id)])
        .await
        .unwrap()
        .text();
    assert!(page.contains(id), "the page names its request");
    let hops = || async {
        Ok((node.log().lines().filter(|line| line.contains(id)).count() >= 3).then_some(()))
    };
    until(
        "gateway, details and reviews are logged under one id",
        LIMIT,
        hops,
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_by_version_weight_and_user() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    node.apply(&manifest("reviews-v1")).unwrap();
    only(&gateway, &["v1"]).await;
    node.apply(&manifest("reviews-v1-v3")).unwrap();
    only(&gateway, &["v1", "v3"]).await;
    let seen = versions(&gateway, 200).await;
    // 200 throws of a fair coin leave 60..=140 once in 10^8 runs.
    assert!((60..=140).contains(&seen["v1"]), "half and half: {seen:?}");
    node.apply(&manifest("reviews-by-user")).unwrap();
    only(&gateway, &["v1"]).await;
    let signed_in = get(&gateway, "/productpage?u=jason").await.unwrap();
    assert_eq!(version(&signed_in.text()), "v2");
    let cookie = signed_in.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let again = get_with(&gateway, "/productpage", &[("cookie", &cookie)])
        .await
        .unwrap()
        .text();
    assert_eq!(version(&again), "v2");
    assert!(again.contains("Signed in as <strong>jason</strong>"));
    node.delete(&manifest("reviews-by-user")).unwrap();
    only(&gateway, &["v1", "v2", "v3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_backend_costs_only_its_part() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    for (controller, expected) in [
        ("ratings-v1", "Ratings are unavailable right now"),
        ("details-v1", "Details are unavailable right now"),
    ] {
        let path = format!("/apis/apps/v1/namespaces/default/deployments/{controller}");
        objects::merge(&node, &path, &json!({"spec": {"replicas": 0}}))
            .await
            .unwrap();
        let shown = || async {
            let answer = get(&gateway, "/productpage").await?;
            assert_eq!(answer.status, 200);
            Ok(answer.text().contains(expected).then(|| answer.text()))
        };
        let page = until(expected, LIMIT, shown).await.unwrap();
        assert!(
            page.contains("river bank"),
            "the reviews are still there: {page}"
        );
    }
}
