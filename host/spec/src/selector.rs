//! Workload selectors: Kubernetes' label selectors over the labels of the pod concerned.

use crate::fault::Fault;
use serde_json::Value as Json;
use std::borrow::Cow;

/// Requirements that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    label: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads `{matchLabels, matchExpressions}`.
    pub fn read(json: &Json, path: &str, faults: &mut Vec<Fault>) -> Self {
        let mut requirements = Vec::new();
        for (label, value) in json
            .get("matchLabels")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            match value.as_str() {
                Some(value) => requirements.push(Requirement {
                    label: label.clone(),
                    operator: Operator::In,
                    values: vec![value.to_owned()],
                }),
                None => faults.push(Fault::new(
                    format!("{path}.matchLabels.{label}"),
                    "must be a string",
                )),
            }
        }
        let expressions = json.get("matchExpressions").and_then(Json::as_array);
        for (place, json) in expressions.into_iter().flatten().enumerate() {
            match expression(json) {
                Ok(requirement) => requirements.push(requirement),
                Err(detail) => faults.push(Fault::new(
                    format!("{path}.matchExpressions[{place}]"),
                    detail,
                )),
            }
        }
        if requirements.is_empty() {
            faults.push(Fault::new(
                path,
                "selects everything; leave it out or name labels",
            ));
        }
        Self(requirements)
    }

    /// True if the labels, as `find` tells them, satisfy every requirement.
    #[must_use]
    pub fn matches<'a>(&self, find: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.0.iter().all(|requirement| {
            let value = find(&requirement.label);
            let listed = value
                .as_ref()
                .is_some_and(|value| requirement.values.iter().any(|wanted| *wanted == **value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

fn expression(json: &Json) -> Result<Requirement, String> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
    let values = json.get("values").and_then(Json::as_array);
    let values: Vec<String> = values
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect();
    let operator = match text("operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            return Err(format!(
                "operator `{other}` must be In, NotIn, Exists or DoesNotExist"
            ));
        }
    };
    let listing = matches!(operator, Operator::In | Operator::NotIn);
    match text("key") {
        "" => Err("key is missing".into()),
        _ if listing == values.is_empty() => Err(match listing {
            true => "values are missing".into(),
            false => "values do not go with this operator".into(),
        }),
        key => Ok(Requirement {
            label: key.to_owned(),
            operator,
            values,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_operators() {
        let labels = [("app", "web"), ("tier", "front")];
        let find = |wanted: &str| {
            let mut all = labels.iter();
            let found = all.find(|(label, _)| *label == wanted);
            found.map(|(_, value)| Cow::Borrowed(*value))
        };
        let matches = |json: Json| {
            let mut faults = Vec::new();
            let selector = Selector::read(&json, "spec.selector", &mut faults);
            assert_eq!(faults, []);
            selector.matches(&find)
        };
        assert!(matches(json!({"matchLabels": {"app": "web"}})));
        assert!(!matches(
            json!({"matchLabels": {"app": "web", "tier": "back"}})
        ));
        let expression = |operator: &str, values: &[&str]| {
            let mut json = json!({"key": "tier", "operator": operator});
            if !values.is_empty() {
                json["values"] = json!(values);
            }
            matches(json!({"matchExpressions": [json]}))
        };
        assert!(expression("In", &["back", "front"]) && !expression("NotIn", &["front"]));
        assert!(expression("Exists", &[]) && !expression("DoesNotExist", &[]));
    }
}
