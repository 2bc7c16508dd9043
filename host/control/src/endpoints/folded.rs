//! How mirrors keep Endpoints and EndpointSlices: each endpoint as text. A tree of values costs over a kilobyte for each map of an endpoint,
//! and there are two lists with an endpoint for each pod, which only this controller reads, and only when something changes. Pure.

use osier_api::Object;
use serde_json::Value;

/// Lists of endpoints in a subset of an Endpoints.
const LISTS: [&str; 2] = ["addresses", "notReadyAddresses"];

/// Turns the endpoints of either kind into text.
pub(crate) fn fold(object: &mut Object) {
    each_list(object, |entry| {
        if entry.is_object() {
            *entry = entry.to_string().into();
        }
    });
}

/// The object as the API has it.
pub(super) fn unfold(object: &Object) -> Object {
    let mut whole = object.clone();
    each_list(&mut whole, |entry| {
        let read = entry
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        if let Some(read) = read {
            *entry = read;
        }
    });
    whole
}

fn each_list(object: &mut Object, change: impl Fn(&mut Value)) {
    let map = object.as_map_mut();
    let own = map.get_mut("endpoints").into_iter();
    for entry in own.filter_map(Value::as_array_mut).flatten() {
        change(entry);
    }
    let subsets = map.get_mut("subsets").and_then(Value::as_array_mut);
    for subset in subsets.into_iter().flatten() {
        for list in LISTS {
            let entries = subset.get_mut(list).and_then(Value::as_array_mut);
            entries.into_iter().flatten().for_each(&change);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_folded_is_unfolded() {
        let target = json!({"kind": "Pod", "name": "a"});
        let slice = json!({"metadata": {"name": "web"}, "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": target}, {"addresses": ["10.0.0.2"]}]});
        let endpoints = json!({"metadata": {"name": "web"}, "subsets": [
            {"addresses": [{"ip": "10.0.0.1", "targetRef": target}], "ports": [{"port": 80}]},
            {"notReadyAddresses": [{"ip": "10.0.0.2"}]}]});
        for whole in [slice, endpoints, json!({"metadata": {"name": "none"}})] {
            let whole = Object::from_value(whole).unwrap();
            let mut folded = whole.clone();
            fold(&mut folded);
            assert!(
                !Value::Object(folded.as_map_mut().clone())
                    .to_string()
                    .contains(r#""targetRef":{"#)
            );
            assert_eq!(unfold(&folded), whole);
        }
    }
}
