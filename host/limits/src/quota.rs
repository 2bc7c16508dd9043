//! ResourceQuota: what objects of a namespace count for, and whether another one still fits.
//!
//! Names of what is counted are upstream's (<https://kubernetes.io/docs/concepts/policy/resource-quotas/>): `pods`,
//! `requests.cpu`, `count/RESOURCE.GROUP`...

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use osier_api::{Object, Resource, quantity};

/// Amounts by name.
pub type Usage = BTreeMap<String, String>;

/// Kinds that are counted by their plain plural, as before there was `count/`.
const COUNTED: [&str; 8] = [
    "pods",
    "services",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
    "serviceaccounts",
];

/// What an object counts for. A pod that has ended counts only as an object.
pub fn charge(resource: &Resource, object: &Object) -> Usage {
    let mut usage = Usage::new();
    let mut one = |name: String| drop(usage.insert(name, "1".to_owned()));
    one(format!("count/{}", resource.qualified()));
    let core = resource.group.is_empty();
    let ended = matches!(object.text(&["status", "phase"]), "Succeeded" | "Failed");
    if core && COUNTED.contains(&resource.plural) && !(resource.plural == "pods" && ended) {
        one(resource.plural.to_owned());
    }
    match resource.plural {
        "pods" if core && !ended => charge_pod(object, &mut usage),
        "services" if core => charge_service(object, &mut usage),
        "persistentvolumeclaims" if core => {
            let asked = object.text(&["spec", "resources", "requests", "storage"]);
            add(&mut usage, "requests.storage", asked);
            charge_class((object, asked), &mut usage);
        }
        _ => {}
    }
    usage
}

fn add(usage: &mut Usage, name: &str, amount: &str) {
    if amount.is_empty() {
        return;
    }
    let sum = usage
        .get(name)
        .map_or_else(|| amount.to_owned(), |before| quantity::add(before, amount));
    usage.insert(name.to_owned(), sum);
}

/// What claims of one class may have together has that class before its name.
fn charge_class((claim, asked): (&Object, &str), usage: &mut Usage) {
    let class = claim.text(&["spec", "storageClassName"]);
    if !class.is_empty() {
        let of = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
        add(usage, &of("requests.storage"), asked);
        add(usage, &of("persistentvolumeclaims"), "1");
    }
}

fn charge_pod(pod: &Object, usage: &mut Usage) {
    let containers = pod.get(&["spec", "containers"]).and_then(Value::as_array);
    for container in containers.into_iter().flatten() {
        let resources = &container["resources"];
        for part in ["requests", "limits"] {
            for (name, amount) in resources[part].as_object().into_iter().flatten() {
                let amount = amount.as_str().unwrap_or("");
                add(usage, &format!("{part}.{name}"), amount);
                if part == "requests" {
                    add(usage, name, amount);
                }
            }
        }
    }
}

fn charge_service(service: &Object, usage: &mut Usage) {
    let ports = service.get(&["spec", "ports"]).and_then(Value::as_array);
    let ports = ports.map_or(0, Vec::len).to_string();
    match service.text(&["spec", "type"]) {
        "NodePort" => add(usage, "services.nodeports", &ports),
        "LoadBalancer" => {
            add(usage, "services.loadbalancers", "1");
            add(usage, "services.nodeports", &ports);
        }
        _ => {}
    }
}

/// Whether a quota counts this object: its scopes are about pods.
pub fn counts(quota: &Object, resource: &Resource, object: &Object) -> bool {
    let scopes = quota.get(&["spec", "scopes"]).and_then(Value::as_array);
    let named = scopes.into_iter().flatten().filter_map(Value::as_str);
    let selected = quota
        .get(&["spec", "scopeSelector", "matchExpressions"])
        .and_then(Value::as_array);
    let pod = resource.group.is_empty() && resource.plural == "pods";
    let has = |scope: &str| pod && in_scope(scope, object);
    let mut expressions = selected.into_iter().flatten();
    named.into_iter().all(has) && expressions.all(|one| pod && matches(one, object))
}

fn in_scope(scope: &str, pod: &Object) -> bool {
    let best_effort = pod.text(&["status", "qosClass"]) == "BestEffort";
    let terminating = pod.get(&["spec", "activeDeadlineSeconds"]).is_some();
    match scope {
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "PriorityClass" => !pod.text(&["spec", "priorityClassName"]).is_empty(),
        _ => false,
    }
}

