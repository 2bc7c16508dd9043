//! The conditions of a delegating entry and of its delegate's, as one list: pairs of which both can hold. Pure.

use serde_json::{Map, Value};

/// Conditions that hold a text.
const TEXTS: [&str; 4] = ["uri", "scheme", "method", "authority"];

/// Conditions that hold a map of texts.
const MAPS: [&str; 3] = ["headers", "withoutHeaders", "queryParams"];

/// Every pair of conditions that do not contradict each other, merged. `None` if there are conditions and no pair is left: a list
/// without conditions would match everything.
pub(super) fn merge(roots: &[Value], leaves: &[Value]) -> Option<Vec<Value>> {
    if leaves.is_empty() || roots.is_empty() {
        return Some([roots, leaves].concat());
    }
    let pairs = leaves
        .iter()
        .flat_map(|leaf| roots.iter().map(move |root| (root, leaf)));
    let both: Vec<Value> = pairs.filter_map(|(root, leaf)| pair(root, leaf)).collect();
    (!both.is_empty()).then_some(both)
}

fn pair(root: &Value, leaf: &Value) -> Option<Value> {
    let (root, leaf) = (root.as_object()?, leaf.as_object()?);
    if conflicts(root, leaf) {
        return None;
    }
    let mut both = leaf.clone();
    for (key, value) in root {
        match (both.get_mut(key), value) {
            (None, value) => drop(both.insert(key.clone(), value.clone())),
            (Some(Value::Object(own)), Value::Object(more)) if !TEXTS.contains(&key.as_str()) => {
                for (name, value) in more {
                    own.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            (Some(_), _) => {}
        }
    }
    Some(both.into())
}

fn conflicts(root: &Map<String, Value>, leaf: &Map<String, Value>) -> bool {
    let texts = TEXTS
        .iter()
        .any(|key| texts_conflict(root.get(*key), leaf.get(*key)));
    let maps = MAPS.iter().any(|key| {
        let names = leaf
            .get(*key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let of_root = |name: &str| root.get(*key).and_then(|map| map.get(name));
        names
            .into_iter()
            .any(|(name, value)| texts_conflict(of_root(name), Some(value)))
    });
    texts || maps || ignores_case(root) != ignores_case(leaf) || sources_conflict(root, leaf)
}

fn ignores_case(condition: &Map<String, Value>) -> bool {
    condition.get("ignoreUriCase").and_then(Value::as_bool) == Some(true)
}

fn sources_conflict(root: &Map<String, Value>, leaf: &Map<String, Value>) -> bool {
    let differ = |key: &str| match (root.get(key), leaf.get(key)) {
        (Some(root), Some(leaf)) => root != leaf,
        _ => false,
    };
    let labels = leaf.get("sourceLabels").and_then(Value::as_object);
    let of_root = |name: &str| root.get("sourceLabels").and_then(|labels| labels.get(name));
    let label_differs =
        |(name, value): (&String, &Value)| of_root(name).is_some_and(|wanted| wanted != value);
    let list = |map: &Map<String, Value>| map.get("gateways").and_then(Value::as_array).cloned();
    let gateways = match (list(root), list(leaf)) {
        (Some(root), Some(leaf)) if !root.is_empty() => {
            leaf.iter().any(|gateway| !root.contains(gateway))
        }
        _ => false,
    };
    differ("port")
        || differ("sourceNamespace")
        || labels.into_iter().flatten().any(label_differs)
        || gateways
}

/// Whether no text can satisfy both, or it cannot be told: expressions stand alone, and a delegate narrows.
fn texts_conflict(root: Option<&Value>, leaf: Option<&Value>) -> bool {
    let (Some(root), Some(leaf)) = (root, leaf) else {
        return false;
    };
    let text =
        |value: &Value, kind: &str| value.get(kind).and_then(Value::as_str).map(str::to_owned);
    let kinds = |value: &Value| ["exact", "prefix", "regex"].map(|kind| text(value, kind));
    match (kinds(root), kinds(leaf)) {
        // A condition without a text asks for presence.
        ([None, None, None], _) | (_, [None, None, None]) => false,
        ([Some(root), ..], [Some(leaf), ..]) => root != leaf,
        ([None, Some(root), None], [Some(leaf), ..] | [None, Some(leaf), None]) => {
            !leaf.starts_with(&root)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn both(root: Value, leaf: Value) -> Option<Value> {
        merge(&[root], &[leaf]).and_then(|mut list| list.pop())
    }

    #[test]
    fn a_delegate_narrows() {
        let root = json!({"uri": {"prefix": "/a"}, "headers": {"x": {"exact": "1"}}});
        let leaf = json!({"uri": {"prefix": "/a/b"}, "headers": {"y": {"exact": "2"}}});
        let wanted = json!({"uri": {"prefix": "/a/b"}, "headers": {"x": {"exact": "1"}, "y": {"exact": "2"}}});
        assert_eq!(both(root, leaf), Some(wanted));
        assert_eq!(
            both(
                json!({"uri": {"prefix": "/a"}}),
                json!({"method": {"exact": "GET"}})
            ),
            Some(json!({"uri": {"prefix": "/a"}, "method": {"exact": "GET"}}))
        );
        let exact = json!({"uri": {"exact": "/a/c"}});
        assert_eq!(
            both(json!({"uri": {"prefix": "/a"}}), exact.clone()),
            Some(exact)
        );
    }

    #[test]
    fn contradictions_are_dropped() {
        for (root, leaf) in [
            (
                json!({"uri": {"prefix": "/a"}}),
                json!({"uri": {"prefix": "/b"}}),
            ),
            (
                json!({"uri": {"exact": "/a"}}),
                json!({"uri": {"prefix": "/a"}}),
            ),
            (
                json!({"uri": {"regex": "/a.*"}}),
                json!({"uri": {"prefix": "/a"}}),
            ),
            (
                json!({"headers": {"x": {"exact": "1"}}}),
                json!({"headers": {"x": {"exact": "2"}}}),
            ),
            (json!({"port": 80}), json!({"port": 81})),
            (
                json!({"sourceLabels": {"app": "a"}}),
                json!({"sourceLabels": {"app": "b"}}),
            ),
            (json!({"gateways": ["a"]}), json!({"gateways": ["a", "b"]})),
            (json!({"ignoreUriCase": true}), json!({})),
        ] {
            assert_eq!(both(root.clone(), leaf.clone()), None, "{root} {leaf}");
        }
    }

    #[test]
    fn each_pair_is_one_condition() {
        let (a, b) = (
            json!({"uri": {"prefix": "/a"}}),
            json!({"uri": {"prefix": "/b"}}),
        );
        let get = json!({"method": {"exact": "GET"}});
        assert_eq!(
            merge(&[a.clone(), b.clone()], &[get]).map(|both| both.len()),
            Some(2)
        );
        assert_eq!(merge(&[], std::slice::from_ref(&a)), Some(vec![a.clone()]));
        assert_eq!(merge(std::slice::from_ref(&a), &[]), Some(vec![a.clone()]));
        assert_eq!(merge(&[a], &[b]), None);
    }
}
