//! What a Job says about pods that end: failures by index, `podFailurePolicy`, `successPolicy`.

use serde_json::Value;

use super::at::{At, unique};
use super::names;
use osier_api::Fault;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const REPLACEMENTS: [&str; 2] = ["Failed", "TerminatingOrFailed"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
/// Rules, and conditions of one.
const MOST: usize = 20;
const MOST_CODES: usize = 255;
const MOST_INDEXES: i64 = 100_000;
const INDEXED: &str = "requires indexed completion mode";

/// Of the spec of a Job.
pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = by_index(spec);
    let policy = spec.at("podFailurePolicy");
    let replaced = spec.at("podReplacementPolicy");
    faults.extend(replaced.one_of(&REPLACEMENTS));
    if policy.is_present() {
        if replaced.text() == "TerminatingOrFailed" {
            faults.push(replaced.invalid("must be Failed when podFailurePolicy is specified"));
        }
        faults.extend(never(spec, "podFailurePolicy"));
        let rules = policy.at("rules");
        faults.extend(few(&rules, MOST));
        for rule in rules.items() {
            failure_rule(spec, &rule, &mut faults);
        }
    }
    faults.extend(success(spec));
    let manager = spec.at("managedBy");
    if manager.is_set() && !manager.text().contains('/') {
        faults.push(manager.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")"));
    }
    faults
}

fn is_indexed(spec: &At<'_>) -> bool {
    spec.at("completionMode").text() == "Indexed"
}

/// Containers that are restarted in their pod end no pod.
fn never(spec: &At<'_>, field: &str) -> Option<Fault> {
    let restart = spec.at("template").at("spec").at("restartPolicy");
    let words = format!("only \"Never\" is supported when {field} is specified");
    (restart.text() != "Never").then(|| restart.invalid(words))
}

fn few(list: &At<'_>, most: usize) -> Option<Fault> {
    let many = list.items().len() > most;
    many.then(|| list.invalid(format!("must have at most {most} items")))
}

fn by_index(spec: &At<'_>) -> Vec<Fault> {
    let (limit, most) = (spec.at("backoffLimitPerIndex"), spec.at("maxFailedIndexes"));
    let mut faults = Vec::new();
    for field in [&limit, &most] {
        faults.extend(field.at_least(0));
    }
    if limit.is_present() {
        if !is_indexed(spec) {
            faults.push(limit.invalid(INDEXED));
        }
        faults.extend(never(spec, "backoffLimitPerIndex"));
    } else if most.is_present() {
        faults.push(limit.required("when maxFailedIndexes is specified"));
    }
    let bound = spec
        .at("completions")
        .int()
        .unwrap_or(MOST_INDEXES)
        .min(MOST_INDEXES);
    if most.int().is_some_and(|most| most > bound) {
        faults.push(most.invalid(format!("must be less than or equal to {bound}")));
    }
    faults
}

fn failure_rule(spec: &At<'_>, rule: &At<'_>, faults: &mut Vec<Fault>) {
    let action = rule.at("action");
    match action.is_set() {
        true => faults.extend(action.one_of(&ACTIONS)),
        false => faults.push(action.required("")),
    }
    if action.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_present() {
        faults.push(action.invalid("requires the use of backoffLimitPerIndex"));
    }
    let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
    match (codes.is_present(), conditions.is_set()) {
        (true, true) => faults
            .push(rule.invalid("specifying both OnExitCodes and OnPodConditions is not supported")),
        (false, false) => faults
            .push(rule.invalid("specifying one of OnExitCodes and OnPodConditions is required")),
        (true, false) => exit_codes(spec, &codes, faults),
        (false, true) => {
            faults.extend(few(&conditions, MOST));
            for condition in conditions.items() {
                faults.extend(condition.at("type").name(names::qualified));
                faults.extend(condition.at("status").one_of(&STATUSES));
            }
        }
    }
}

fn exit_codes(spec: &At<'_>, codes: &At<'_>, faults: &mut Vec<Fault>) {
    let (operator, values) = (codes.at("operator"), codes.at("values"));
    match operator.is_set() {
        true => faults.extend(operator.one_of(&["In", "NotIn"])),
        false => faults.push(operator.required("")),
    }
    if !values.is_set() {
        faults.push(values.invalid("at least one value is required"));
    }
    faults.extend(few(&values, MOST_CODES));
    faults.extend(unique(values.items()));
    for value in values.items() {
        if value.int() == Some(0) && operator.text() == "In" {
            faults.push(value.invalid("must not be 0 for the In operator"));
        }
    }
    if !values.items().is_sorted_by_key(At::int) {
        faults.push(values.invalid("must be ordered"));
    }
    let name = codes.at("containerName");
    let pods = spec.at("template").at("spec");
    let lists = ["containers", "initContainers"].map(|list| pods.at(list).items());
    let known = lists
        .iter()
        .flatten()
        .any(|container| container.at("name").value == name.value);
    if name.is_set() && !known {
        faults.push(
            name.invalid("must be one of the container or initContainer names in the pod template"),
        );
    }
}

