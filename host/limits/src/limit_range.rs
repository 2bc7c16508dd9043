//! LimitRange: what pods and claims of a namespace get if they do not say, and what they may ask for.
//!
//! Upstream's admission plugin `LimitRanger` with its words
//! (<https://kubernetes.io/docs/concepts/policy/limit-range/>).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use osier_api::{Object, quantity};

/// Where it is written which values were put in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const LISTS: [&str; 2] = ["initContainers", "containers"];

/// Puts the default requests and limits of every range into the containers of a new pod.
pub fn apply_defaults(ranges: &[Object], pod: &mut Object) {
    let mut notes = Vec::new();
    for range in ranges {
        for item in items(range, "Container") {
            for list in LISTS {
                let containers = pod
                    .as_map_mut()
                    .get_mut("spec")
                    .and_then(|spec| spec.get_mut(list));
                let containers = containers.and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    fill(item, container, list, &mut notes);
                }
            }
        }
    }
    if !notes.is_empty() {
        let words = format!("LimitRanger plugin set: {}", notes.join("; "));
        pod.set(&["metadata", "annotations", ANNOTATION], json!(words));
    }
}

fn items<'a>(range: &'a Object, kind: &str) -> impl Iterator<Item = &'a Value> {
    let limits = range.get(&["spec", "limits"]).and_then(Value::as_array);
    let limits = limits.into_iter().flatten();
    limits.filter(move |item| item["type"] == *kind)
}

fn fill(item: &Value, container: &mut Value, list: &str, notes: &mut Vec<String>) {
    let name = container["name"].as_str().unwrap_or("").to_owned();
    let what = if list == "containers" {
        "container"
    } else {
        "init container"
    };
    for (part, source) in [("requests", "defaultRequest"), ("limits", "default")] {
        let Some(defaults) = item[source].as_object() else {
            continue;
        };
        let mut set = Vec::new();
        for (resource, amount) in defaults {
            // Who asks for a limit asks for as much at least, so a default request would only be in its way.
            let limited =
                part == "requests" && container["resources"]["limits"].get(resource).is_some();
            if container["resources"][part].get(resource).is_none() && !limited {
                container["resources"][part][resource] = amount.clone();
                set.push(resource.as_str());
            }
        }
        if !set.is_empty() {
            let part = part.trim_end_matches('s');
            notes.push(format!("{} {part} for {what} {name}", set.join(", ")));
        }
    }
}

/// Every way in which a pod breaks a range.
pub fn check_pod(ranges: &[Object], pod: &Object) -> Vec<String> {
    let mut faults = Vec::new();
    let lists = LISTS.map(|list| pod.get(&["spec", list]).and_then(Value::as_array));
    for range in ranges {
        for item in items(range, "Container") {
            for container in lists.iter().flatten().flat_map(|list| list.iter()) {
                check(item, "Container", &container["resources"], &mut faults);
            }
        }
        for item in items(range, "Pod") {
            check(item, "Pod", &totals(lists), &mut faults);
        }
    }
    faults
}

/// Every way in which a claim breaks a range.
pub fn check_claim(ranges: &[Object], claim: &Object) -> Vec<String> {
    let mut faults = Vec::new();
    let resources = claim.get(&["spec", "resources"]).cloned();
    let resources = resources.unwrap_or_default();
    for item in ranges
        .iter()
        .flat_map(|range| items(range, "PersistentVolumeClaim"))
    {
        check(item, "PersistentVolumeClaim", &resources, &mut faults);
    }
    faults
}

/// What a pod asks for: the sum of its containers, or the largest init container if that is more.
fn totals(lists: [Option<&Vec<Value>>; 2]) -> Value {
    let [first, main] = lists;
    let mut totals = json!({"requests": {}, "limits": {}});
    for part in ["requests", "limits"] {
        let amounts = |list: Option<&Vec<Value>>, join: fn(&str, &str) -> String| {
            let mut all = Map::new();
            for container in list.into_iter().flatten() {
                for (name, amount) in container["resources"][part]
                    .as_object()
                    .into_iter()
                    .flatten()
                {
                    let amount = amount.as_str().unwrap_or("0");
                    let joined = match all.get(name).and_then(Value::as_str) {
                        Some(before) => join(before, amount),
                        None => amount.to_owned(),
                    };
                    all.insert(name.clone(), json!(joined));
                }
            }
            all
        };
        let mut sums = amounts(main, quantity::add);
        for (name, amount) in amounts(first, larger) {
            let most = match sums.get(&name).and_then(Value::as_str) {
                Some(sum) => larger(sum, amount.as_str().unwrap_or("0")),
                None => amount.as_str().unwrap_or("0").to_owned(),
            };
            sums.insert(name, json!(most));
        }
        totals[part] = Value::Object(sums);
    }
    totals
}

fn larger(a: &str, b: &str) -> String {
    match quantity::compare(a, b) {
        Ok(Ordering::Less) => b.to_owned(),
        _ => a.to_owned(),
    }
}

