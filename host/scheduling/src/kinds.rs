//! Pods that are alike to their neighbours, counted by node: the pods of a Deployment are one kind, so that a decision looks at kinds
//! and not at pods. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use osier_api::Object;
use osier_api::selector::Labels;
use serde_json::{Value, json};

use crate::terms::{Affinity, Namespaces, Term};

/// What tells kinds apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// `podAffinity` and `podAntiAffinity` as JSON; empty without both.
    affinity: String,
    /// It is being deleted: spreading does not count it any more.
    pub(crate) leaving: bool,
}

/// Pods that are alike.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) key: Key,
    pub(crate) affinity: Affinity,
    /// How many of them each node has, by its number; none is not listed.
    pub(crate) on: HashMap<usize, u32>,
    /// How many refer to it, whether they count at present or not.
    members: usize,
}

/// All kinds, by number.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    slots: Vec<Option<Kind>>,
    free: Vec<usize>,
    numbers: HashMap<Key, usize>,
    by_namespace: HashMap<String, BTreeSet<usize>>,
    /// Those that keep other pods away.
    guarded: BTreeSet<usize>,
    /// Those that other pods gain or lose by.
    returning: BTreeSet<usize>,
}

impl Kind {
    pub(crate) fn labels(&self) -> Labels<'_> {
        let labels = self.key.labels.iter();
        labels.map(|(key, value)| (&**key, &**value)).collect()
    }

    fn of(key: Key) -> Self {
        let spec = match key.affinity.as_str() {
            "" => Value::Null,
            text => json!({"affinity": serde_json::from_str::<Value>(text).unwrap_or_default()}),
        };
        let labels = key.labels.iter().map(|(key, value)| (&**key, &**value));
        let affinity = Affinity::of(&spec, &key.namespace, &labels.collect());
        Self {
            affinity,
            key,
            on: HashMap::new(),
            members: 0,
        }
    }
}

impl Key {
    pub(crate) fn of(pod: &Object) -> Self {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut affinity = serde_json::Map::new();
        for field in ["podAffinity", "podAntiAffinity"] {
            let written = pod.get(&["spec", "affinity", field]);
            if let Some(written) = written.filter(|written| written.is_object()) {
                affinity.insert(field.to_owned(), written.clone());
            }
        }
        let affinity = match affinity.is_empty() {
            true => String::new(),
            false => Value::Object(affinity).to_string(),
        };
        Self {
            namespace: pod.namespace().to_owned(),
            labels: pod.labels().into_iter().map(owned).collect(),
            affinity,
            leaving: pod.deletion_timestamp().is_some(),
        }
    }
}

impl Kinds {
    pub(crate) fn get(&self, number: usize) -> Option<&Kind> {
        self.slots.get(number)?.as_ref()
    }

    /// A pod of the kind stands on a node; the number of the kind.
    pub(crate) fn join(&mut self, key: Key, node: usize) -> usize {
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None => self.insert(key),
        };
        if let Some(Some(kind)) = self.slots.get_mut(number) {
            kind.members += 1;
        }
        self.count(number, node);
        number
    }

    /// A pod of the kind is gone from a node.
    pub(crate) fn leave(&mut self, number: usize, node: usize) {
        self.discount(number, node);
        let Some(Some(kind)) = self.slots.get_mut(number) else {
            return;
        };
        kind.members = kind.members.saturating_sub(1);
        if kind.members == 0 {
            self.remove(number);
        }
    }

    /// One more counts on the node.
    pub(crate) fn count(&mut self, number: usize, node: usize) {
        if let Some(Some(kind)) = self.slots.get_mut(number) {
            *kind.on.entry(node).or_default() += 1;
        }
    }

    /// One less counts on the node, which still refers to the kind.
    pub(crate) fn discount(&mut self, number: usize, node: usize) {
        if let Some(Some(kind)) = self.slots.get_mut(number)
            && let Some(count) = kind.on.get_mut(&node)
        {
            *count -= 1;
            if *count == 0 {
                kind.on.remove(&node);
            }
        }
    }

    fn insert(&mut self, key: Key) -> usize {
        let kind = Kind::of(key.clone());
        let (guards, returns) = (
            !kind.affinity.repels.is_empty(),
            kind.affinity.returned().next().is_some(),
        );
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let in_namespace = self.by_namespace.entry(key.namespace.clone());
        in_namespace.or_default().insert(number);
        self.numbers.insert(key, number);
        if guards {
            self.guarded.insert(number);
        }
        if returns {
            self.returning.insert(number);
        }
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = Some(kind);
        }
        number
    }

    fn remove(&mut self, number: usize) {
        let Some(kind) = self.slots.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.free.push(number);
        self.guarded.remove(&number);
        self.returning.remove(&number);
        if let Some(there) = self.by_namespace.get_mut(&kind.key.namespace) {
            there.remove(&number);
            if there.is_empty() {
                self.by_namespace.remove(&kind.key.namespace);
            }
        }
        self.numbers.remove(&kind.key);
    }

    pub(crate) fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Kind> {
        let numbers = self.by_namespace.get(namespace).into_iter().flatten();
        numbers.filter_map(|number| self.get(*number))
    }

    /// The kinds that a term speaks of.
    pub(crate) fn meant<'a>(
        &'a self,
        term: &'a Term,
        namespaces: &'a Namespaces,
    ) -> impl Iterator<Item = &'a Kind> {
        let there = self.by_namespace.iter();
        there
            .filter(|(namespace, _)| term.speaks_of(namespace, namespaces))
            .flat_map(|(_, numbers)| numbers.iter().filter_map(|number| self.get(*number)))
            .filter(|kind| term.selects(&kind.labels()))
    }

    /// The kinds that keep other pods away.
    pub(crate) fn guarded(&self) -> impl Iterator<Item = &Kind> {
        self.guarded.iter().filter_map(|number| self.get(*number))
    }

    /// The kinds that other pods gain or lose by.
    pub(crate) fn returning(&self) -> impl Iterator<Item = &Kind> {
        self.returning.iter().filter_map(|number| self.get(*number))
    }
}
