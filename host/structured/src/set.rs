//! [`FieldSet`]: a set of places in a document, as a tree.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::{Path, Step};

/// The key of a FieldsV1 document that says that the place itself is in the set.
const SELF: &str = ".";

/// A set of places. Containers and what is inside them are members independently of each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet(BTreeMap<Step, Node>);

/// Never neither a member nor with something below.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a place in; the empty path is no place.
    pub fn insert(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.0.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Puts what is below a step in, and the step itself if it is a member.
    pub(super) fn attach(&mut self, step: Step, member: bool, below: FieldSet) {
        if member || !below.is_empty() {
            let node = self.0.entry(step).or_default();
            node.member |= member;
            node.below = std::mem::take(&mut node.below).union(below);
        }
    }

    /// Whether a step of the root is a member.
    pub fn has(&self, step: &Step) -> bool {
        self.0.get(step).is_some_and(|node| node.member)
    }

    /// Whether a place is in the set.
    pub fn contains(&self, path: &[Step]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|set| set.contains(rest)),
        }
    }

    /// What is in the set below a step of the root; `None` if nothing is.
    pub fn below(&self, step: &Step) -> Option<&FieldSet> {
        let below = self.0.get(step).map(|node| &node.below);
        below.filter(|set| !set.is_empty())
    }

    /// What is in either set.
    #[must_use]
    pub fn union(mut self, other: FieldSet) -> FieldSet {
        for (step, node) in other.0 {
            self.attach(step, node.member, node.below);
        }
        self
    }

    /// What is in this set but not in the other.
    #[must_use]
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut rest = FieldSet::default();
        for (step, node) in &self.0 {
            match other.0.get(step) {
                None => rest.attach(step.clone(), node.member, node.below.clone()),
                Some(taken) => rest.attach(
                    step.clone(),
                    node.member && !taken.member,
                    node.below.difference(&taken.below),
                ),
            }
        }
        rest
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut shared = FieldSet::default();
        for (step, node) in &self.0 {
            if let Some(twin) = other.0.get(step) {
                let below = node.below.intersection(&twin.below);
                shared.attach(step.clone(), node.member && twin.member, below);
            }
        }
        shared
    }

    /// The set without a field of the root and all that is below it.
    #[must_use]
    pub fn without_field(mut self, name: &str) -> FieldSet {
        self.0.remove(&Step::field(name));
        self
    }

    /// The set with only a field of the root and what is below it.
    #[must_use]
    pub fn only_field(mut self, name: &str) -> FieldSet {
        self.0
            .retain(|step, _| matches!(step, Step::Field(field) if **field == *name));
        self
    }

    /// Every step of the root, whether it is a member, and what is below.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Step, bool, &FieldSet)> {
        self.0
            .iter()
            .map(|(step, node)| (step, node.member, &node.below))
    }

    /// Every place, sorted, a container before what is inside.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Vec<Step>, found: &mut Vec<Path>) {
        for (step, node) in &self.0 {
            prefix.push(step.clone());
            if node.member {
                found.push(Path(prefix.clone()));
            }
            node.below.collect(prefix, found);
            prefix.pop();
        }
    }

    /// The set as a FieldsV1 document, as `metadata.managedFields` holds it.
    pub fn to_fields_v1(&self) -> Value {
        let mut document = Map::new();
        for (step, node) in &self.0 {
            let mut inner = node.below.to_fields_v1();
            if let Some(map) = inner.as_object_mut().filter(|map| !map.is_empty())
                && node.member
            {
                map.insert(SELF.to_owned(), Value::Object(Map::new()));
            }
            document.insert(step.written(), inner);
        }
        Value::Object(document)
    }

    /// Reads a FieldsV1 document; `None` if it is not one.
    pub fn from_fields_v1(document: &Value) -> Option<FieldSet> {
        let mut set = FieldSet::default();
        for (name, inner) in document.as_object()? {
            let map = inner.as_object()?;
            if name == SELF {
                continue;
            }
            let member = map.is_empty() || map.contains_key(SELF);
            set.attach(Step::parse(name)?, member, Self::from_fields_v1(inner)?);
        }
        Some(set)
    }
}
