//! Policies under traffic: in force on the next request, swapped and removed without harm, and a hostile plugin costs only its own calls.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::bookinfo::{deploy, manifest};
use osier_tests::http::{get, get_with};
use osier_tests::load::{Load, Plan};
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const HOSTILE: &str = include_str!("manifests/hostile.yaml");
const PLUGIN: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";
const POLICY: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies";
/// What is promised from the moment a change was accepted.
const IN_FORCE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

async fn echo() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("echo answers", LIMIT, answers).await.unwrap();
    node
}

fn denier(status: u16) -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
        "spec": {"image": "builtin://denier", "config": {"status": status}}})
}

fn deny_echo() -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "deny"},
        "spec": {"targetRefs": [{"kind": "Service", "name": "echo"}], "actions": [{"plugin": "denier", "template": "checknothing"}]}})
}

async fn create(node: &Node, path: &str, object: &Value) {
    let answer = osier_tests::api::Api::open(node)
        .await
        .unwrap()
        .send("POST", path, Some(object))
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Waits for the first answer with `status` after now, and holds the time to the promise.
async fn soon(load: &Load, status: u16) {
    let since = load.elapsed();
    let seen = || async { Ok((load.count(status, since) > 0).then_some(())) };
    until(&format!("an answer with {status}"), LIMIT, seen)
        .await
        .unwrap();
    let took = load.elapsed().saturating_sub(since);
    assert!(took < IN_FORCE, "{status} came only after {took:?}");
    settled(load, status).await;
}

/// From some moment on, nothing but `status` comes.
async fn settled(load: &Load, status: u16) {
    let others = [200, 403, 404, 429, 451]
        .into_iter()
        .filter(|other| *other != status);
    let only = || async {
        let since = load.elapsed();
        let enough = || async { Ok((load.count(status, since) >= 20).then_some(())) };
        until("twenty more answers", LIMIT, enough).await?;
        let strays: usize = others.clone().map(|other| load.count(other, since)).sum();
        ensure!(strays == 0, "{strays} answers with another status");
        Ok(Some(()))
    };
    until(&format!("only {status}"), IN_FORCE * 5, only)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_changes_and_goes_under_load() {
    let node = echo().await;
    let load = Plan::get(&node.address("gateway").unwrap(), "/", 8).start();
    let flowing = || async { Ok((load.count(200, Duration::ZERO) > 50).then_some(())) };
    until("traffic flows", LIMIT, flowing).await.unwrap();
    create(&node, PLUGIN, &denier(403)).await;
    create(&node, POLICY, &deny_echo()).await;
    soon(&load, 403).await;
    for status in [451, 403, 451] {
        objects::merge(
            &node,
            &format!("{PLUGIN}/denier"),
            &json!({"spec": {"config": {"status": status}}}),
        )
        .await
        .unwrap();
        soon(&load, status).await;
    }
    objects::delete(&node, &format!("{POLICY}/deny"))
        .await
        .unwrap();
    soon(&load, 200).await;
    objects::delete(&node, &format!("{PLUGIN}/denier"))
        .await
        .unwrap();
    settled(&load, 200).await;
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200, 403, 451]), Vec::<String>::new());
}

/// A registry that takes connections and says nothing for as long as it is there: whoever pulls from it waits.
struct Silent {
    address: String,
    listening: tokio::task::JoinHandle<()>,
}

impl Silent {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let listening = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        Self { address, listening }
    }

    /// From now on nobody waits: there is no such registry.
    fn leave(self) {
        self.listening.abort();
    }
}

/// A control plane whose gateway calls `echo` on a joined node.
async fn pair() -> (Node, Node) {
    let control = Node::start().unwrap();
    control
        .import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    let joined = control.joined("second").unwrap();
    let nodes = objects::get(&control, "/api/v1/nodes").await.unwrap();
    for node in nodes["items"].as_array().unwrap() {
        let name = node["metadata"]["name"].as_str().unwrap();
        if name != "second" {
            let path = format!("/api/v1/nodes/{name}");
            let cordon = json!({"spec": {"unschedulable": true}});
            objects::merge(&control, &path, &cordon).await.unwrap();
        }
    }
    control.apply_text(ECHO).unwrap();
    objects::ready(&control, "app=echo", 1).await.unwrap();
    answered(&control, 200).await;
    (control, joined)
}

