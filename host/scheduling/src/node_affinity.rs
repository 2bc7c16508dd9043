//! Which nodes a pod asks for by labels and names: `nodeSelector` and `affinity.nodeAffinity`. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What can be asked of a node.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// What the spec of a pod requires of its node, found once for a look at many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Required<'a> {
    selector: Option<&'a Map<String, Value>>,
    affinity: &'a Value,
}

impl<'a> Required<'a> {
    pub(crate) fn of(spec: &'a Value) -> Self {
        let affinity = &spec["affinity"]["nodeAffinity"];
        Self {
            selector: spec["nodeSelector"].as_object(),
            affinity: &affinity["requiredDuringSchedulingIgnoredDuringExecution"],
        }
    }

    /// The node has what the selector says, and what one term of the affinity does.
    pub(crate) fn admits(self, site: Site<'_>) -> bool {
        let mut pairs = self.selector.into_iter().flatten();
        let label = |key: &str| site.labels.get(key).map(String::as_str);
        pairs.all(|(key, value)| label(key) == value.as_str()) && selects(self.affinity, site)
    }
}

/// The spec of a pod allows the node: its selector, and one term of its required affinity.
pub fn admits(spec: &Value, site: Site<'_>) -> bool {
    Required::of(spec).admits(site)
}

/// A required node selector selects the node: one of its terms matches; one that is not there selects all.
pub fn selects(required: &Value, site: Site<'_>) -> bool {
    let terms = required["nodeSelectorTerms"].as_array();
    terms.is_none_or(|terms| terms.iter().any(|term| matches(term, site)))
}

/// The preferences of a pod's spec, for [`liking`].
pub fn preferred(spec: &Value) -> &[Value] {
    let terms =
        &spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    terms.as_array().map_or(&[], Vec::as_slice)
}

/// The weights of the preferences that the node meets, together. One that asks for nothing is met by every node.
pub fn liking(preferred: &[Value], site: Site<'_>) -> i64 {
    let empty = |term: &Value| term.as_object().is_none_or(serde_json::Map::is_empty);
    let met = preferred.iter().filter(|one| {
        let term = &one["preference"];
        empty(term) || matches(term, site)
    });
    met.filter_map(|one| one["weight"].as_i64()).sum()
}

/// All that a term asks for holds; a term that asks for nothing matches nothing.
fn matches(term: &Value, site: Site<'_>) -> bool {
    let list = |field: &str| term[field].as_array().map_or(&[][..], Vec::as_slice);
    let (expressions, fields) = (list("matchExpressions"), list("matchFields"));
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let label = |key: &str| site.labels.get(key).map(String::as_str);
    let field = |key: &str| (key == "metadata.name").then_some(site.name);
    let of = |ask: &Value| ask["key"].as_str().unwrap_or_default().to_owned();
    expressions.iter().all(|ask| holds(ask, label(&of(ask))))
        && fields.iter().all(|ask| holds(ask, field(&of(ask))))
}

fn holds(ask: &Value, value: Option<&str>) -> bool {
    let values = ask["values"].as_array().map_or(&[][..], Vec::as_slice);
    let listed = |value: &str| values.iter().any(|one| one == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = values.first().and_then(Value::as_str).and_then(number);
    match (ask["operator"].as_str().unwrap_or_default(), value) {
        ("In", Some(value)) => listed(value),
        ("NotIn", value) => !value.is_some_and(listed),
        ("Exists", value) => value.is_some(),
        ("DoesNotExist", value) => value.is_none(),
        ("Gt", Some(value)) => matches!((number(value), bound), (Some(a), Some(b)) if a > b),
        ("Lt", Some(value)) => matches!((number(value), bound), (Some(a), Some(b)) if a < b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn admitted(spec: &Value) -> bool {
        let labels = [("disk", "ssd"), ("cores", "8")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let site = Site {
            name: "a",
            labels: &labels.into(),
        };
        admits(spec, site)
    }

    fn required(terms: &Value) -> Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn each_operator_does_what_kubernetes_says() {
        let holds = |key: &str, operator: &str, values: &[&str]| {
            let ask = json!({"key": key, "operator": operator, "values": values});
            admitted(&required(&json!([{"matchExpressions": [ask]}])))
        };
        assert!(holds("disk", "In", &["hdd", "ssd"]) && !holds("disk", "In", &["hdd"]));
        assert!(holds("disk", "NotIn", &["hdd"]) && !holds("disk", "NotIn", &["ssd"]));
        assert!(holds("gpu", "NotIn", &["a"]) && !holds("gpu", "In", &["a"]));
        assert!(holds("disk", "Exists", &[]) && !holds("gpu", "Exists", &[]));
        assert!(holds("gpu", "DoesNotExist", &[]) && !holds("disk", "DoesNotExist", &[]));
        assert!(holds("cores", "Gt", &["4"]) && !holds("cores", "Gt", &["8"]));
        assert!(holds("cores", "Lt", &["9"]) && !holds("disk", "Lt", &["9"]));
        assert!(!holds("disk", "Near", &["ssd"]));
    }

    #[test]
    fn preferences_add_up() {
        let labels = [("disk".to_owned(), "ssd".to_owned())].into();
        let site = Site {
            name: "a",
            labels: &labels,
        };
        let ask = |key: &str, weight: i64| {
            let term = json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
            json!({"weight": weight, "preference": term})
        };
        let asked = [ask("disk", 7), ask("gpu", 50), ask("disk", 2)];
        assert_eq!(liking(&asked, site), 9);
        let spec = json!({"affinity": {"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": asked}}});
        assert_eq!(preferred(&spec).len(), 3);
        assert!(preferred(&json!({})).is_empty());
    }

    #[test]
    fn one_term_is_enough_and_all_of_it_must_hold() {
        let (ssd, gpu) = (
            json!({"key": "disk", "operator": "In", "values": ["ssd"]}),
            json!({"key": "gpu", "operator": "Exists"}),
        );
        assert!(admitted(&required(
            &json!([{"matchExpressions": [gpu]}, {"matchExpressions": [ssd]}])
        )));
        assert!(!admitted(&required(
            &json!([{"matchExpressions": [ssd, gpu]}])
        )));
        assert!(!admitted(&required(&json!([{}]))) && !admitted(&required(&json!([]))));
        let named = |name: &str| {
            let ask = json!({"key": "metadata.name", "operator": "In", "values": [name]});
            admitted(&required(&json!([{"matchFields": [ask]}])))
        };
        assert!(named("a") && !named("b"));
        assert!(admitted(&json!({"nodeSelector": {"disk": "ssd"}})));
        assert!(!admitted(&json!({"nodeSelector": {"disk": "hdd"}})));
    }
}
