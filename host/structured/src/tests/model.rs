//! Random histories of applies and updates against a model that knows only leaves and who owns each.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::*;
use super::schema;

/// A leaf or an element of a list, by the words in which a path is shown.
type Place = String;

#[derive(Debug, Clone)]
struct Act {
    manager: Owner,
    document: Document,
    force: bool,
}

/// What a document sets.
#[derive(Debug, Clone, Default)]
struct Document {
    fields: BTreeMap<&'static str, u8>,
    labels: BTreeMap<&'static str, u8>,
    items: BTreeMap<&'static str, (Option<u8>, Option<u8>)>,
    tags: BTreeSet<&'static str>,
    atom: Option<u8>,
}

impl Document {
    fn value(&self) -> Value {
        let mut map = Map::new();
        let texts = |pairs: &BTreeMap<&str, u8>| -> Map<String, Value> {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value.to_string())))
                .collect()
        };
        for (name, pairs) in [("fields", &self.fields), ("labels", &self.labels)] {
            if !pairs.is_empty() {
                map.insert(name.to_owned(), Value::Object(texts(pairs)));
            }
        }
        if !self.items.is_empty() {
            let items = self.items.iter().map(|(name, (v, w))| {
                let mut item = json!({"name": name});
                for (field, number) in [("v", v), ("w", w)] {
                    if let Some(number) = number {
                        item[field] = json!(number);
                    }
                }
                item
            });
            map.insert("items".to_owned(), items.collect());
        }
        if !self.tags.is_empty() {
            map.insert("tags".to_owned(), json!(self.tags));
        }
        if let Some(number) = self.atom {
            map.insert("atom".to_owned(), json!([number, number]));
        }
        Value::Object(map)
    }

    fn leaves(&self) -> BTreeMap<Place, String> {
        leaves(&self.value())
    }
}

/// Every leaf and element of a document with its value; an element's is empty.
fn leaves(document: &Value) -> BTreeMap<Place, String> {
    let mut found = BTreeMap::new();
    for (name, value) in document.as_object().unwrap() {
        match (name.as_str(), value) {
            ("items", Value::Array(items)) => {
                for item in items {
                    let place = format!(".items[name={}]", item["name"]);
                    for (field, value) in item.as_object().unwrap() {
                        found.insert(format!("{place}.{field}"), value.to_string());
                    }
                    found.insert(place, String::new());
                }
            }
            ("tags", Value::Array(tags)) => {
                found.extend(
                    tags.iter()
                        .map(|tag| (format!(".tags[={tag}]"), String::new())),
                );
            }
            (_, Value::Object(map)) => {
                found.extend(
                    map.iter()
                        .map(|(key, value)| (format!(".{name}.{key}"), value.to_string())),
                );
            }
            _ => drop(found.insert(format!(".{name}"), value.to_string())),
        }
    }
    found
}

/// The model: leaves, and for each who owns it.
#[derive(Debug, Default)]
struct Model {
    leaves: BTreeMap<Place, String>,
    owners: BTreeMap<Place, BTreeSet<Owner>>,
}

impl Model {
    /// The conflicts, if it is refused.
    fn act(&mut self, act: &Act) -> Result<(), BTreeSet<(Owner, Place)>> {
        let wanted = act.document.leaves();
        match act.manager.operation {
            Operation::Apply => self.apply(act, &wanted),
            Operation::Update => {
                let gone: Vec<Place> = self
                    .leaves
                    .keys()
                    .filter(|place| !wanted.contains_key(*place))
                    .cloned()
                    .collect();
                gone.iter().for_each(|place| self.drop_leaf(place));
                for (place, value) in wanted {
                    if self.leaves.get(&place) != Some(&value) {
                        self.set(&place, value, &act.manager);
                    }
                }
                Ok(())
            }
        }
    }

