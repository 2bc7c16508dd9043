//! List, watch and patch against a model: a map of what should be there, and a log of how it came to be so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::server::{Server, request};

/// What the model knows of a ConfigMap.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    label: u8,
    data: BTreeMap<String, String>,
    version: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Create {
        name: u8,
        label: u8,
        value: u8,
    },
    Replace {
        name: u8,
        label: u8,
        value: u8,
        stale: bool,
    },
    /// A merge patch; none removes the key.
    Merge {
        name: u8,
        key: u8,
        value: Option<u8>,
    },
    /// A JSON patch that holds only if the key has this value.
    Json {
        name: u8,
        key: u8,
        before: u8,
        after: u8,
    },
    /// A strategic merge patch of the label.
    Strategic {
        name: u8,
        label: u8,
    },
    Delete {
        name: u8,
    },
    List {
        label: Option<u8>,
        limit: usize,
    },
    Watch {
        back: usize,
        label: Option<u8>,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, label, value) = (0..5u8, 0..3u8, 0..3u8);
    let step = prop_oneof![
        4 => (name.clone(), label.clone(), value.clone())
            .prop_map(|(name, label, value)| Step::Create { name, label, value }),
        3 => (name.clone(), label.clone(), value.clone(), any::<bool>())
            .prop_map(|(name, label, value, stale)| Step::Replace { name, label, value, stale }),
        3 => (name.clone(), 0..3u8, proptest::option::of(value.clone()))
            .prop_map(|(name, key, value)| Step::Merge { name, key, value }),
        2 => (name.clone(), 0..2u8, value.clone(), value)
            .prop_map(|(name, key, before, after)| Step::Json { name, key, before, after }),
        2 => (name.clone(), label.clone()).prop_map(|(name, label)| Step::Strategic { name, label }),
        2 => name.prop_map(|name| Step::Delete { name }),
        2 => (proptest::option::of(label.clone()), 0..4usize)
            .prop_map(|(label, limit)| Step::List { label, limit }),
        1 => (0..20usize, proptest::option::of(label))
            .prop_map(|(back, label)| Step::Watch { back, label }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// One change: of whom, from what, to what.
type Change = (String, Option<Item>, Option<Item>);

struct Model<'a> {
    server: &'a Server,
    maps: String,
    items: BTreeMap<String, Item>,
    log: Vec<(u64, Change)>,
    /// The version at which the namespace was empty.
    start: u64,
}

fn version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap();
    text.parse().unwrap()
}

