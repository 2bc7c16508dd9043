//! Label selectors: `app=x,tier in (a,b),!old`, and the `matchLabels`/`matchExpressions` form.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::{InvalidSelector, Labels};
use crate::object::Object;

/// A conjunction of requirements; without any it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; empty for `Exists` and `DoesNotExist`, one for `Greater` and `Less`.
    pub values: BTreeSet<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Present with one of the values.
    In,
    /// Absent, or with none of the values.
    NotIn,
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
    /// Present, and a larger integer.
    Greater,
    /// Present, and a smaller integer.
    Less,
}

impl LabelSelector {
    /// Reads the query form. The empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let parsed =
            clauses(text).and_then(|clauses| clauses.into_iter().map(requirement).collect());
        match parsed {
            Ok(requirements) => Ok(Self { requirements }),
            Err(detail) => Err(InvalidSelector {
                selector: text.to_owned(),
                detail,
            }),
        }
    }

    /// Selects objects that carry all of these labels (the `selector` of a Service or ReplicationController).
    pub fn from_match_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let equals = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: BTreeSet::from([value.to_owned()]),
        };
        Self {
            requirements: labels.into_iter().map(equals).collect(),
        }
    }

    /// The `spec.selector` of a controller: a plain map of labels in the core group, the full form elsewhere.
    /// Without one, and if it cannot be read, `None`: it must not select everything then.
    pub fn of_controller(controller: &Object) -> Option<Self> {
        let written = controller.get(&["spec", "selector"])?;
        if !controller.group().is_empty() {
            return Self::from_object(written).ok();
        }
        let labels = written.as_object().into_iter().flatten();
        let pairs = labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        Some(Self::from_match_labels(pairs))
    }

    /// Reads `{matchLabels, matchExpressions}`.
    pub fn from_object(value: &Value) -> Result<Self, InvalidSelector> {
        let invalid = |detail: &str| InvalidSelector {
            selector: value.to_string(),
            detail: detail.to_owned(),
        };
        let labels = value
            .get("matchLabels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let pairs = labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        let mut selector = Self::from_match_labels(pairs);
        let expressions = value.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            selector
                .requirements
                .push(from_expression(expression).map_err(|detail| invalid(&detail))?);
        }
        Ok(selector)
    }

    /// Whether the labels meet every requirement.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels))
    }

    /// Whether the object's labels meet every requirement.
    pub fn selects(&self, object: &Object) -> bool {
        self.requirements.is_empty() || self.matches(&object.labels())
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels<'_>) -> bool {
        let value = labels.get(self.key.as_str()).copied();
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Greater => self.orders(value, |a, b| a > b),
            Operator::Less => self.orders(value, |a, b| a < b),
        }
    }

    fn orders(&self, value: Option<&str>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let bound = self.values.first().and_then(|bound| bound.parse().ok());
        let value = value.and_then(|value| value.parse().ok());
        value
            .zip(bound)
            .is_some_and(|(value, bound)| holds(value, bound))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            operator,
            values,
        } = self;
        let list = values
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",");
        match operator {
            Operator::In if values.len() == 1 => write!(f, "{key}={list}"),
            Operator::NotIn if values.len() == 1 => write!(f, "{key}!={list}"),
            Operator::In => write!(f, "{key} in ({list})"),
            Operator::NotIn => write!(f, "{key} notin ({list})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Greater => write!(f, "{key}>{list}"),
            Operator::Less => write!(f, "{key}<{list}"),
        }
    }
}

