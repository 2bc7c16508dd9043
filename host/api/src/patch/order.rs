//! The order of a merged list: elements that the patch names in the patch's order, the others where they stood.

use serde_json::Value;

/// How elements are recognized: by one field, or whole.
pub(super) struct Keyed<'a> {
    pub(super) key: Option<&'a str>,
}

impl Keyed<'_> {
    fn same(&self, a: &Value, b: &Value) -> bool {
        match self.key {
            Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
            None => a == b,
        }
    }

    pub(super) fn position(&self, list: &[Value], item: &Value) -> Option<usize> {
        list.iter().position(|candidate| self.same(candidate, item))
    }
}

/// Arranges `merged`: elements listed in `wanted` follow it; the rest keep their order in `server` and are put before
/// the first wanted element that stood after them there.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let keyed = Keyed { key };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| keyed.position(wanted, item).is_some());
    named.sort_by_key(|item| keyed.position(wanted, item));
    others.sort_by_key(|item| keyed.position(server, item));
    interleave(others, named, server, &keyed)
}

fn interleave(
    others: Vec<Value>,
    named: Vec<Value>,
    server: &[Value],
    keyed: &Keyed<'_>,
) -> Vec<Value> {
    let mut result = Vec::with_capacity(others.len() + named.len());
    let mut others = others.into_iter().peekable();
    let mut named = named.into_iter().peekable();
    while let (Some(other), Some(name)) = (others.peek(), named.peek()) {
        let places = keyed
            .position(server, other)
            .zip(keyed.position(server, name));
        let first = if places.is_some_and(|(other, name)| other < name) {
            others.next()
        } else {
            named.next()
        };
        result.extend(first);
    }
    result.extend(others);
    result.extend(named);
    result
}