/// Waits until the gateway answers so; the id of the request.
async fn answered(node: &Node, status: u16) -> String {
    let gateway = node.address("gateway").unwrap();
    let count = AtomicUsize::new(0);
    let asked = || async {
        let id = format!("{status}-{}", count.fetch_add(1, Ordering::Relaxed));
        let answer = get_with(&gateway, "/", &[("x-request-id", &id)]).await?;
        let text = answer.text();
        ensure!(answer.status == status, "{}: {text}", answer.status);
        Ok(Some(id))
    };
    let what = format!("an answer with {status}");
    until(&what, LIMIT, asked).await.unwrap()
}

/// Waits until the policy says so of itself; the message.
async fn says(node: &Node, wanted: (&str, &str)) -> String {
    let told = || async {
        let policy = objects::get(node, &format!("{POLICY}/deny")).await?;
        let ready = &policy["status"]["conditions"][0];
        let is = (ready["status"].as_str(), ready["reason"].as_str());
        ensure!(
            is == (Some(wanted.0), Some(wanted.1)),
            "{}",
            policy["status"]
        );
        Ok(ready["message"].as_str().map(ToOwned::to_owned))
    };
    until(&format!("{wanted:?}"), LIMIT, told).await.unwrap()
}

/// What the joined node tells of a call.
fn why(control: &Node, id: &str) -> String {
    let kubeconfig = control.kubeconfig();
    let arguments = ["why", id, "--node", "second", "--kubeconfig"];
    let output = std::process::Command::new(osier_tests::artifacts::binary().unwrap())
        .args(arguments)
        .arg(&kubeconfig)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    String::from_utf8(told).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joined_node_without_the_plugin_goes_by_the_failure_policy() {
    let (control, joined) = pair().await;
    let registry = Silent::start().await;
    let image = format!("{}/denier:1", registry.address);
    control
        .import(&image, &component("plugins/denier").unwrap())
        .unwrap();
    let mut plugin = denier(403);
    plugin["spec"]["image"] = json!(image);
    create(&control, PLUGIN, &plugin).await;
    create(&control, POLICY, &deny_echo()).await;

    let id = answered(&control, 503).await;
    let told = why(&control, &id);
    assert!(
        told.contains("it is being loaded on this node"),
        "{id}: {told}"
    );
    let message = says(&control, ("False", "PluginLoading")).await;
    assert!(
        message.contains("on node second: plugin denier"),
        "{message}"
    );

    let path = format!("{POLICY}/deny");
    let ignore = json!({"spec": {"failurePolicy": "Ignore"}});
    objects::merge(&control, &path, &ignore).await.unwrap();
    let id = answered(&control, 200).await;
    let told = why(&control, &id);
    assert!(
        told.contains("ignore: ") && told.contains("it is being loaded"),
        "{told}"
    );

    registry.leave();
    let id = answered(&control, 403).await;
    assert!(why(&control, &id).contains("deny"));
    says(&control, ("True", "InForce")).await;

    // Another plugin of the policy waits while the version before decides.
    let registry = Silent::start().await;
    let image = format!("{}/other:1", registry.address);
    control
        .import(&image, &component("plugins/denier").unwrap())
        .unwrap();
    let mut other = denier(451);
    other["metadata"]["name"] = json!("other");
    other["spec"]["image"] = json!(image);
    create(&control, PLUGIN, &other).await;
    let action = json!([{"plugin": "other", "template": "checknothing"}]);
    let change = json!({"spec": {"failurePolicy": "Fail", "actions": action}});
    objects::merge(&control, &path, &change).await.unwrap();
    let message = says(&control, ("False", "PluginLoading")).await;
    assert!(
        message.contains("the version before stays in force"),
        "{message}"
    );
    answered(&control, 403).await;
    registry.leave();
    answered(&control, 451).await;
    says(&control, ("True", "InForce")).await;
    drop(joined);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_plugin_costs_only_its_own_requests() {
    let node = echo().await;
    node.import("hostile:1.0", &component("tests/hostile").unwrap())
        .unwrap();
    node.apply_text(HOSTILE).unwrap();
    let gateway = node.address("gateway").unwrap();
    let asked = || async {
        Ok((get_with(&gateway, "/", &[("x-behave", "deny")])
            .await?
            .status
            == 403)
            .then_some(()))
    };
    until("the plugin is asked", LIMIT, asked).await.unwrap();

    let quiet = median_alone(&gateway).await;
    let good = Plan::get(&gateway, "/", 2)
        .paced(Duration::from_millis(2))
        .start();
    let bad: Vec<Load> = ["loop", "trap", "hoard"]
        .map(|behaviour| {
            Plan::get(&gateway, "/", 1)
                .header("x-behave", behaviour)
                .paced(Duration::from_millis(20))
                .start()
        })
        .into();
    let enough = || async { Ok((good.count(200, Duration::ZERO) > 600).then_some(())) };
    until("traffic beside a hostile plugin", LIMIT, enough)
        .await
        .unwrap();
    for load in bad {
        let outcome = load.finish().await;
        let counts = outcome.by_status();
        assert!(
            outcome.total() > 5 && counts.keys().all(|status| *status >= 500),
            "fail closed, and answered: {counts:?}"
        );
    }
    let outcome = good.finish().await;
    assert_eq!(
        outcome.unexpected(&[200]),
        Vec::<String>::new(),
        "requests that the plugin allows"
    );
    let beside = outcome.quantile(0.5, 200, Duration::ZERO).unwrap();
    assert!(
        beside < quiet * 5 + Duration::from_millis(20),
        "the median went from {quiet:?} to {beside:?}"
    );
    shows_in_status(&node).await;
}

/// The median of good requests while nothing else is asked.
async fn median_alone(gateway: &str) -> Duration {
    let alone = Plan::get(gateway, "/", 2)
        .paced(Duration::from_millis(2))
        .start();
    let enough = || async { Ok((alone.count(200, Duration::ZERO) > 300).then_some(())) };
    until("quiet traffic", LIMIT, enough).await.unwrap();
    alone
        .finish()
        .await
        .quantile(0.5, 200, Duration::ZERO)
        .unwrap()
}

async fn shows_in_status(node: &Node) {
    let shown = || async {
        let plugin = objects::get(node, &format!("{PLUGIN}/hostile")).await?;
        let status = plugin["status"].to_string().to_lowercase();
        ensure!(
            status.contains("trap") && status.contains("deadline"),
            "status: {status}"
        );
        Ok(Some(()))
    };
    until("traps and overruns in the plugin's status", LIMIT, shown)
        .await
        .unwrap();
    let metrics = get(&node.address("admin").unwrap(), "/metrics")
        .await
        .unwrap()
        .text();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("osier_plugin") && line.contains("hostile")),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_party_plugins_do_what_the_example_says() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let reviews = "/api/v1/products/0/reviews";
    node.apply(&manifest("policy-list")).unwrap();
    let only_readers = || async {
        let stranger = get(&gateway, reviews).await?.status;
        let reader = get_with(&gateway, reviews, &[("end-user", "rosa")])
            .await?
            .status;
        Ok((stranger == 403 && reader == 200).then_some(()))
    };
    until("only readers on the list pass", LIMIT, only_readers)
        .await
        .unwrap();
    let page = get(&gateway, "/productpage").await.unwrap().text();
    assert!(
        page.contains("A policy refused the call to reviews (403)"),
        "{page}"
    );
    objects::delete(&node, &format!("{POLICY}/reviews-for-readers"))
        .await
        .unwrap();

    node.apply(&manifest("policy-rate-limit")).unwrap();
    let limited = || async {
        Ok((get_with(&gateway, reviews, &[("end-user", "mole")])
            .await?
            .status
            == 429)
            .then_some(()))
    };
    until("a person who asks too often is refused", LIMIT, limited)
        .await
        .unwrap();
    let other = get_with(&gateway, reviews, &[("end-user", "rat")])
        .await
        .unwrap();
    assert_eq!(other.status, 200, "others have an allowance of their own");
}
