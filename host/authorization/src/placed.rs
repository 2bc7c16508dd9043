//! Objects by the places that they concern.

use std::collections::HashMap;

use crate::concern::Concern;
use crate::facts::Place;

/// Objects, by namespace.
#[derive(Debug)]
pub struct Placed<T> {
    root: Box<str>,
    by_namespace: HashMap<Box<str>, Vec<(Concern, T)>>,
}

impl<T> Default for Placed<T> {
    fn default() -> Self {
        Self::new([], "")
    }
}

impl<T> Placed<T> {
    /// These objects, in a mesh with this root namespace. Those of one namespace keep their order.
    pub fn new(all: impl IntoIterator<Item = (Concern, T)>, root: &str) -> Self {
        let mut by_namespace: HashMap<Box<str>, Vec<(Concern, T)>> = HashMap::new();
        for (concern, one) in all {
            let of_namespace = by_namespace.entry(concern.namespace().into()).or_default();
            of_namespace.push((concern, one));
        }
        Self {
            root: root.into(),
            by_namespace,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    /// Those that concern a place: of the root namespace, and of its own.
    pub fn concerning<'a>(&'a self, place: &'a Place<'a>) -> impl Iterator<Item = &'a T> {
        let mut namespaces: Vec<&str> = vec![&self.root];
        match place {
            Place::Workload { namespace, .. } => namespaces.push(namespace),
            Place::Gateway(gateways) => {
                let of = gateways.iter().filter_map(|name| name.split_once('/'));
                namespaces.extend(of.map(|(namespace, _)| namespace));
            }
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        let all = namespaces.into_iter();
        let all = all.filter_map(move |namespace| self.by_namespace.get(namespace));
        all.flatten()
            .filter(move |(concern, _)| concern.holds(place, &self.root))
            .map(|(_, one)| one)
    }
}
