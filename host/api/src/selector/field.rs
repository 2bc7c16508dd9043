//! Field selectors: `spec.nodeName=n,status.phase!=Failed`. Only the fields that upstream indexes can be asked for.

use std::fmt;

use serde_json::Value;

use super::InvalidSelector;
use crate::object::Object;
use crate::resource::Resource;

/// A conjunction of comparisons; without any it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

/// A selector names a field that this kind cannot be selected by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field label not supported: {field}")]
pub struct UnknownField {
    /// The field.
    pub field: String,
}

impl FieldSelector {
    /// Reads `a=b,c==d,e!=f`; `\` escapes `,`, `=` and itself in values.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let terms = split(text)
            .iter()
            .filter(|term| !term.is_empty())
            .map(|term| self::term(term))
            .collect();
        match terms {
            Ok(terms) => Ok(Self { terms }),
            Err(detail) => Err(InvalidSelector {
                selector: text.to_owned(),
                detail,
            }),
        }
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether objects of this kind can be selected by every field named; `more` are fields that its definition adds.
    pub fn check(&self, resource: &Resource, more: &[String]) -> Result<(), UnknownField> {
        let unknown = self
            .terms
            .iter()
            .find(|term| !supported(resource, &term.field) && !more.contains(&term.field));
        unknown.map_or(Ok(()), |term| {
            Err(UnknownField {
                field: term.field.clone(),
            })
        })
    }

    /// Whether the object meets every comparison; `more` as for [`Self::check`].
    pub fn matches(
        &self,
        resource: &Resource,
        more: &[String],
        object: &Object,
    ) -> Result<bool, UnknownField> {
        self.check(resource, more)?;
        Ok(self
            .terms
            .iter()
            .all(|term| (value(resource, object, &term.field) == term.value) == term.equal))
    }

    /// Whether nothing is asked but which value the field has.
    pub fn is_only(&self, field: &str) -> bool {
        matches!(self.terms.as_slice(), [term] if term.equal && term.field == field)
    }

    /// The value that the field must equal, if the selector asks for one (`spec.nodeName` of a node agent's watch).
    pub fn requires(&self, field: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|term| term.equal && term.field == field)
            .map(|term| term.value.as_str())
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            let value = term
                .value
                .replace('\\', "\\\\")
                .replace(',', "\\,")
                .replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", term.field)?;
        }
        Ok(())
    }
}

/// The fields, besides name and namespace, by which objects of a kind can be selected.
fn fields(resource: &Resource) -> &'static [&'static str] {
    match (resource.group, resource.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

fn supported(resource: &Resource, field: &str) -> bool {
    field == "metadata.name"
        || (field == "metadata.namespace" && resource.namespaced)
        || fields(resource).contains(&field)
}

fn value(resource: &Resource, object: &Object, field: &str) -> String {
    if resource.plural == "events" && field == "source" {
        return first_of(object, &["source", "component"], &["reportingComponent"]);
    }
    if resource.plural == "events" && matches!(field, "reportingComponent" | "reportingController")
    {
        return first_of(object, &["reportingComponent"], &["source", "component"]);
    }
    let field = stored_name(field);
    let field = field.as_str();
    let path: Vec<&str> = field.split('.').collect();
    match object.get(&path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None if boolean(field) => "false".to_owned(),
        Some(Value::Null) | None if matches!(field, "status.replicas" | "status.succeeded") => {
            "0".to_owned()
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Where a field stands in stored objects, if not where its name says: upstream's own name for the number of succeeded pods,
/// and what `events.k8s.io` calls the object of an event.
fn stored_name(field: &str) -> String {
    match field.strip_prefix("regarding.") {
        Some(rest) => format!("involvedObject.{rest}"),
        None if field == "status.successful" => "status.succeeded".to_owned(),
        None => field.to_owned(),
    }
}

fn boolean(field: &str) -> bool {
    matches!(field, "spec.hostNetwork" | "spec.unschedulable")
}

fn first_of(object: &Object, first: &[&str], second: &[&str]) -> String {
    let text = object.text(first);
    if text.is_empty() {
        object.text(second).to_owned()
    } else {
        text.to_owned()
    }
}

fn split(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
        } else if let Some(last) = terms.last_mut() {
            last.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    terms
}

fn term(text: &str) -> Result<Term, String> {
    let operators = [("!=", false), ("==", true), ("=", true)];
    let found = operators
        .iter()
        .filter_map(|(symbol, equal)| Some((text.find(symbol)?, *symbol, *equal)))
        .min_by_key(|(at, symbol, _)| (*at, 2 - symbol.len()));
    let Some((at, symbol, equal)) = found else {
        return Err(format!("invalid selector: {text:?}; can't understand it"));
    };
    let field = text[..at].to_owned();
    let value = unescape(&text[at + symbol.len()..])?;
    Ok(Term {
        field,
        equal,
        value,
    })
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                _ => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence in {text:?}"
                    ));
                }
            },
            '=' => {
                return Err(format!(
                    "invalid field selector: unescaped = in value {text:?}"
                ));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::resources::{CONFIG_MAPS, EVENTS, PODS};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn one_value_of_one_field_is_all_that_is_asked() {
        let only = |text: &str| FieldSelector::parse(text).unwrap().is_only("metadata.name");
        assert!(only("metadata.name=a") && only("metadata.name==a"));
        assert!(!only("") && !only("metadata.name!=a") && !only("metadata.namespace=a"));
        assert!(!only("metadata.name=a,metadata.name=b"));
    }

    #[test]
    fn selects_pods_as_describe_node_does() {
        let selector =
            FieldSelector::parse("spec.nodeName=n,status.phase!=Failed,status.phase!=Succeeded")
                .unwrap();
        let pod = |phase: &str| {
            Object::from_value(json!({"spec": {"nodeName": "n"}, "status": {"phase": phase}}))
                .unwrap()
        };
        assert_eq!(selector.matches(&PODS, &[], &pod("Running")), Ok(true));
        assert_eq!(selector.matches(&PODS, &[], &pod("Failed")), Ok(false));
        assert_eq!(selector.requires("spec.nodeName"), Some("n"));
    }

    #[test]
    fn an_absent_field_is_empty() {
        let selector = FieldSelector::parse("spec.nodeName=").unwrap();
        assert_eq!(selector.matches(&PODS, &[], &Object::default()), Ok(true));
    }

    #[test]
    fn refuses_fields_that_are_not_indexed() {
        let selector = FieldSelector::parse("spec.nodeName=n").unwrap();
        let error = selector
            .matches(&CONFIG_MAPS, &[], &Object::default())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "field label not supported: spec.nodeName"
        );
        assert!(FieldSelector::parse("nonsense").is_err());
    }

    #[test]
    fn events_are_selected_by_source() {
        let event = Object::from_value(
            json!({"source": {"component": "scheduler"}, "involvedObject": {"uid": "u"}}),
        )
        .unwrap();
        let selector = FieldSelector::parse("source=scheduler,involvedObject.uid=u").unwrap();
        assert_eq!(selector.matches(&EVENTS, &[], &event), Ok(true));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(field in "[a-z.]{1,10}", value in "[a-z,=\\\\]{0,8}", equal: bool) {
            let selector = FieldSelector { terms: vec![Term { field, equal, value }] };
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}