fn matches(expression: &Value, pod: &Object) -> bool {
    let scope = expression["scopeName"].as_str().unwrap_or("");
    let class = pod.text(&["spec", "priorityClassName"]);
    let values = expression["values"].as_array().into_iter().flatten();
    let listed = values.filter_map(Value::as_str).any(|name| name == class);
    match (expression["operator"].as_str(), scope) {
        (Some("In"), "PriorityClass") => listed,
        (Some("NotIn"), "PriorityClass") => !listed,
        (Some("Exists"), scope) => in_scope(scope, pod),
        (Some("DoesNotExist"), scope) => !in_scope(scope, pod),
        _ => false,
    }
}

/// What a quota limits.
pub fn hard(quota: &Object) -> Usage {
    let hard = quota.get(&["spec", "hard"]).and_then(Value::as_object);
    let pairs = hard.into_iter().flatten();
    pairs
        .filter_map(|(name, amount)| Some((name.clone(), amount.as_str()?.to_owned())))
        .collect()
}

/// The sum of usages.
pub fn total<'a>(usages: impl IntoIterator<Item = &'a Usage>) -> Usage {
    let mut sum = Usage::new();
    for (name, amount) in usages.into_iter().flatten() {
        add(&mut sum, name, amount);
    }
    sum
}

/// What a quota knows as used: of all that is used, what it limits.
pub fn used(hard: &Usage, usage: &Usage) -> Usage {
    let amount = |name: &String| usage.get(name).cloned().unwrap_or_else(|| "0".to_owned());
    hard.keys()
        .map(|name| (name.clone(), amount(name)))
        .collect()
}

/// Why something that counts for `wanted` does not fit beside what is used: upstream's words after `exceeded quota: NAME, `.
pub fn exceeded(hard: &Usage, used: &Usage, wanted: &Usage) -> Option<String> {
    let over: Vec<&String> = hard
        .iter()
        .filter(|(name, most)| {
            let Some(more) = wanted.get(*name) else {
                return false;
            };
            let after = used
                .get(*name)
                .map_or_else(|| more.clone(), |before| quantity::add(before, more));
            quantity::compare(&after, most) == Ok(Ordering::Greater)
        })
        .map(|(name, _)| name)
        .collect();
    if over.is_empty() {
        return None;
    }
    let words = |usage: &Usage| {
        let amounts = over.iter().map(|name| {
            let amount = usage.get(*name).map_or("0", String::as_str);
            format!("{name}={amount}")
        });
        amounts.collect::<Vec<_>>().join(",")
    };
    Some(format!(
        "requested: {}, used: {}, limited: {}",
        words(wanted),
        words(used),
        words(hard)
    ))
}

/// What every container of a pod has to say where a quota limits it.
const SAID: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// The amounts that a quota limits and some containers of a pod do not say, in upstream's words: it refuses such a pod.
pub fn unsaid(hard: &Usage, pod: &Object) -> Vec<String> {
    let lists = ["containers", "initContainers"];
    let lists = lists.map(|list| pod.get(&["spec", list]).and_then(Value::as_array));
    let containers: Vec<&Value> = lists.into_iter().flatten().flatten().collect();
    let limited = SAID.iter().filter(|name| hard.contains_key(**name));
    let words = limited.filter_map(|name| {
        let silent = containers.iter().filter(|container| !says(container, name));
        let silent: BTreeSet<&str> = silent.filter_map(|it| it["name"].as_str()).collect();
        let silent = Vec::from_iter(silent).join(",");
        (!silent.is_empty()).then(|| format!("{name} for: {silent}"))
    });
    words.collect()
}