    fn apply(
        &mut self,
        act: &Act,
        wanted: &BTreeMap<Place, String>,
    ) -> Result<(), BTreeSet<(Owner, Place)>> {
        let changed = wanted
            .iter()
            .filter(|(place, value)| self.leaves.get(*place) != Some(value));
        let conflicts: BTreeSet<(Owner, Place)> = changed
            .flat_map(|(place, _)| {
                let owners = self.owners.get(place).into_iter().flatten();
                owners
                    .filter(|owner| **owner != act.manager)
                    .map(|owner| (owner.clone(), place.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        if !conflicts.is_empty() && !act.force {
            return Err(conflicts);
        }
        let held: Vec<Place> = self
            .owners
            .iter()
            .filter(|(place, owners)| owners.contains(&act.manager) && !wanted.contains_key(*place))
            .map(|(place, _)| place.clone())
            .collect();
        for place in held {
            let Some(owners) = self.owners.get_mut(&place) else {
                continue;
            };
            owners.remove(&act.manager);
            if owners.is_empty() {
                self.drop_leaf(&place);
            }
        }
        for (place, value) in wanted {
            if self.leaves.get(place) == Some(value) {
                let owners = self.owners.entry(place.clone()).or_default();
                owners.insert(act.manager.clone());
            } else {
                self.set(place, value.clone(), &act.manager);
            }
        }
        Ok(())
    }

    fn set(&mut self, place: &str, value: String, owner: &Owner) {
        self.leaves.insert(place.to_owned(), value);
        self.owners
            .insert(place.to_owned(), BTreeSet::from([owner.clone()]));
    }

    /// An element takes what is inside with it.
    fn drop_leaf(&mut self, place: &str) {
        let inside = |other: &str| other == place || other.starts_with(&format!("{place}."));
        self.leaves.retain(|other, _| !inside(other));
        self.owners.retain(|other, _| !inside(other));
    }

    fn owned(&self) -> BTreeSet<(Owner, Place)> {
        let pairs = self
            .owners
            .iter()
            .flat_map(|(place, owners)| owners.iter().map(|owner| (owner.clone(), place.clone())));
        pairs.collect()
    }
}

/// The containers are left out: the model does not know them.
fn owned(owners: &Owners) -> BTreeSet<(Owner, Place)> {
    let containers = [".fields", ".labels", ".items", ".tags"];
    let pairs = owners.iter().flat_map(|(manager, set)| {
        let places = set.paths().into_iter().map(|path| path.to_string());
        places
            .map(|place| (manager.clone(), place))
            .collect::<Vec<_>>()
    });
    pairs
        .filter(|(_, place)| !containers.contains(&place.as_str()))
        .collect()
}

fn documents() -> impl Strategy<Value = Document> {
    let number = || prop::option::of(0..3_u8);
    let pairs = || prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), 0..3_u8, 0..3);
    let names = || prop::sample::select(vec!["x", "y", "z"]);
    let items = prop::collection::btree_map(names(), (number(), number()), 0..4);
    let tags = prop::collection::btree_set(names(), 0..3);
    (pairs(), pairs(), items, tags, number()).prop_map(|(fields, labels, items, tags, atom)| {
        Document {
            fields,
            labels,
            items,
            tags,
            atom,
        }
    })
}

fn acts() -> impl Strategy<Value = Act> {
    let manager =
        (prop::sample::select(vec!["one", "two"]), any::<bool>()).prop_map(|(name, applies)| {
            Owner {
                name: name.to_owned(),
                operation: if applies {
                    Operation::Apply
                } else {
                    Operation::Update
                },
                version: String::new(),
                part: String::new(),
            }
        });
    (manager, documents(), any::<bool>()).prop_map(|(manager, document, force)| Act {
        manager,
        document,
        force,
    })
}

proptest! {
    #[test]
    fn histories_end_as_the_model_says(history in prop::collection::vec(acts(), 1..12)) {
        let (mut model, mut live, mut owners) = (Model::default(), json!({}), Owners::new());
        for act in &history {
            let (expected, config) = (model.act(act), act.document.value());
            match act.manager.operation {
                Operation::Update => {
                    let none: &dyn Fn(FieldSet) -> FieldSet = &|set| set;
                    update(schema(), &live, &config, &mut owners, (&act.manager, none)).unwrap();
                    live = config;
                }
                Operation::Apply => {
                    let wish = Wish { config: &config, foreign: &|set| set, force: act.force };
                    match apply(schema(), &live, &mut owners, &act.manager, wish) {
                        Ok(applied) => {
                            prop_assert_eq!(&expected, &Ok(()));
                            live = applied;
                        }
                        Err(Refusal::Conflicts(found)) => {
                            let found = found.into_iter().map(|one| (one.manager, one.path.to_string()));
                            prop_assert_eq!(&expected, &Err(found.collect()));
                        }
                        Err(Refusal::Malformed(fault)) => prop_assert!(false, "{fault}"),
                    }
                }
            }
            prop_assert_eq!(leaves(&live), model.leaves.clone());
            prop_assert_eq!(owned(&owners), model.owned());
        }
    }

    #[test]
    fn an_applied_wish_is_there_and_a_second_time_changes_nothing(live in documents(), config in documents()) {
        let (live, config) = (live.value(), config.value());
        let manager = super::applier("one");
        let mut owners = Owners::new();
        let wish = super::wish(&config, true);
        let once = apply(schema(), &live, &mut owners, &manager, wish).unwrap();
        let (there, wanted) = (leaves(&once), leaves(&config));
        prop_assert!(wanted.iter().all(|(place, value)| there.get(place) == Some(value)));
        let before = owners.clone();
        prop_assert_eq!(apply(schema(), &once, &mut owners, &manager, wish).unwrap(), once);
        prop_assert_eq!(owners, before);
    }

    #[test]
    fn written_sets_are_read_again(document in documents()) {
        let set = field_set(schema(), &document.value()).unwrap();
        prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()), Some(set));
    }
}
