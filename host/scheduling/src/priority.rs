//! How important a pod is, by its PriorityClass: what upstream's admission plugin Priority writes into pods
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>). Pure.

use osier_api::{Object, resources};
use serde_json::{Value, json};

/// The classes of the system, with their values and what they are for.
const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];
const PREEMPT: &str = "PreemptLowerPriority";

/// The classes that are there from the start.
pub fn system_classes() -> Vec<Object> {
    let class = |(name, value, words): (&str, i64, &str)| {
        let mut class = Object::new(&resources::PRIORITY_CLASSES, "", name);
        class.set(&["value"], json!(value));
        class.set(&["description"], json!(words));
        class
    };
    SYSTEM.into_iter().map(class).collect()
}

/// Whether a class is there from the start, and stays.
pub fn is_system_class(name: &str) -> bool {
    SYSTEM.iter().any(|(known, ..)| *known == name)
}

/// Puts the importance of a new pod into it. `class` finds a class by name, `default` the one of pods that name none.
///
/// # Errors
/// Why the pod may not be as important as it says, in upstream's words.
pub fn prioritize(
    pod: &mut Object,
    class: impl Fn(&str) -> Option<Object>,
    default: impl Fn() -> Option<Object>,
) -> Result<(), String> {
    let name = pod.text(&["spec", "priorityClassName"]).to_owned();
    let class = match name.as_str() {
        "" => default(),
        name => {
            let found = class(name);
            Some(found.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?)
        }
    };
    let value = class.as_ref().and_then(|class| class.get(&["value"]));
    let value = value.cloned().unwrap_or_else(|| json!(0));
    let policy = class
        .as_ref()
        .map(|class| class.text(&["preemptionPolicy"]));
    let policy = policy
        .filter(|policy| !policy.is_empty())
        .unwrap_or(PREEMPT);
    let policy = json!(policy);
    for (field, called, said) in [
        ("priority", "the integer value of priority", &value),
        (
            "preemptionPolicy",
            "the string value of PreemptionPolicy",
            &policy,
        ),
    ] {
        let asked = pod.get(&["spec", field]).filter(|asked| !asked.is_null());
        if let Some(asked) = asked.filter(|asked| *asked != said) {
            let (asked, said) = (plain(asked), plain(said));
            return Err(format!(
                "{called} ({asked}) must not be provided in pod spec; priority admission controller computed {said} from the given PriorityClass name"
            ));
        }
    }
    if let Some(class) = class {
        pod.set(&["spec", "priorityClassName"], json!(class.name()));
    }
    pod.set(&["spec", "priority"], value);
    pod.set(&["spec", "preemptionPolicy"], policy);
    Ok(())
}

fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// The class of pods that name none: of several, the least important, as upstream.
pub fn default_class(classes: Vec<Object>) -> Option<Object> {
    let marked = |class: &Object| class.get(&["globalDefault"]) == Some(&Value::Bool(true));
    let value = |class: &Object| class.get(&["value"]).and_then(Value::as_i64);
    classes.into_iter().filter(marked).min_by_key(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn class(name: &str, value: i64, policy: Value) -> Object {
        let mut class = Object::new(&resources::PRIORITY_CLASSES, "", name);
        class.set(&["value"], json!(value));
        class.set(&["preemptionPolicy"], policy);
        class
    }

    fn pod(spec: Value) -> Object {
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
        Object::from_value(pod).unwrap()
    }

    fn judged(spec: Value, default: Option<Object>) -> Result<Value, String> {
        let find = |name: &str| (name == "gold").then(|| class("gold", 7, json!("Never")));
        let mut pod = pod(spec);
        prioritize(&mut pod, find, || default.clone())?;
        Ok(pod.get(&["spec"]).cloned().unwrap())
    }

    #[test]
    fn a_pod_is_as_important_as_its_class() {
        let nobody = json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"});
        assert_eq!(judged(json!({}), None).unwrap(), nobody);
        let gold = json!({"priorityClassName": "gold", "priority": 7, "preemptionPolicy": "Never"});
        assert_eq!(
            judged(json!({"priorityClassName": "gold"}), None).unwrap(),
            gold
        );
        assert_eq!(judged(gold.clone(), None).unwrap(), gold);
        let usual = class("usual", 3, Value::Null);
        let given = json!({"priorityClassName": "usual", "priority": 3, "preemptionPolicy": "PreemptLowerPriority"});
        assert_eq!(judged(json!({}), Some(usual)).unwrap(), given);
    }

    #[test]
    fn nobody_says_themselves_how_important_they_are() {
        let refused = |spec: Value| judged(spec, None).unwrap_err();
        assert_eq!(
            refused(json!({"priorityClassName": "tin"})),
            "no PriorityClass with name tin was found"
        );
        assert!(refused(json!({"priority": 9})).contains("priority (9)"));
        let policy = refused(json!({"preemptionPolicy": "Never"}));
        assert!(
            policy.contains("PreemptionPolicy (Never)")
                && policy.contains("computed PreemptLowerPriority")
        );
    }

    #[test]
    fn of_several_defaults_the_least_counts() {
        let marked = |name: &str, value: i64| {
            let mut class = class(name, value, Value::Null);
            class.set(&["globalDefault"], json!(true));
            class
        };
        let all = vec![marked("a", 9), marked("b", 2), class("c", 1, Value::Null)];
        assert_eq!(default_class(all).unwrap().name(), "b");
        assert_eq!(default_class(system_classes()), None);
        assert!(is_system_class("system-node-critical") && !is_system_class("gold"));
    }
}
