//! `podFailurePolicy`: what a failed pod means for its Job, by how its containers ended and what is said of it. Pure.

use osier_api::Object;
use serde_json::Value;

/// What a failed pod means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Counts,
    /// It counts for nothing, and is replaced.
    Ignored,
    /// Its index has failed.
    FailsIndex,
    /// The Job has failed, and why.
    FailsJob(String),
}

/// The rules of a Job, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    action: Action,
    matches: Matches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Count,
    Ignore,
    FailIndex,
    FailJob,
}

#[derive(Debug, Clone)]
enum Matches {
    /// A container ended with one of these codes, or with another one than these.
    Codes {
        container: Option<String>,
        among: bool,
        values: Vec<i64>,
    },
    /// One of these is said of the pod: types with their status.
    Conditions(Vec<(String, String)>),
}

impl Failures {
    /// Of a Job.
    pub(super) fn of(job: &Object) -> Self {
        let rules = job.get(&["spec", "podFailurePolicy", "rules"]);
        let rules = rules.and_then(Value::as_array).into_iter().flatten();
        Self(rules.filter_map(Rule::of).collect())
    }

    /// The first rule that is about the pod decides.
    pub(super) fn judge(&self, pod: &Object) -> Verdict {
        let mut found = self.0.iter().enumerate();
        let found = found.find_map(|(at, rule)| Some((at, rule, rule.matched(pod)?)));
        let Some((at, rule, what)) = found else {
            return Verdict::Counts;
        };
        match rule.action {
            Action::Count => Verdict::Counts,
            Action::Ignore => Verdict::Ignored,
            Action::FailIndex => Verdict::FailsIndex,
            Action::FailJob => {
                Verdict::FailsJob(format!("{what} matching FailJob rule at index {at}"))
            }
        }
    }
}

impl Rule {
    fn of(rule: &Value) -> Option<Self> {
        let action = match rule["action"].as_str()? {
            "Ignore" => Action::Ignore,
            "FailIndex" => Action::FailIndex,
            "FailJob" => Action::FailJob,
            _ => Action::Count,
        };
        let codes = &rule["onExitCodes"];
        let matches = match codes.is_object() {
            true => Matches::Codes {
                container: codes["containerName"].as_str().map(str::to_owned),
                among: codes["operator"] == "In",
                values: list(&codes["values"]).filter_map(Value::as_i64).collect(),
            },
            false => {
                let conditions = list(&rule["onPodConditions"]).filter_map(|one| {
                    let status = one["status"].as_str().unwrap_or("True");
                    Some((one["type"].as_str()?.to_owned(), status.to_owned()))
                });
                Matches::Conditions(conditions.collect())
            }
        };
        Some(Self { action, matches })
    }

    /// What of the pod the rule is about, in Kubernetes' words.
    fn matched(&self, pod: &Object) -> Option<String> {
        let name = format!("{}/{}", pod.namespace(), pod.name());
        match &self.matches {
            Matches::Codes {
                container,
                among,
                values,
            } => {
                let wanted = |name: &str| container.as_deref().is_none_or(|wanted| wanted == name);
                let ended =
                    ends(pod).find(|(name, code)| wanted(name) && values.contains(code) == *among);
                ended.map(|(container, code)| {
                    format!("Container {container} for pod {name} failed with exit code {code}")
                })
            }
            Matches::Conditions(wanted) => {
                let said = pod.get(&["status", "conditions"]).unwrap_or(&Value::Null);
                let holds = |(kind, status): &&(String, String)| {
                    list(said).any(|one| one["type"] == **kind && one["status"] == **status)
                };
                let (kind, _) = wanted.iter().find(holds)?;
                Some(format!("Pod {name} has condition {kind}"))
            }
        }
    }
}

/// The containers that failed, with their exit codes: the containers first, then the init containers.
fn ends(pod: &Object) -> impl Iterator<Item = (&str, i64)> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let statuses = lists
        .into_iter()
        .filter_map(|list| pod.get(&["status", list]));
    statuses.flat_map(list).filter_map(|status| {
        let code = status["state"]["terminated"]["exitCode"].as_i64()?;
        (code != 0).then_some((status["name"].as_str()?, code))
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(rules: &Value, code: i64, said: &Value) -> Verdict {
        let job =
            Object::from_value(json!({"spec": {"podFailurePolicy": {"rules": rules}}})).unwrap();
        let ended = |name: &str, code: i64| json!({"name": name, "state": {"terminated": {"exitCode": code}}});
        let pod = json!({"metadata": {"name": "sum-x", "namespace": "shop"}, "status": {"conditions": said,
            "containerStatuses": [ended("fine", 0), ended("main", code)], "initContainerStatuses": [ended("first", 9)]}});
        Failures::of(&job).judge(&Object::from_value(pod).unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = json!([
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42, 43]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 9]}},
            {"action": "FailJob", "onExitCodes": {"containerName": "other", "operator": "NotIn", "values": [1]}}]);
        let none = json!([]);
        let words = "Container main for pod shop/sum-x failed with exit code 42 matching FailJob rule at index 1";
        assert_eq!(
            judged(&rules, 42, &none),
            Verdict::FailsJob(words.to_owned())
        );
        assert_eq!(judged(&rules, 2, &none), Verdict::FailsIndex);
        assert_eq!(judged(&rules, 1, &none), Verdict::Counts);
        let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
        assert_eq!(judged(&rules, 42, &disrupted), Verdict::Ignored);
        let not = json!([{"type": "DisruptionTarget", "status": "False"}]);
        assert_eq!(judged(&rules, 1, &not), Verdict::Counts);
        assert_eq!(judged(&json!([]), 1, &none), Verdict::Counts);
        let condition = json!([{"action": "FailJob", "onPodConditions": [{"type": "acme.com/bad", "status": "False"}]}]);
        let said = json!([{"type": "acme.com/bad", "status": "False"}]);
        let words = "Pod shop/sum-x has condition acme.com/bad matching FailJob rule at index 0";
        assert_eq!(
            judged(&condition, 1, &said),
            Verdict::FailsJob(words.to_owned())
        );
    }
}
