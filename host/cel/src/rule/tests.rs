//! What rules say of values.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value() -> Json {
    json!({
        "name": "web", "replicas": 3, "min": 1, "max": 5, "ratio": 0.5, "on": true, "none": null,
        "tags": ["a", "b"], "ports": [{"name": "x", "port": 80}, {"name": "y", "port": 443}],
        "labels": {"app": "web", "example.com/a": "1"}, "timeout": "30s", "x-y": 1, "until": "2026-01-01T00:00:00Z",
    })
}

fn run(rule: &str) -> Result<bool, Failure> {
    let old = json!({"name": "web", "replicas": 2});
    Rule::compile(rule)
        .unwrap()
        .holds((&value(), Some(&old), false), &mut Budget::default())
}

#[test]
fn rules_of_kubernetes_documentation_hold() {
    let rules = [
        "self.min <= self.replicas && self.replicas <= self.max",
        "'app' in self.labels && self.labels['example.com/a'] == '1'",
        "has(self.name) && !has(self.nothing)",
        "self.tags.size() == 2 && size(self.tags) == size(self.ports)",
        "self.ports.all(p, p.port > 0 && p.port < 65536)",
        "self.ports.exists(p, p.name == 'y') && self.ports.exists_one(p, p.port == 80)",
        "self.ports.map(p, p.name) == ['x', 'y']",
        "self.ports.filter(p, p.port > 100).size() == 1",
        "self.ports.map(p, p.port > 100, p.name).join(',') == 'y'",
        "self.labels.all(key, key.size() > 0)",
        "self.name.matches('^[a-z]+$') && self.name.startsWith('w') && self.name.contains('eb')",
        "self.replicas > oldSelf.replicas && self.name == oldSelf.name",
        "self.replicas == 3.0 && self.ratio * 2.0 == 1.0 && self.replicas % 2 == 1",
        "duration(self.timeout) < duration('1m') && self.timeout < duration('1m')",
        "timestamp(self.until) > timestamp('2025-12-31T00:00:00Z')",
        "self.x__dash__y == 1 && self.none == null",
        "self.on ? self.replicas == 3 : false",
        "self.?nothing.orValue('z') == 'z' && self.?name.hasValue()",
        "(self.nothing == 1) || true",
        "!(false && self.nothing == 1)",
        "self.tags.isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1 && self.tags.indexOf('b') == 1",
        "self.name.substring(1) == 'eb' && self.name.split('e') == ['w', 'b'] && 'A-b'.lowerAscii() == 'a-b'",
        "string(self.replicas) == '3' && int('3') == self.replicas && double(1) == 1.0",
        "self.tags + ['c'] == ['a', 'b', 'c'] && {'a': 1}['a'] == 1 && {'a': 1} == {'a': 1}",
        "'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
    ];
    for rule in rules {
        assert_eq!(run(rule), Ok(true), "{rule}");
    }
}

#[test]
fn what_goes_wrong_is_told() {
    let words = |rule: &str| run(rule).unwrap_err().to_string();
    assert_eq!(words("self.nothing == 1"), "no such key: nothing");
    assert_eq!(words("self.name"), "the result is a string, not a bool");
    assert!(
        words("self.name < 1").contains("no such overload"),
        "{}",
        words("self.name < 1")
    );
    assert_eq!(words("1 / (self.replicas - 3) == 1"), "division by zero");
    assert_eq!(words("self.tags[2] == 'c'"), "index out of bounds: 2");
    let error = |rule: &str| Rule::compile(rule).unwrap_err().to_string();
    assert!(error("other == 1").contains("undeclared reference to 'other'"));
    assert!(error("self.ports.all(p, q)").contains("undeclared reference to 'q'"));
    assert!(error("self..a").starts_with("column"));
}

#[test]
fn what_is_not_known_is_named_and_what_compares_says_so() {
    let rule = Rule::compile("quantity(self.a).isLessThan(quantity('1'))").unwrap();
    assert_eq!(rule.unknown(), Some("quantity"));
    assert!(Rule::compile("self.a == oldSelf.a").unwrap().compares());
    assert!(!Rule::compile("self.all(oldself, true)").unwrap().compares());
}

#[test]
fn a_value_before_may_be_optional() {
    let rule = Rule::compile("!oldSelf.hasValue() || oldSelf.value().a == self.a").unwrap();
    let (new, old) = (json!({"a": 1}), json!({"a": 2}));
    assert_eq!(
        rule.holds((&new, None, true), &mut Budget::default()),
        Ok(true)
    );
    assert_eq!(
        rule.holds((&new, Some(&old), true), &mut Budget::default()),
        Ok(false)
    );
    let text = Rule::compile("'a is ' + string(self.a)").unwrap();
    assert_eq!(
        text.text((&new, None, false), &mut Budget::default()),
        Ok("a is 1".to_owned())
    );
}

#[test]
fn a_rule_that_costs_too_much_is_stopped() {
    let list: Vec<i64> = (0..2000).collect();
    let value = json!({"list": list});
    let rule =
        Rule::compile("self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0)))")
            .unwrap();
    let mut budget = Budget::default();
    assert_eq!(
        rule.holds((&value, None, false), &mut budget),
        Err(Failure::Budget)
    );
    let before = budget.0;
    assert!(before < Budget::default().0);
    let cheap = Rule::compile("size(self.list) == 2000").unwrap();
    assert_eq!(cheap.holds((&value, None, false), &mut budget), Ok(true));
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_refused(text in "[selfa.()&|!<=>+ '1?:,{}\\[\\]-]{0,24}") {
        if let Ok(rule) = Rule::compile(&text) {
            let _whatever = rule.holds((&value(), None, false), &mut Budget::default());
        }
    }
}