fn says(container: &Value, name: &str) -> bool {
    let (part, amount) = name.split_once('.').unwrap_or(("requests", name));
    container["resources"][part].get(amount).is_some()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use osier_api::resources::{CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES};
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn usage(pairs: &[(&str, &str)]) -> Usage {
        let owned = |(name, amount): &(&str, &str)| ((*name).to_owned(), (*amount).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn objects_count_for_themselves_and_what_they_ask() {
        let container = json!({"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}});
        let pod = object(json!({"spec": {"containers": [container, container]}}));
        let expected = [
            ("count/pods", "1"),
            ("pods", "1"),
            ("cpu", "1"),
            ("requests.cpu", "1"),
            ("limits.cpu", "2"),
        ];
        assert_eq!(charge(&PODS, &pod), usage(&expected));
        let ended =
            object(json!({"spec": {"containers": [container]}, "status": {"phase": "Failed"}}));
        assert_eq!(charge(&PODS, &ended), usage(&[("count/pods", "1")]));
        let balancer = object(json!({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}));
        let expected = [
            ("count/services", "1"),
            ("services", "1"),
            ("services.loadbalancers", "1"),
            ("services.nodeports", "2"),
        ];
        assert_eq!(charge(&SERVICES, &balancer), usage(&expected));
    }

    #[test]
    fn claims_count_for_their_class_too() {
        let spec =
            json!({"storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}});
        let expected = [
            ("count/persistentvolumeclaims", "1"),
            ("persistentvolumeclaims", "1"),
            ("requests.storage", "1Gi"),
            ("local.storageclass.storage.k8s.io/requests.storage", "1Gi"),
            (
                "local.storageclass.storage.k8s.io/persistentvolumeclaims",
                "1",
            ),
        ];
        let claim = object(json!({"spec": spec}));
        assert_eq!(charge(&PERSISTENT_VOLUME_CLAIMS, &claim), usage(&expected));
    }

    #[test]
    fn what_does_not_fit_is_said_as_upstream_says_it() {
        let hard = usage(&[("pods", "2"), ("requests.cpu", "1")]);
        let used = usage(&[("pods", "1"), ("requests.cpu", "800m")]);
        let fits = usage(&[("pods", "1"), ("requests.cpu", "200m")]);
        assert_eq!(exceeded(&hard, &used, &fits), None);
        let wanted = usage(&[("pods", "1"), ("requests.cpu", "300m"), ("other", "9")]);
        assert_eq!(
            exceeded(&hard, &used, &wanted).unwrap(),
            "requested: requests.cpu=300m, used: requests.cpu=800m, limited: requests.cpu=1"
        );
        assert_eq!(total([&used, &wanted])["requests.cpu"], "1100m");
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |spec: Value| object(json!({"spec": spec}));
        let best = object(
            json!({"status": {"qosClass": "BestEffort"}, "spec": {"priorityClassName": "high"}}),
        );
        assert!(counts(&quota(json!({})), &CONFIG_MAPS, &best));
        assert!(counts(
            &quota(json!({"scopes": ["BestEffort", "NotTerminating"]})),
            &PODS,
            &best
        ));
        assert!(!counts(
            &quota(json!({"scopes": ["NotBestEffort"]})),
            &PODS,
            &best
        ));
        assert!(!counts(
            &quota(json!({"scopes": ["BestEffort"]})),
            &CONFIG_MAPS,
            &best
        ));
        let class = |operator: &str, values: Value| {
            quota(
                json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}}),
            )
        };
        assert!(counts(&class("In", json!(["high"])), &PODS, &best));
        assert!(!counts(&class("NotIn", json!(["high"])), &PODS, &best));
        assert!(counts(&class("Exists", json!([])), &PODS, &best));
    }

    #[test]
    fn each_container_says_what_is_limited() {
        let hard = usage(&[
            ("requests.cpu", "1"),
            ("memory", "1Gi"),
            ("requests.ephemeral-storage", "1Gi"),
            ("pods", "1"),
        ]);
        let container = |name: &str, requests: Value| json!({"name": name, "resources": {"requests": requests}});
        let pod = |containers: Value| object(json!({"spec": containers}));
        let all = container("a", json!({"cpu": "1", "memory": "1Mi"}));
        assert!(unsaid(&hard, &pod(json!({"containers": [all]}))).is_empty());
        let some = json!({"containers": [all, container("c", json!({"cpu": "1"})), {"name": "b"}],
            "initContainers": [container("i", json!({"memory": "1Mi"}))]});
        assert_eq!(
            unsaid(&hard, &pod(some)),
            ["memory for: b,c", "requests.cpu for: b,i"]
        );
    }
}
