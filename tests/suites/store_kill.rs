//! `kill -9` of the real binary while it is being written to: every acknowledged write is there afterwards, whatever the moment.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::api::Api;
use osier_tests::objects;
use osier_tests::{Node, Options, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WRITERS: usize = 4;
/// After how many acknowledged writes of a round the node is killed.
const MOMENTS: [usize; 10] = [1, 2, 7, 20, 55, 3, 148, 90, 13, 400];

/// The last acknowledged value of each object; a deleted one is `None`. Its writer is the only one that touches it.
type Acknowledged = Arc<Mutex<Ledger>>;

#[derive(Default)]
struct Ledger {
    values: BTreeMap<String, Option<u64>>,
    /// Writes under way: either value may be the one that is found.
    open: BTreeMap<String, Option<u64>>,
    /// Acknowledged writes of this round.
    count: usize,
}

/// Creates, updates and deletes objects of its own until the node is gone.
async fn write(mut api: Api, writer: String, acknowledged: Acknowledged) {
    for number in 0u64.. {
        let name = format!("{writer}-{}", number % 7);
        let path = format!("{MAPS}/{name}");
        let known = acknowledged
            .lock()
            .unwrap()
            .values
            .get(&name)
            .copied()
            .flatten();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"number": number.to_string(), "filler": "x".repeat(700)}});
        let (method, path, value) = match known {
            None => ("POST", MAPS, Some(number)),
            Some(_) if number % 5 == 0 => ("DELETE", path.as_str(), None),
            Some(_) => ("PUT", path.as_str(), Some(number)),
        };
        acknowledged
            .lock()
            .unwrap()
            .open
            .insert(name.clone(), value);
        let Ok(answer) = api.send(method, path, value.map(|_| &map)).await else {
            return;
        };
        assert!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        let mut ledger = acknowledged.lock().unwrap();
        ledger.open.remove(&name);
        ledger.values.insert(name, value);
        ledger.count += 1;
    }
}

/// Every acknowledged object is there; one whose write was not answered has the old or the new value.
async fn check(node: &Node, acknowledged: &Acknowledged) {
    let list = objects::get(node, MAPS).await.unwrap();
    let found: BTreeMap<String, u64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(number)
        .collect();
    let mut ledger = acknowledged.lock().unwrap();
    let open = std::mem::take(&mut ledger.open);
    let names: BTreeSet<String> = ledger.values.keys().chain(open.keys()).cloned().collect();
    for name in names {
        let (old, now) = (
            ledger.values.get(&name).copied().flatten(),
            found.get(&name).copied(),
        );
        let new = open.get(&name);
        assert!(
            now == old || Some(&now) == new,
            "{name}: acknowledged {old:?}, perhaps {new:?}, found {now:?}"
        );
        ledger.values.insert(name, now);
    }
    let strays: Vec<_> = found
        .keys()
        .filter(|name| !ledger.values.contains_key(*name))
        .collect();
    assert!(strays.is_empty(), "nobody wrote {strays:?}");
    ledger.count = 0;
}

/// The name and the number of a map of the writers; none of `kube-root-ca.crt`, which the node itself puts into
/// every namespace.
fn number(map: &Value) -> Option<(String, u64)> {
    let name = objects::name(map);
    if name == "kube-root-ca.crt" {
        return None;
    }
    let number = map["data"]["number"].as_str().unwrap().parse().unwrap();
    Some((name, number))
}

async fn survives(options: &Options) {
    let mut node = Node::start_with(options).unwrap();
    let acknowledged = Acknowledged::default();
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let api = Api::open(&node).await.unwrap();
            let name = format!("w{round}-{writer}");
            writers.push(tokio::spawn(write(api, name, acknowledged.clone())));
        }
        let written = || async { Ok((acknowledged.lock().unwrap().count >= moment).then_some(())) };
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