/// Splits at commas that are not inside parentheses.
fn clauses(text: &str) -> Result<Vec<&str>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
        if !(0..=1).contains(&depth) {
            return Err("unbalanced parentheses".to_owned());
        }
    }
    if depth != 0 {
        return Err("a parenthesis is not closed".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn requirement(clause: &str) -> Result<Requirement, String> {
    let clause = clause.trim();
    let end = clause
        .find(|c: char| c.is_whitespace() || "=!<>(),".contains(c))
        .unwrap_or(clause.len());
    if let Some(key) = clause.strip_prefix('!') {
        return build(key.trim(), Operator::DoesNotExist, Vec::new());
    }
    let (key, rest) = clause.split_at(end);
    let rest = rest.trim();
    if rest.is_empty() {
        return build(key, Operator::Exists, Vec::new());
    }
    let one = |operator, value: &str| build(key, operator, vec![value.trim().to_owned()]);
    for (symbol, operator) in [
        ("==", Operator::In),
        ("!=", Operator::NotIn),
        ("=", Operator::In),
        (">", Operator::Greater),
        ("<", Operator::Less),
    ] {
        if let Some(value) = rest.strip_prefix(symbol) {
            return one(operator, value);
        }
    }
    for (word, operator) in [("notin", Operator::NotIn), ("in", Operator::In)] {
        if let Some(list) = rest.strip_prefix(word) {
            return build(key, operator, set(list)?);
        }
    }
    Err(format!(
        "found {rest:?}, expected: in, notin, =, ==, !=, gt, lt"
    ))
}

/// The values of `(a, b)`.
fn set(list: &str) -> Result<Vec<String>, String> {
    let inner = list
        .trim()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("found {list:?}, expected: values in parentheses"))?;
    Ok(inner
        .split(',')
        .map(|value| value.trim().to_owned())
        .collect())
}

fn from_expression(expression: &Value) -> Result<Requirement, String> {
    let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or("");
    let operator = match text("operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(format!("{other:?} is not a valid label selector operator")),
    };
    let values = expression
        .get("values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    build(
        text("key"),
        operator,
        values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    )
}

fn build(key: &str, operator: Operator, values: Vec<String>) -> Result<Requirement, String> {
    if !label_key(key) {
        return Err(format!("{key:?} is not a valid label key"));
    }
    if let Some(bad) = values.iter().find(|value| !label_value(value)) {
        return Err(format!("{bad:?} is not a valid label value"));
    }
    let compares = matches!(operator, Operator::Greater | Operator::Less);
    if compares && values.iter().any(|value| value.parse::<i64>().is_err()) {
        return Err("for 'Gt', 'Lt' operators, the value must be an integer".to_owned());
    }
    let takes = !matches!(operator, Operator::Exists | Operator::DoesNotExist);
    if takes == values.is_empty() {
        let must = if takes {
            "for 'in', 'notin' operators, values set can't be empty"
        } else {
            "values set must be empty for exists and does not exist"
        };
        return Err(must.to_owned());
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
        values: values.into_iter().collect(),
    })
}

/// Letters, digits, `-_.`, beginning and ending with a letter or digit; a prefix ends at the slash.
fn label_key(key: &str) -> bool {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let prefixed = key.contains('/');
    !name.is_empty()
        && label_value(name)
        && (!prefixed || (!prefix.is_empty() && prefix.len() <= 253 && plain(prefix)))
}

fn label_value(value: &str) -> bool {
    value.len() <= 63 && plain(value)
}

fn plain(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector)
            .unwrap()
            .matches(&labels.iter().copied().collect())
    }

    #[test]
    fn selects_by_every_operator() {
        let labels = [("app", "x"), ("example.com/tier", "db"), ("size", "7")];
        for yes in [
            "",
            "app",
            "app=x",
            "app == x",
            "app!=y",
            "absent!=y",
            "!absent",
            "app in (x, y)",
            "app notin (y)",
            "example.com/tier=db,app",
            "size>6",
            "size<8",
            "in!=x",
            "absent notin (x)",
        ] {
            assert!(matches(yes, &labels), "{yes}");
        }
        for no in [
            "absent",
            "app=y",
            "!app",
            "app in (y,z)",
            "app notin (x)",
            "app=x,absent",
            "size>7",
            "app<8",
        ] {
            assert!(!matches(no, &labels), "{no}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for bad in [
            "a b",
            "a in b",
            "a in (b",
            "a)",
            "a=b=c",
            "=x",
            ",",
            "a,",
            "!",
            "a in ((b))",
            "a>b",
            "a=ä",
            "-a",
            "/a",
        ] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_the_object_form() {
        let selector = json!({"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["a"]}]});
        assert_eq!(
            LabelSelector::from_object(&selector).unwrap().to_string(),
            "app=x,t!=a"
        );
        let bad = json!({"matchExpressions": [{"key": "t", "operator": "Like", "values": ["a"]}]});
        assert!(LabelSelector::from_object(&bad).is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(keys in prop::collection::vec("[a-z]([a-z0-9.]{0,8}[a-z0-9])?(/[a-z]{1,4})?", 0..4),
                                      values in prop::collection::btree_set("[a-zA-Z0-9]{1,5}", 1..4), which in 0usize..6) {
            let operators = [Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist, Operator::Greater, Operator::Less];
            let requirements = keys.into_iter().enumerate().map(|(i, key)| {
                let operator = operators[(which + i) % 6];
                let values = match operator {
                    Operator::Exists | Operator::DoesNotExist => BTreeSet::new(),
                    Operator::Greater | Operator::Less => BTreeSet::from([i.to_string()]),
                    _ => values.clone(),
                };
                Requirement { key, operator, values }
            }).collect();
            let selector = LabelSelector { requirements };
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,20}") {
            let _ = LabelSelector::parse(&text);
        }
    }
}
