//! CEL: whatever is written compiles or not, and what runs stays within its budget.

use osier_cel::{Budget, Rule};
use serde_json::json;

/// Compiles a rule, and runs it over an object if it can be run.
pub(crate) fn cel(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    let rule = match Rule::compile(source) {
        Ok(rule) => rule,
        Err(error) => {
            assert!(error.line() > 0 && error.column() > 0, "{error}");
            return;
        }
    };
    let object = json!({"replicas": 3, "name": "web", "ratio": 0.5, "on": true, "none": null,
        "list": [1, 2, 3], "names": ["a", "b"], "map": {"a": 1, "b": {"c": "d"}}});
    let mut budget = Budget::default();
    let _result = rule.holds(
        (&object, rule.compares().then_some(&object), false),
        &mut budget,
    );
    let _result = rule.text((&object, None, true), &mut budget);
}