impl Model<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.maps)
    }

    /// What a write answered with, compared with what it should have made; nothing changed if that is what was there.
    fn wrote(&mut self, name: &str, answer: &Value, mut now: Item) {
        let before = self.items.get(name).cloned();
        now.version = version(answer);
        assert_eq!(answer["metadata"]["labels"]["l"], now.label.to_string());
        let data: BTreeMap<String, String> =
            serde_json::from_value(answer["data"].clone()).unwrap_or_default();
        assert_eq!(data, now.data);
        if before.as_ref() == Some(&now) {
            return;
        }
        let newest = self.log.last().map_or(self.start, |(version, _)| *version);
        assert!(now.version > newest, "{answer}");
        self.items.insert(name.to_owned(), now.clone());
        self.log
            .push((now.version, (name.to_owned(), before, Some(now))));
    }

    fn body(name: &str, item: &Item) -> Value {
        json!({"metadata": {"name": name, "labels": {"l": item.label.to_string()}}, "data": item.data})
    }

    /// Applies a change of the model to what is there, through a patch.
    async fn patch(
        &mut self,
        name: &str,
        media: &str,
        patch: Value,
        change: impl FnOnce(&mut Item) -> bool,
    ) {
        let sent = request("PATCH", &self.path(name), media, &patch.to_string());
        let answer = self.server.send(sent).await;
        let Some(mut item) = self.items.get(name).cloned() else {
            return assert_eq!(answer.code, 404);
        };
        if !change(&mut item) {
            return assert_eq!(answer.code, 422, "{}", answer.text);
        }
        let answer = answer.good();
        self.wrote(name, &answer, item);
    }

    async fn take(&mut self, step: Step) {
        let named = |name: u8| format!("m{name}");
        let fresh = |label: u8, value: u8| Item {
            label,
            data: BTreeMap::from([("k0".to_owned(), value.to_string())]),
            version: 0,
        };
        match step {
            Step::Create { name, label, value } => {
                let (name, item) = (named(name), fresh(label, value));
                let answer = self.server.post(&self.maps, Self::body(&name, &item)).await;
                match self.items.contains_key(&name) {
                    true => assert_eq!(answer.code, 409, "{}", answer.text),
                    false => self.wrote(&name, &answer.good(), item),
                }
            }
            Step::Replace {
                name,
                label,
                value,
                stale,
            } => {
                let (name, item) = (named(name), fresh(label, value));
                let known = self.items.get(&name).map(|known| known.version);
                let mut body = Self::body(&name, &item);
                let claimed = known.unwrap_or(self.start) - u64::from(stale);
                body["metadata"]["resourceVersion"] = json!(claimed.to_string());
                let answer = self.server.put(&self.path(&name), body).await;
                match known {
                    None => assert_eq!(answer.code, 404, "{}", answer.text),
                    Some(_) if stale => assert_eq!(answer.code, 409, "{}", answer.text),
                    Some(_) => self.wrote(&name, &answer.good(), item),
                }
            }
            Step::Merge { name, key, value } => {
                let (key, value) = (format!("k{key}"), value.map(|value| value.to_string()));
                let patch = json!({"data": {(key.clone()): value}});
                let media = "application/merge-patch+json";
                let change = |item: &mut Item| {
                    match value.clone() {
                        Some(value) => item.data.insert(key.clone(), value),
                        None => item.data.remove(&key),
                    };
                    true
                };
                self.patch(&named(name), media, patch, change).await;
            }
            Step::Json {
                name,
                key,
                before,
                after,
            } => {
                let (key, before) = (format!("k{key}"), before.to_string());
                let path = format!("/data/{key}");
                let patch = json!([{"op": "test", "path": path, "value": before},
                    {"op": "replace", "path": path, "value": after.to_string()}]);
                let change = |item: &mut Item| {
                    let held = item.data.get(&key) == Some(&before);
                    if held {
                        item.data.insert(key.clone(), after.to_string());
                    }
                    held
                };
                self.patch(&named(name), "application/json-patch+json", patch, change)
                    .await;
            }
            Step::Strategic { name, label } => {
                let patch = json!({"metadata": {"labels": {"l": label.to_string()}}});
                let media = "application/strategic-merge-patch+json";
                let change = |item: &mut Item| {
                    item.label = label;
                    true
                };
                self.patch(&named(name), media, patch, change).await;
            }
            Step::Delete { name } => self.delete(&named(name)).await,
            Step::List { label, limit } => self.list(label, limit).await,
            Step::Watch { back, label } => self.watch(back, label).await,
        }
    }

    async fn delete(&mut self, name: &str) {
        let answer = self.server.delete(&self.path(name), json!({})).await;
        let Some(before) = self.items.remove(name) else {
            return assert_eq!(answer.code, 404);
        };
        answer.good();
        let list = self
            .server
            .get(&format!("{}?limit=1", self.maps))
            .await
            .good();
        self.log
            .push((version(&list), (name.to_owned(), Some(before), None)));
    }

    /// All pages of a list are what the model has, in the order of names.
    async fn list(&self, label: Option<u8>, limit: usize) {
        let selector = label.map_or_else(String::new, |label| format!("&labelSelector=l={label}"));
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let path = format!("{}?limit={limit}{selector}&continue={token}", self.maps);
            let page = self.server.get(&path).await.good();
            let items = page["items"].as_array().unwrap();
            assert!(limit == 0 || items.len() <= limit);
            found.extend(items.iter().map(|item| {
                let name = item["metadata"]["name"].as_str().unwrap();
                (name.to_owned(), version(item))
            }));
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => break,
            }
        }
        let chosen = self.items.iter();
        let chosen = chosen.filter(|(_, item)| label.is_none_or(|label| item.label == label));
        let expected: Vec<_> = chosen
            .map(|(name, item)| (name.clone(), item.version))
            .collect();
        assert_eq!(found, expected);
    }

    /// A watch from the past tells what the log has, as one sees it who sees only what is selected.
    async fn watch(&self, back: usize, label: Option<u8>) {
        let skip = self.log.len().saturating_sub(back);
        let after = match skip {
            0 => self.start,
            skip => self.log[skip - 1].0,
        };
        let selector = label.map_or_else(String::new, |label| format!("&labelSelector=l={label}"));
        let path = format!(
            "{}?watch=1&timeoutSeconds=1&resourceVersion={after}{selector}",
            self.maps
        );
        let heard = self.server.get(&path).await;
        let heard = heard.text.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let name = event["object"]["metadata"]["name"].as_str().unwrap();
            let kind = event["type"].as_str().unwrap();
            (kind.to_owned(), name.to_owned(), version(&event["object"]))
        });
        let sees = |item: &Option<Item>| {
            let item = item.as_ref();
            item.is_some_and(|item| label.is_none_or(|label| item.label == label))
        };
        let expected = self.log[skip..]
            .iter()
            .filter_map(|(version, (name, before, now))| {
                let kind = match (sees(before), sees(now)) {
                    (false, false) => return None,
                    (false, true) => "ADDED",
                    (true, true) => "MODIFIED",
                    (true, false) => "DELETED",
                };
                Some((kind.to_owned(), name.clone(), *version))
            });
        assert_eq!(heard.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn lists_watches_and_patches_agree_with_a_model() {
    // The clock stands still but when all wait for it: a watch of one second costs none.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let server = runtime.block_on(Server::new());
    let cases = AtomicUsize::new(0);
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        let namespace = format!("case-{}", cases.fetch_add(1, Ordering::SeqCst));
        runtime.block_on(async {
            let made = json!({"metadata": {"name": namespace}});
            let made = server.post("/api/v1/namespaces", made).await.good();
            let mut model = Model {
                server: &server,
                maps: format!("/api/v1/namespaces/{namespace}/configmaps"),
                items: BTreeMap::new(),
                log: Vec::new(),
                start: version(&made),
            };
            for step in steps {
                model.take(step).await;
            }
            for label in [None, Some(0), Some(1), Some(2)] {
                model.list(label, 2).await;
                model.watch(usize::MAX, label).await;
            }
        });
    });
}
