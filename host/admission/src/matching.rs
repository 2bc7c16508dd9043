//! [`Matcher`]: which writes a policy or a webhook is about.

use osier_api::selector::LabelSelector;
use osier_api::{Object, Resource};
use serde_json::Value;

use crate::attributes::Attributes;

/// What writes must be to matter.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// None of a binding that says nothing: then all.
    rules: Option<Vec<Rule>>,
    excluded: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// Whether versions that are not named count by those that are.
    equivalent: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    groups: Vec<String>,
    versions: Vec<String>,
    operations: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    scope: String,
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == "*" || one == wanted)
}

impl Rule {
    fn read(value: &Value) -> Self {
        Self {
            groups: texts(&value["apiGroups"]),
            versions: texts(&value["apiVersions"]),
            operations: texts(&value["operations"]),
            resources: texts(&value["resources"]),
            names: texts(&value["resourceNames"]),
            scope: value["scope"].as_str().unwrap_or("*").to_owned(),
        }
    }

    fn all(value: &Value) -> Vec<Self> {
        let all = value.as_array().into_iter().flatten();
        all.map(Self::read).collect()
    }

    /// The version by which the rule matches.
    fn matches<'r>(&self, asked: &Attributes<'r>, equivalent: bool) -> Option<&'r str> {
        let scoped = match self.scope.as_str() {
            "Cluster" => !asked.resource.namespaced,
            "Namespaced" => asked.resource.namespaced,
            _ => true,
        };
        let named = self.names.is_empty() || self.names.iter().any(|name| name == asked.name);
        let fits = scoped
            && named
            && has(&self.operations, asked.operation.as_str())
            && has(&self.groups, asked.resource.group)
            && self.has_resource(asked);
        let own = has(&self.versions, asked.version).then_some(asked.version);
        let others = asked.resource.versions.iter().filter(|_| equivalent);
        let other = || others.copied().find(|version| has(&self.versions, version));
        fits.then(|| own.or_else(other)).flatten()
    }

    fn has_resource(&self, asked: &Attributes<'_>) -> bool {
        self.resources.iter().any(|one| {
            let (resource, part) = one.split_once('/').unwrap_or((one, ""));
            let main = resource == "*" || resource == asked.resource.plural;
            main && (part == asked.subresource || part == "*")
        })
    }
}

impl Matcher {
    /// Reads `matchConstraints`, `matchResources`, or a webhook.
    pub fn read(said: &Value) -> Self {
        let rules = said.get("resourceRules").or_else(|| said.get("rules"));
        let selector = |field: &str| LabelSelector::from_object(&said[field]).unwrap_or_default();
        Self {
            rules: rules.map(Rule::all).filter(|rules| !rules.is_empty()),
            excluded: Rule::all(&said["excludeResourceRules"]),
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
            equivalent: said["matchPolicy"] != "Exact",
        }
    }

    /// The version in which the write is judged, if it matters at all; `namespace` is the one that it is in, or is.
    pub fn matches<'r>(
        &self,
        asked: &Attributes<'r>,
        namespace: Option<&Object>,
    ) -> Option<&'r str> {
        if is_exempt(asked.resource) {
            return None;
        }
        let version = match &self.rules {
            None => Some(asked.version),
            Some(rules) => {
                let mut all = rules.iter();
                all.find_map(|rule| rule.matches(asked, self.equivalent))
            }
        }?;
        let mut excluded = self.excluded.iter();
        if excluded.any(|rule| rule.matches(asked, self.equivalent).is_some()) {
            return None;
        }
        let placed = self.namespaces.is_empty()
            || namespace.is_none_or(|namespace| self.namespaces.selects(namespace));
        let chosen = |value: &Value| {
            let object = Object::from_value(value.clone()).unwrap_or_default();
            !value.is_null() && self.objects.selects(&object)
        };
        let labelled = self.objects.is_empty() || chosen(asked.object) || chosen(asked.old);
        (placed && labelled).then_some(version)
    }

    /// Every group, version and plural that is named without a star.
    pub fn concrete(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        for rule in self.rules.iter().flatten() {
            for group in &rule.groups {
                for version in &rule.versions {
                    let plain = rule.resources.iter().filter(|one| !one.contains('/'));
                    found.extend(plain.map(|one| (group.clone(), version.clone(), one.clone())));
                }
            }
        }
        found.retain(|(group, version, plural)| {
            ![group, version, plural].iter().any(|one| *one == "*")
        });
        found
    }
}