fn success(spec: &At<'_>) -> Vec<Fault> {
    let policy = spec.at("successPolicy");
    if !policy.is_present() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !is_indexed(spec) {
        faults.push(policy.invalid(INDEXED));
    }
    let rules = policy.at("rules");
    if !rules.is_set() {
        faults.push(
            rules.required(
                "at least one rules must be specified when the successPolicy is specified",
            ),
        );
    }
    faults.extend(few(&rules, MOST));
    let completions = spec.at("completions").int().unwrap_or(0);
    for rule in rules.items() {
        success_rule(&rule, completions, &mut faults);
    }
    faults
}

fn success_rule(rule: &At<'_>, completions: i64, faults: &mut Vec<Fault>) {
    let (indexes, count) = (rule.at("succeededIndexes"), rule.at("succeededCount"));
    if !indexes.is_present() && !count.is_present() {
        faults.push(
            rule.required("at least one of succeededCount or succeededIndexes must be specified"),
        );
    }
    faults.extend(count.at_least(1));
    let mut most = completions;
    if let Value::String(text) = indexes.value {
        match self::indexes(text, completions) {
            Ok(number) => most = number,
            Err(words) => faults.push(indexes.invalid(words)),
        }
    }
    if count.int().is_some_and(|count| count > most) {
        faults.push(count.invalid(format!(
            "must be less than or equal to {most} (the number of specified indexes)"
        )));
    }
}

/// How many indexes `0,2-4` names.
fn indexes(text: &str, completions: i64) -> Result<i64, String> {
    let (mut number, mut before) = (0, -1);
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let parsed = first.parse::<i64>().ok().zip(last.parse::<i64>().ok());
        let Some((first, last)) = parsed.filter(|(first, last)| *first > before && last >= first)
        else {
            return Err(format!(
                "{part:?} is not an index, nor a range of them that comes after those before it"
            ));
        };
        if last >= completions {
            return Err("too large index".to_owned());
        }
        number += last - first + 1;
        before = last;
    }
    Ok(number)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use osier_api::Object;
    use serde_json::json;

    fn faults(more: &Value) -> Vec<String> {
        let mut spec = json!({"completions": 4, "completionMode": "Indexed",
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]}}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let job = Object::from_value(json!({"spec": spec})).unwrap();
        check(&At::of(&job, "spec"))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_fits_passes() {
        let rules = json!([{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [1, 42]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0, 3]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]);
        let all = json!({"podFailurePolicy": {"rules": rules}, "podReplacementPolicy": "Failed", "backoffLimitPerIndex": 1,
            "maxFailedIndexes": 3, "managedBy": "acme.io/queue", "successPolicy": {"rules": [
                {"succeededIndexes": "0,2-3", "succeededCount": 3}, {"succeededCount": 4}, {"succeededIndexes": "1"}]}});
        assert_eq!(faults(&all), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_named() {
        let told = |more: Value, words: &str| {
            let found = faults(&more);
            assert!(
                found.len() == 1 && found[0].contains(words),
                "{words}: {found:?}"
            );
        };
        let rule = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}});
        let codes = |codes: Value| rule(json!({"action": "FailJob", "onExitCodes": codes}));
        told(
            json!({"maxFailedIndexes": 1}),
            "backoffLimitPerIndex: Required",
        );
        told(
            json!({"backoffLimitPerIndex": 1, "completionMode": "NonIndexed"}),
            INDEXED,
        );
        told(
            json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 5}),
            "less than or equal to 4",
        );
        told(
            rule(json!({"action": "Stop", "onPodConditions": [{"type": "x"}]})),
            "rules[0].action: Unsupported",
        );
        told(
            rule(json!({"action": "Ignore"})),
            "one of OnExitCodes and OnPodConditions is required",
        );
        told(
            rule(json!({"action": "FailIndex", "onPodConditions": [{"type": "x"}]})),
            "requires the use of",
        );
        told(
            codes(json!({"operator": "In", "values": [0, 1]})),
            "must not be 0",
        );
        told(
            codes(json!({"operator": "In", "values": [2, 1]})),
            "must be ordered",
        );
        told(
            codes(json!({"operator": "In", "values": [1], "containerName": "other"})),
            "initContainer names",
        );
        told(
            json!({"successPolicy": {"rules": []}}),
            "at least one rules",
        );
        told(
            json!({"successPolicy": {"rules": [{}]}}),
            "at least one of succeededCount",
        );
        told(
            json!({"successPolicy": {"rules": [{"succeededIndexes": "0-4"}]}}),
            "too large index",
        );
        told(
            json!({"successPolicy": {"rules": [{"succeededIndexes": "2,1"}]}}),
            "is not an index",
        );
        told(
            json!({"successPolicy": {"rules": [{"succeededIndexes": "1", "succeededCount": 2}]}}),
            "number of specified indexes",
        );
        told(json!({"managedBy": "acme"}), "domain-prefixed");
        told(
            json!({"podFailurePolicy": {"rules": []}, "podReplacementPolicy": "TerminatingOrFailed"}),
            "must be Failed",
        );
    }
}
