//! What README and guides tell people to do, done: their manifests are applied as they stand there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use osier_tests::artifacts::{component, example, workspace};
use osier_tests::http::{get, get_with};
use osier_tests::{Node, until};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn text(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text between two marks.
fn between(text: &str, from: &str, to: &str) -> String {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split(to).next().unwrap().to_owned()
}

async fn answers(gateway: &str, status: u16, user: &str) {
    let asked = || async {
        Ok((get_with(gateway, "/", &[("end-user", user)]).await?.status == status).then_some(()))
    };
    let what = format!("{status} for {user}");
    until(&what, LIMIT, asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn first_five_minutes_and_first_plugin() {
    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    let manifests = between(&text("README.md"), "kubectl apply -f - <<EOT\n", "\nEOT\n");
    node.apply_text(&manifests).unwrap();
    let gateway = node.address("gateway").unwrap();
    answers(&gateway, 200, "alice").await;
    assert!(get(&gateway, "/").await.unwrap().text().contains("Hello"));

    node.import("blocker:1", &component("blocker").unwrap())
        .unwrap();
    node.apply(&example("blocker/blocker.yaml")).unwrap();
    answers(&gateway, 403, "mallory").await;
    answers(&gateway, 200, "alice").await;

    node.import("basic-auth:1", &component("basic-auth").unwrap())
        .unwrap();
    node.apply(&example("basic-auth/basic-auth.yaml")).unwrap();
    answers(&gateway, 401, "alice").await;
    let known = [("authorization", "Basic c2hvcDpzZWNyZXQ=")];
    let answer = get_with(&gateway, "/", &known).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn the_guide_shows_the_example_as_it_is() {
    let guide = text("docs/guide/plugin-author.md");
    for path in [
        "examples/blocker/src/lib.rs",
        "examples/blocker/blocker.yaml",
    ] {
        assert!(
            guide.contains(&text(path)),
            "docs/guide/plugin-author.md does not hold {path} as it is"
        );
    }
}
