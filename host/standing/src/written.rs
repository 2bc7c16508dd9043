//! Whether writing a status would say anything new of an object.

use serde_json::{Value, json};

/// Writing `wanted` would say nothing new of what is seen.
#[must_use]
pub fn covers(current: Option<&Value>, wanted: &Value, seen: fn(&Value) -> Value) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    fields.into_iter().all(|(key, value)| {
        let now = current
            .and_then(|current| current.get(key))
            .unwrap_or(&Value::Null);
        match (key.as_str(), value) {
            // Of a policy each node writes its own, by name.
            ("nodes", Value::Object(own)) => own
                .iter()
                .all(|(node, value)| whole(&json!([now[node]])) == whole(&json!([value]))),
            ("nodes", _) => seen(now) == seen(value),
            _ => now == value,
        }
    })
}

/// Nodes without what is not there.
#[must_use]
pub fn whole(nodes: &Value) -> Value {
    let mut nodes = nodes.clone();
    let all = nodes.as_array_mut().into_iter().flatten();
    for node in all.filter_map(Value::as_object_mut) {
        node.retain(|_, value| !value.is_null());
    }
    nodes
}

/// The same, however often the plugin was called.
#[must_use]
pub fn without_calls(nodes: &Value) -> Value {
    let mut nodes = whole(nodes);
    let all = nodes.as_array_mut().into_iter().flatten();
    for node in all.filter_map(Value::as_object_mut) {
        for counted in ["calls", "cpuMillis"] {
            node.remove(counted);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_alone_are_seldom_news_and_what_others_wrote_is_theirs() {
        let counted = |calls: u64| json!({"nodes": [{"node": "a", "calls": calls}]});
        assert!(covers(Some(&counted(1)), &counted(2), without_calls));
        assert!(!covers(Some(&counted(1)), &counted(2), whole));
        // Of policies, what others wrote is theirs.
        let mine = json!({"nodes": {"a": {"state": "InForce", "message": null}, "gone": null}});
        let all = json!({"nodes": {"a": {"state": "InForce"}, "b": {"state": "PluginLoading"}}});
        assert!(covers(Some(&all), &mine, whole));
        assert!(!covers(Some(&json!({"nodes": {"gone": {}}})), &mine, whole));
    }
}
