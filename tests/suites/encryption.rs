//! Encryption at rest, with the real binary: Secrets are not in the files of the data directory, keys are changed by a restart,
//! and a wrong key is refused without a change.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_tests::api::Api;
use osier_tests::{Node, Options, objects, until};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const PASSWORD: &str = "correct-horse-battery-staple";

/// A configuration whose first key encrypts Secrets.
fn configuration(folder: &Path, keys: &[(&str, u8)]) -> PathBuf {
    let keys: Vec<_> = keys
        .iter()
        .map(|(name, byte)| json!({"name": name, "secret": STANDARD.encode([*byte; 32])}))
        .collect();
    let file = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"aesgcm": {"keys": keys}}, {"identity": {}}]}]});
    let path = folder.join("encryption.yaml");
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

fn options(configuration: Option<&Path>, store: &str) -> Options {
    let mut args = vec!["--store".to_owned(), store.to_owned()];
    if let Some(path) = configuration {
        args.push("--encryption-provider-config".to_owned());
        args.push(path.to_string_lossy().into_owned());
    }
    Options {
        args,
        ..Options::default()
    }
}

async fn create(node: &Node, name: &str) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "data": {"password": STANDARD.encode(PASSWORD)}});
    let mut api = Api::open(node).await.unwrap();
    let made = api.send("POST", SECRETS, Some(&secret)).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn reads(node: &Node, name: &str) {
    let secret = objects::get(node, &format!("{SECRETS}/{name}"))
        .await
        .unwrap();
    assert_eq!(secret["data"]["password"], STANDARD.encode(PASSWORD));
}

/// Whether a text is in any file of the store.
fn on_disk(node: &Node, text: &str) -> bool {
    let files = walk(&node.data_dir().join("store"));
    files
        .iter()
        .any(|file| file.windows(text.len()).any(|part| part == text.as_bytes()))
}

fn walk(folder: &Path) -> Vec<Vec<u8>> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap);
    let read = entries.flat_map(|entry| match entry.path().is_dir() {
        true => walk(&entry.path()),
        false => vec![std::fs::read(entry.path()).unwrap()],
    });
    read.collect()
}

async fn told(node: &Node, words: &str) {
    let look = || async { Ok(node.log().contains(words).then_some(())) };
    until(words, Duration::from_secs(30), look).await.unwrap();
}

async fn life(store: &str) {
    let folder = tempfile::tempdir().unwrap();
    let first = configuration(folder.path(), &[("key1", 1)]);
    let mut node = Node::start_with(&options(Some(&first), store)).unwrap();
    create(&node, "a").await;
    reads(&node, "a").await;
    node.terminate().unwrap();
    assert!(on_disk(&node, "osier:enc:aesgcm:v1:key1:"));
    for text in [PASSWORD, STANDARD.encode(PASSWORD).as_str()] {
        assert!(!on_disk(&node, text), "{text} is in the clear");
    }

    // Wrong keys: another one of that name, none at all.
    for wrong in [Some(configuration(folder.path(), &[("key1", 9)])), None] {
        let output =
            osier_tests::node::refused(&node.data_dir(), &options(wrong.as_deref(), store))
                .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{told}");
        for word in [
            "core/secrets/default/a",
            "key1",
            "--encryption-provider-config",
        ] {
            assert!(told.contains(word), "{told}");
        }
    }

    // A new key in front: everything is written anew with it, and then the old one may go.
    let both = configuration(folder.path(), &[("key2", 2), ("key1", 1)]);
    node.restart_with(&options(Some(&both), store)).unwrap();
    reads(&node, "a").await;
    told(&node, "no longer needed").await;
    node.terminate().unwrap();
    let last = configuration(folder.path(), &[("key2", 2)]);
    node.restart_with(&options(Some(&last), store)).unwrap();
    reads(&node, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_encrypted_and_keys_are_changed_on_sled() {
    life("sled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_encrypted_and_keys_are_changed_on_redb() {
    life("redb").await;
}