fn check(item: &Value, kind: &str, resources: &Value, faults: &mut Vec<String>) {
    let (requests, limits) = (&resources["requests"], &resources["limits"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (name, least) in pairs(&item["min"]) {
        match text(&requests[name]).or_else(|| text(&limits[name])) {
            None => faults.push(format!(
                "minimum {name} usage per {kind} is {least}. No request is specified"
            )),
            Some(asked) if above(&least, &asked) => faults.push(format!(
                "minimum {name} usage per {kind} is {least}, but request is {asked}"
            )),
            Some(_) => {}
        }
        if let Some(limit) = text(&limits[name]).filter(|limit| above(&least, limit)) {
            faults.push(format!(
                "minimum {name} usage per {kind} is {least}, but limit is {limit}"
            ));
        }
    }
    for (name, most) in pairs(&item["max"]) {
        let asked = if kind == "PersistentVolumeClaim" {
            text(&requests[name])
        } else {
            text(&limits[name])
        };
        match asked {
            None => faults.push(format!(
                "maximum {name} usage per {kind} is {most}. No limit is specified"
            )),
            Some(limit) if above(&limit, &most) => faults.push(format!(
                "maximum {name} usage per {kind} is {most}, but limit is {limit}"
            )),
            Some(_) => {}
        }
        if let Some(request) = text(&requests[name])
            .filter(|request| kind != "PersistentVolumeClaim" && above(request, &most))
        {
            faults.push(format!(
                "maximum {name} usage per {kind} is {most}, but request is {request}"
            ));
        }
    }
    for (name, ratio) in pairs(&item["maxLimitRequestRatio"]) {
        let both = text(&requests[name]).zip(text(&limits[name]));
        match both {
            None => faults.push(format!(
                "{name} max limit to request ratio per {kind} is {ratio}, but no request is specified or request is 0"
            )),
            Some((request, limit)) => {
                if let Some(is) = quantity::ratio(&limit, &request)
                    && quantity::ratio(&ratio, "1").is_some_and(|most| is > most)
                {
                    faults.push(format!(
                        "{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {is:.6}"
                    ));
                }
            }
        }
    }
}

fn above(a: &str, b: &str) -> bool {
    quantity::compare(a, b) == Ok(Ordering::Greater)
}

fn pairs(map: &Value) -> Vec<(&str, String)> {
    let map = map.as_object().into_iter().flatten();
    map.filter_map(|(name, amount)| Some((name.as_str(), amount.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn range(limits: Value) -> Object {
        Object::from_value(json!({"kind": "LimitRange", "spec": {"limits": limits}})).unwrap()
    }

    fn pod(containers: Value) -> Object {
        Object::from_value(
            json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}),
        )
        .unwrap()
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let ranges = [range(
            json!([{"type": "Container", "default": {"cpu": "1", "memory": "64Mi"}, "defaultRequest": {"cpu": "500m", "memory": "32Mi"}}]),
        )];
        let mut given =
            pod(json!([{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "2"}}}]));
        apply_defaults(&ranges, &mut given);
        let containers = given.get(&["spec", "containers"]).unwrap();
        assert_eq!(
            containers[0]["resources"],
            json!({"requests": {"cpu": "500m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}})
        );
        assert_eq!(
            containers[1]["resources"]["limits"],
            json!({"cpu": "2", "memory": "64Mi"})
        );
        assert_eq!(containers[1]["resources"]["requests"].get("cpu"), None);
        assert_eq!(
            given.annotation(ANNOTATION),
            Some(
                "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; memory request for container b; memory limit for container b"
            )
        );
    }

    #[test]
    fn what_is_too_much_or_too_little_is_named() {
        let ranges = [range(json!([
            {"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "Pod", "max": {"cpu": "1500m"}},
        ]))];
        let container = |request: &str, limit: &str| json!({"name": "c", "resources": {"requests": {"cpu": request}, "limits": {"cpu": limit}}});
        assert_eq!(
            check_pod(&ranges, &pod(json!([container("500m", "1")]))),
            Vec::<String>::new()
        );
        assert_eq!(
            check_pod(&ranges, &pod(json!([container("50m", "100m")]))),
            ["minimum cpu usage per Container is 100m, but request is 50m"]
        );
        assert_eq!(
            check_pod(&ranges, &pod(json!([container("1", "2")]))),
            [
                "maximum cpu usage per Container is 1, but limit is 2",
                "maximum cpu usage per Pod is 1500m, but limit is 2",
            ]
        );
        assert_eq!(
            check_pod(&ranges, &pod(json!([container("200m", "1")]))),
            ["cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000"]
        );
        assert_eq!(
            check_pod(
                &ranges,
                &pod(json!([
                    container("800m", "800m"),
                    container("800m", "800m")
                ]))
            ),
            [
                "maximum cpu usage per Pod is 1500m, but limit is 1600m",
                "maximum cpu usage per Pod is 1500m, but request is 1600m",
            ]
        );
        assert_eq!(check_pod(&ranges, &pod(json!([{"name": "c"}]))).len(), 4);
    }
}
