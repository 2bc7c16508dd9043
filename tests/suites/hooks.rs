//! Hooks as a user meets them: filters around requests, and plugins that judge what is written to the API.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use osier_tests::artifacts::component;
use osier_tests::http::{Answer, Connection, get, get_with};
use osier_tests::kubectl;
use osier_tests::objects;
use osier_tests::{Node, until};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const FILTERS: &str = include_str!("manifests/filters.yaml");
const LABELS: &str = include_str!("manifests/labels.yaml");
const CHOICES: &str = include_str!("manifests/choices.yaml");
const LIMIT: Duration = Duration::from_secs(20);

async fn echo() -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, answers).await.unwrap();
    (node, gateway)
}

async fn post(gateway: &str, body: &'static str) -> Answer {
    let request = Request::post("/x").body(Full::new(Bytes::from_static(body.as_bytes())));
    let mut connection = Connection::open(gateway).await.unwrap();
    connection.send(request.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_stand_around_requests() {
    let (node, gateway) = echo().await;
    node.apply_text(FILTERS).unwrap();
    let served_by = |answer: &Answer| {
        let header = answer.headers.get("x-served-by");
        header.is_some_and(|value| value == "osier")
    };
    let filtered = || async { Ok(served_by(&get(&gateway, "/").await?).then_some(())) };
    until("responses are filtered", LIMIT, filtered)
        .await
        .unwrap();

    let answer = get_with(&gateway, "/a?b=c", &[("x-secret", "s"), ("x-kept", "k")])
        .await
        .unwrap();
    let seen = answer.json().unwrap();
    assert_eq!(seen["headers"]["x-line"], "GET /a?b=c", "{seen:#}");
    assert_eq!(seen["headers"]["x-kept"], "k");
    assert!(seen["headers"]["x-secret"].is_null(), "{seen:#}");

    let refused = get(&gateway, "/etc/passwd").await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.text().as_str()),
        (403, "Refused.\n")
    );
    assert!(served_by(&refused), "a local reply passes response filters");
    assert_eq!(post(&gateway, "hello").await.status, 200);
    assert_eq!(post(&gateway, "a <script> b").await.status, 403);
    let long = "0123456789012345678901234567890123456789012345678901234567890123456789";
    assert_eq!(post(&gateway, long).await.status, 413);

    objects::delete(
        &node,
        "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies/filters",
    )
    .await
    .unwrap();
    let open = || async { Ok((get(&gateway, "/etc/passwd").await?.status == 200).then_some(())) };
    until("the filters are gone", LIMIT, open).await.unwrap();
    assert!(!served_by(&get(&gateway, "/").await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_choose_destinations_and_endpoints() {
    let (node, gateway) = echo().await;
    node.apply_text(CHOICES).unwrap();
    objects::ready(&node, "app=next", 3).await.unwrap();
    let pod = |headers: &'static [(&'static str, &'static str)]| {
        let gateway = gateway.clone();
        async move {
            let answer = get_with(&gateway, "/", headers).await?;
            let pod = answer.json()?["pod"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let cookie = answer.headers.get("set-cookie").cloned();
            anyhow::Ok((pod, cookie))
        }
    };
    let tester = || async {
        let (pod, _) = pod(&[("x-tester", "yes")]).await?;
        Ok(pod.starts_with("next-").then_some(()))
    };
    until("testers meet the experiment", LIMIT, tester)
        .await
        .unwrap();
    let (control, cookie) = pod(&[]).await.unwrap();
    assert!(control.starts_with("echo-"), "{control}");
    assert_eq!(cookie.unwrap(), "ab=control; Path=/");
    let (kept, cookie) = pod(&[("cookie", "ab=next")]).await.unwrap();
    assert!(kept.starts_with("next-") && cookie.is_none(), "{kept}");

    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        seen.insert(
            pod(&[("x-tester", "yes"), ("x-user", "ann")])
                .await
                .unwrap()
                .0,
        );
    }
    assert_eq!(seen.len(), 1, "one user, one pod: {seen:?}");
    for _ in 0..30 {
        seen.insert(pod(&[("x-tester", "yes")]).await.unwrap().0);
    }
    assert!(seen.len() > 1, "others are balanced: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_judge_writes() {
    let kubectl = kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    node.apply_text(LABELS).unwrap();
    let config = node.kubeconfig();
    let create = |name: &str, label: &str| {
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{{label}}}}}\n"
        );
        kubectl
            .run(&config, &["create", "-f", "-"], Some(&map))
            .unwrap()
    };
    let mut number = 0;
    let refused = || {
        number += 1;
        let output = create(&format!("before-{number}"), "a: b");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        async move { Ok((!output.status.success()).then_some(said)) }
    };
    let said = until("a map without team is refused", LIMIT, refused)
        .await
        .unwrap();
    for part in [
        "metadata.labels",
        "default/labels",
        "label team is required",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    assert!(create("owned", "team: blue").status.success());
    let tier = kubectl.ok(
        &config,
        &[
            "get",
            "configmap",
            "owned",
            "-o",
            "jsonpath={.metadata.labels.tier}",
        ],
        None,
    );
    assert_eq!(tier.unwrap(), "web", "the patch was applied");
    kubectl
        .ok(&config, &["create", "namespace", "other"], None)
        .unwrap();
    kubectl
        .ok(
            &config,
            &["create", "configmap", "free", "-n", "other"],
            None,
        )
        .unwrap();

    // The way out: policies themselves are never judged.
    kubectl
        .ok(
            &config,
            &["delete", "policy.policy.osier.dev", "labels"],
            None,
        )
        .unwrap();
    let mut number = 0;
    let passes = || {
        number += 1;
        let passed = create(&format!("after-{number}"), "a: b").status.success();
        async move { Ok(passed.then_some(())) }
    };
    until("maps pass again", LIMIT, passes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_means_nothing_is_refused() {
    let kubectl = kubectl::installed().unwrap();
    let node = Node::start().unwrap();
    node.apply_text(LABELS).unwrap();
    let refused = |action: &str, more: &str| {
        let policy = format!(
            "apiVersion: policy.osier.dev/v1alpha1\nkind: Policy\nmetadata: {{name: bad}}\nspec: {{actions: [{action}]{more}}}\n"
        );
        kubectl
            .fails(&node.kubeconfig(), &["create", "-f", "-"], Some(&policy))
            .unwrap()
    };
    for (action, more, parts) in [
        (
            "{plugin: labels, hook: filter}",
            "",
            &["spec.actions[0].hook", "it answers the hooks admit"][..],
        ),
        (
            "{plugin: labels, hook: admit}",
            "",
            &["spec.actions[0].kinds"],
        ),
        (
            "{plugin: labels, hook: admit, kinds: [{group: policy.osier.dev, kind: Policy}]}",
            "",
            &["spec.actions[0].kinds[0].group", "lock himself out"],
        ),
        (
            "{plugin: labels, hook: admit, kinds: [{kind: Pod}]}",
            ", match: 'request.method == \"GET\"'",
            &["spec.match", "facts about calls"],
        ),
        (
            "{plugin: labels, hook: admit, template: quota}",
            "",
            &["exclude each other"],
        ),
    ] {
        let said = refused(action, more);
        for part in parts {
            assert!(said.contains(part), "{action}: {part}: {said}");
        }
    }
}
