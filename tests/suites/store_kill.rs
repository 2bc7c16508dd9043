//! `kill -9` of the real binary while it is being written to: every acknowledged write is there afterwards, whatever the moment.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::api::Api;
use osier_tests::objects;
use osier_tests::{Node, Options, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WRITERS: usize = 4;
const ROUNDS: usize = 5;

/// The last acknowledged value of each object; a deleted one is `None`. Its writer is the only one that touches it.
type Acknowledged = Arc<Mutex<BTreeMap<String, Option<u64>>>>;

/// Creates, updates and deletes objects of its own until the node is gone.
async fn write(mut api: Api, writer: String, acknowledged: Acknowledged) {
    for number in 0u64.. {
        let name = format!("{writer}-{}", number % 7);
        let path = format!("{MAPS}/{name}");
        let known = acknowledged.lock().unwrap().get(&name).copied().flatten();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"number": number.to_string(), "filler": "x".repeat(700)}});
        let (method, path, value) = match known {
            None => ("POST", MAPS, Some(number)),
            Some(_) if number % 5 == 0 => ("DELETE", path.as_str(), None),
            Some(_) => ("PUT", path.as_str(), Some(number)),
        };
        let body = value.map(|_| &map);
        // Until it is answered, either value may be the one that is found.
        acknowledged
            .lock()
            .unwrap()
            .insert(format!("{name}?"), value);
        match api.send(method, path, body).await {
            Err(_) => return,
            Ok(answer) => {
                assert!(
                    answer.status.is_success(),
                    "{method} {path}: {} {}",
                    answer.status,
                    answer.text()
                );
                let mut acknowledged = acknowledged.lock().unwrap();
                acknowledged.remove(&format!("{name}?"));
                acknowledged.insert(name, value);
            }
        }
    }
}

/// Every acknowledged object is there; one whose write was not answered has the old or the new value.
async fn check(node: &Node, acknowledged: &Acknowledged) {
    let list = objects::get(node, MAPS).await.unwrap();
    let found: BTreeMap<String, u64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    let mut expected = acknowledged.lock().unwrap();
    let open: BTreeMap<String, Option<u64>> = expected
        .iter()
        .filter_map(|(name, value)| Some((name.strip_suffix('?')?.to_owned(), *value)))
        .collect();
    expected.retain(|name, _| !name.ends_with('?'));
    for (name, value) in expected.iter_mut() {
        let (old, new) = (*value, open.get(name).copied());
        let now = found.get(name).copied();
        assert!(
            now == old || Some(now) == new,
            "{name}: acknowledged {old:?}, then perhaps {new:?}, but found {now:?}"
        );
        *value = now;
    }
    for (name, value) in open {
        let now = found.get(&name).copied();
        assert!(
            expected.contains_key(&name) || now.is_none() || now == value,
            "{name}: {now:?}"
        );
        expected.insert(name, now);
    }
}

fn number(map: &Value) -> (String, u64) {
    (
        objects::name(map),
        map["data"]["number"].as_str().unwrap().parse().unwrap(),
    )
}

async fn survives(options: &Options) {
    let mut node = Node::start_with(options).unwrap();
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let before = acknowledged.lock().unwrap().len();
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let api = Api::open(&node).await.unwrap();
            writers.push(tokio::spawn(write(
                api,
                format!("w{round}-{writer}"),
                acknowledged.clone(),
            )));
        }
        let moment = before + WRITERS * (2 + round);
        let written = || async { Ok((acknowledged.lock().unwrap().len() >= moment).then_some(())) };
        until("writes are acknowledged", Duration::from_secs(30), written)
            .await
            .unwrap();
        node.kill().unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        node.restart_with(options).unwrap();
        check(&node, &acknowledged).await;
    }
    assert!(acknowledged.lock().unwrap().len() >= ROUNDS * WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn sled_keeps_every_acknowledged_write() {
    survives(&Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redb_keeps_every_acknowledged_write() {
    let args = vec!["--store".to_owned(), "redb".to_owned()];
    survives(&Options {
        args,
        ..Options::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_reported_and_left_alone() {
    let mut node = Node::start().unwrap();
    node.apply_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {a: b}\n")
        .unwrap();
    node.terminate().unwrap();
    let store = node.data_dir().join("store");
    let mut damaged = 0;
    overwrite(&store, &mut damaged);
    assert!(damaged > 0, "nothing to damage in {}", store.display());
    let output = osier_tests::node::refused(&node.data_dir(), &Options::default()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("store"), "{said}");
}

/// Writes over the middle of every file of some size.
fn overwrite(folder: &std::path::Path, damaged: &mut usize) {
    for path in folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.is_dir() {
            overwrite(&path, damaged);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.len() >= 4096 {
            let length = bytes.len();
            bytes[..length / 2].fill(0x5a);
            std::fs::write(&path, bytes).unwrap();
            *damaged += 1;
        }
    }
}