/// Whether objects of a kind are judged by nobody: those that say who judges, so that no mistake in one locks people out of it.
fn is_exempt(resource: &Resource) -> bool {
    resource.group == "admissionregistration.k8s.io"
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use osier_api::resources::{HORIZONTAL_POD_AUTOSCALERS, PODS};
    use serde_json::json;

    use super::*;
    use crate::attributes::Operation;

    fn asked(resource: &'static Resource, version: &'static str) -> Attributes<'static> {
        Attributes {
            resource,
            version,
            subresource: "",
            operation: Operation::Create,
            namespace: "default",
            name: "a",
            user: &Value::Null,
            dry_run: false,
            object: &Value::Null,
            old: &Value::Null,
        }
    }

    fn matches(said: Value, asked: &Attributes<'static>) -> Option<&'static str> {
        let labels = json!({"metadata": {"name": "default", "labels": {"env": "dev"}}});
        let namespace = Object::from_value(labels).unwrap();
        Matcher::read(&said).matches(asked, Some(&namespace))
    }

    fn rule(resource: &str) -> Value {
        json!({"apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]})
    }

    #[test]
    fn a_rule_names_operations_kinds_and_parts() {
        let pods = asked(&PODS, "v1");
        let matched = |resource: &str| matches(json!({"rules": [rule(resource)]}), &pods);
        for resource in ["pods", "*", "pods/*", "*/*"] {
            assert_eq!(matched(resource), Some("v1"), "{resource}");
        }
        for resource in ["services", "pods/status", "*/status"] {
            assert_eq!(matched(resource), None, "{resource}");
        }
        let status = Attributes {
            subresource: "status",
            ..pods.clone()
        };
        assert_eq!(
            matches(json!({"rules": [rule("*/status")]}), &status),
            Some("v1")
        );
        assert_eq!(matches(json!({"rules": [rule("pods")]}), &status), None);
        let gone = Attributes {
            operation: Operation::Delete,
            ..pods
        };
        assert_eq!(matches(json!({"rules": [rule("*")]}), &gone), None);
    }

    #[test]
    fn other_versions_count_unless_they_must_be_exact() {
        let scaler = asked(&HORIZONTAL_POD_AUTOSCALERS, "v2");
        let said = json!({"resourceRules": [rule("horizontalpodautoscalers")]});
        assert_eq!(
            matches(said.clone(), &scaler),
            Some("v1"),
            "judged in the version that is named"
        );
        let mut exact = said;
        exact["matchPolicy"] = json!("Exact");
        assert_eq!(matches(exact, &scaler), None);
    }

    #[test]
    fn selectors_names_scopes_and_exceptions_narrow() {
        let pods = asked(&PODS, "v1");
        let mut named = rule("pods");
        named["resourceNames"] = json!(["b"]);
        let mut wide = rule("pods");
        wide["scope"] = json!("Cluster");
        let here = json!({"matchLabels": {"env": "dev"}});
        let there = json!({"matchLabels": {"env": "prod"}});
        for (said, fits) in [
            (
                json!({"rules": [rule("pods")], "namespaceSelector": here}),
                true,
            ),
            (
                json!({"rules": [rule("pods")], "namespaceSelector": there}),
                false,
            ),
            (
                json!({"rules": [rule("pods")], "objectSelector": there}),
                false,
            ),
            (json!({"rules": [named]}), false),
            (json!({"rules": [wide]}), false),
            (
                json!({"resourceRules": [rule("*")], "excludeResourceRules": [rule("pods")]}),
                false,
            ),
            (json!({}), true),
        ] {
            assert_eq!(matches(said.clone(), &pods).is_some(), fits, "{said}");
        }
    }
}
