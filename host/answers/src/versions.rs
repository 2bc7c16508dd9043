//! The same object in another version of its kind. Most versions differ in their name only; here are those that differ in
//! fields, and those that are served for old clients and no longer upstream.

use osier_api::{Object, Resource};
use osier_autoscaling::versions as autoscaling;
use serde_json::{Map, Value};

const EVENTS: &str = "events.k8s.io/v1";
const SLICES: &str = "discovery.k8s.io/v1beta1";

/// What fields of events are called in the core group, and in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Where the first version of slices says what became fields, and the fields.
const PLACES: [(&str, &str); 2] = [
    ("kubernetes.io/hostname", "nodeName"),
    ("topology.kubernetes.io/zone", "zone"),
];

/// Versions that clients before 1.21 or 1.23 speak: the kind, its version, the releases that call it old and lack it, and the
/// version to use.
const OLD: [(&str, &str, [&str; 3]); 4] = [
    ("CronJob", "batch/v1beta1", ["v1.21", "v1.25", "batch/v1"]),
    (
        "PodDisruptionBudget",
        "policy/v1beta1",
        ["v1.21", "v1.25", "policy/v1"],
    ),
    (
        "EndpointSlice",
        SLICES,
        ["v1.21", "v1.25", "discovery.k8s.io/v1"],
    ),
    (
        "HorizontalPodAutoscaler",
        "autoscaling/v2beta2",
        ["v1.23", "v1.26", "autoscaling/v2"],
    ),
];

/// The words of a warning to who speaks a version of our kinds that upstream no longer serves.
#[must_use]
pub fn deprecation(resource: &Resource, version: &str) -> Option<String> {
    let (kind, version) = (resource.kind, resource.api_version(version));
    let mut old = OLD.iter();
    let found = old.find(|(one, name, _)| *one == kind && *name == version);
    found.map(|(_, _, [since, gone, instead])| {
        format!(
            "{version} {kind} is deprecated in {since}+, unavailable in {gone}+; use {instead} {kind}"
        )
    })
}

/// The object in this version of its kind.
#[must_use]
pub fn in_version(object: Object, api_version: &str) -> Object {
    if object.api_version() == api_version {
        return object;
    }
    let mut object = match object.kind() {
        "HorizontalPodAutoscaler" => autoscaler(object, api_version),
        "Event" => event(object, api_version == EVENTS),
        "EndpointSlice" => slice(object, api_version == SLICES),
        _ => object,
    };
    object.set(&["apiVersion"], api_version.into());
    object
}

/// The fields of the first version are its own; all others have the same.
fn autoscaler(object: Object, api_version: &str) -> Object {
    match (object.api_version(), api_version) {
        (_, autoscaling::V1) => autoscaling::to_v1(object),
        (autoscaling::V1, _) => autoscaling::to_v2(object),
        _ => object,
    }
}

fn event(mut object: Object, named: bool) -> Object {
    for (core, other) in EVENT_FIELDS {
        let (from, to) = if named { (core, other) } else { (other, core) };
        if let Some(value) = object.remove(&[from]) {
            object.set(&[to], value);
        }
    }
    if named && object.get(&["eventTime"]).is_none() {
        object.set(&["eventTime"], Value::Null);
    }
    object
}

fn slice(mut object: Object, first: bool) -> Object {
    let endpoints = object.as_map_mut().get_mut("endpoints");
    let endpoints = endpoints.and_then(Value::as_array_mut);
    for endpoint in endpoints
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if first {
            to_topology(endpoint);
        } else {
            from_topology(endpoint);
        }
    }
    object
}

fn to_topology(endpoint: &mut Map<String, Value>) {
    let kept = endpoint.remove("deprecatedTopology");
    let mut topology = match kept {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for (key, field) in PLACES {
        if let Some(value) = endpoint.get(field) {
            topology.insert(key.to_owned(), value.clone());
        }
    }
    endpoint.remove("zone");
    if !topology.is_empty() {
        endpoint.insert("topology".to_owned(), topology.into());
    }
}

fn from_topology(endpoint: &mut Map<String, Value>) {
    let Some(Value::Object(mut topology)) = endpoint.remove("topology") else {
        return;
    };
    for (key, field) in PLACES {
        if let Some(value) = topology.remove(key) {
            endpoint.entry(field).or_insert(value);
        }
    }
    if !topology.is_empty() {
        endpoint.insert("deprecatedTopology".to_owned(), topology.into());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn there_and_back(stored: Value, version: &str) -> Value {
        let stored = Object::from_value(stored).unwrap();
        let other = in_version(stored.clone(), version);
        assert_eq!(other.api_version(), version);
        assert_eq!(in_version(other.clone(), stored.api_version()), stored);
        other.into_value()
    }

    #[test]
    fn an_event_has_two_shapes() {
        let other = there_and_back(
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z",
                "involvedObject": {"kind": "Pod", "name": "p"}, "message": "m", "reason": "R", "type": "Normal", "count": 2,
                "source": {"component": "c"}, "lastTimestamp": "2026-01-01T00:00:00Z", "reportingComponent": "c"}),
            EVENTS,
        );
        assert_eq!(other["regarding"]["name"], "p");
        assert_eq!(
            (&other["note"], &other["reason"]),
            (&json!("m"), &json!("R"))
        );
        assert_eq!(other["deprecatedSource"]["component"], "c");
        assert_eq!(other["reportingController"], "c");
        assert!(other.get("message").is_none());
    }

    #[test]
    fn a_slice_says_in_its_first_version_by_topology_where_endpoints_are() {
        let other = there_and_back(
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"},
                "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n", "zone": "z", "deprecatedTopology": {"a": "b"}}]}),
            SLICES,
        );
        let topology = &other["endpoints"][0]["topology"];
        assert_eq!(topology["kubernetes.io/hostname"], "n");
        assert_eq!(
            (&topology["topology.kubernetes.io/zone"], &topology["a"]),
            (&json!("z"), &json!("b"))
        );
    }

    #[test]
    fn versions_of_the_same_fields_differ_in_name() {
        let job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "* * * * *"}});
        let other = there_and_back(job.clone(), "batch/v1beta1");
        assert_eq!(other["spec"], job["spec"]);
    }
}
