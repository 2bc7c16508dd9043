//! `successPolicy`: when an Indexed Job has succeeded before all its indexes have. Pure.

use std::collections::BTreeSet;

use osier_api::Object;
use serde_json::Value;

use super::indexes;

/// The rules of a Job: one that is met is enough.
#[derive(Debug, Clone, Default)]
pub(super) struct Successes(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    /// Of these; of all if there are none.
    among: Option<BTreeSet<usize>>,
    /// So many; all of them if there is no number.
    count: Option<usize>,
}

impl Successes {
    /// Of a Job.
    pub(super) fn of(job: &Object) -> Self {
        let rules = job.get(&["spec", "successPolicy", "rules"]);
        let rules = rules.and_then(Value::as_array).into_iter().flatten();
        let rule = |rule: &Value| Rule {
            among: rule["succeededIndexes"].as_str().map(indexes::read),
            count: rule["succeededCount"]
                .as_u64()
                .and_then(|count| count.try_into().ok()),
        };
        Self(rules.map(rule).collect())
    }

    /// Kubernetes' words for the first rule that is met by the indexes that have succeeded.
    pub(super) fn met(&self, succeeded: &BTreeSet<usize>) -> Option<String> {
        let met = self.0.iter().position(|rule| rule.is_met(succeeded))?;
        Some(format!("Matched rules at index {met}"))
    }
}

impl Rule {
    fn is_met(&self, succeeded: &BTreeSet<usize>) -> bool {
        let (reached, needed) = match &self.among {
            Some(among) => (
                among.intersection(succeeded).count(),
                self.count.unwrap_or(among.len()),
            ),
            None => (succeeded.len(), self.count.unwrap_or(usize::MAX)),
        };
        reached >= needed
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_rule_is_enough() {
        let rules = json!([{"succeededIndexes": "0,2-3"}, {"succeededIndexes": "5-8", "succeededCount": 2}, {"succeededCount": 5}]);
        let job = Object::from_value(json!({"spec": {"successPolicy": {"rules": rules}}})).unwrap();
        let met =
            |succeeded: &[usize]| Successes::of(&job).met(&succeeded.iter().copied().collect());
        assert_eq!(met(&[0, 2]), None);
        assert_eq!(met(&[0, 2, 3]).unwrap(), "Matched rules at index 0");
        assert_eq!(met(&[1, 5, 8]).unwrap(), "Matched rules at index 1");
        assert_eq!(met(&[1, 4, 9, 10, 11]).unwrap(), "Matched rules at index 2");
        let without = Successes::of(&Object::default());
        assert_eq!(without.met(&(0..9).collect()), None);
    }
}
