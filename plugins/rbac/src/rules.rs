//! Whom a binding includes and what a role allows.

use std::collections::BTreeMap;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::{Action, Subject, Value};

/// Names and the values that each may have.
type Wanted = BTreeMap<String, Vec<String>>;

/// What may be done.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) name: String,
    rules: Vec<Rule>,
}

/// Kinds of calls. What is empty may be anything.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Rule {
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    not_paths: Vec<String>,
    #[serde(default)]
    properties: Wanted,
}

/// Who has a role.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
pub(crate) struct Binding {
    pub(crate) role: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    everybody: bool,
    #[serde(default)]
    properties: Wanted,
}

impl Role {
    /// True if one of its rules fits.
    pub(crate) fn allows(&self, action: &Action) -> bool {
        self.rules.iter().any(|rule| rule.fits(action))
    }
}

impl Rule {
    fn fits(&self, action: &Action) -> bool {
        let open = |patterns: &[String], value: &str| patterns.is_empty() || any(patterns, value);
        open(&self.namespaces, &action.namespace)
            && open(&self.services, &action.service)
            && open(&self.methods, &action.method)
            && open(&self.paths, &action.path)
            && !any(&self.not_paths, &action.path)
            && have(&self.properties, &action.properties)
    }
}

impl Binding {
    /// True if nobody could ever be meant: a mistake, not a wish.
    pub(crate) fn names_nobody(&self) -> bool {
        let nobody = self.users.is_empty() && self.groups.is_empty() && self.properties.is_empty();
        nobody && !self.everybody
    }

    /// Users and groups are alternatives; properties narrow them, or stand alone.
    pub(crate) fn includes(&self, subject: &Subject) -> bool {
        let named = !self.users.is_empty() || !self.groups.is_empty();
        let user = !subject.user.is_empty() && any(&self.users, &subject.user);
        let group = || subject.groups.iter().any(|group| any(&self.groups, group));
        (self.everybody || !named || user || group()) && have(&self.properties, &subject.properties)
    }
}

fn any(patterns: &[String], value: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, value))
}

/// `*` at one end stands for anything.
fn fits(pattern: &str, value: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => value.starts_with(start),
        (None, Some(end)) => value.ends_with(end),
        (None, None) => value == pattern,
    }
}

/// True if each wanted name is there with one of its values.
fn have(wanted: &Wanted, properties: &[(String, Value)]) -> bool {
    wanted.iter().all(|(name, values)| {
        let mut own = properties.iter().filter(|(known, _)| known == name);
        own.any(|(_, value)| text(value).is_some_and(|value| any(values, &value)))
    })
}

/// A property that has one text; lists, maps, times and what is absent have none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Absent | Value::Time(_) | Value::Span(_) | Value::Texts(_) => None,
    }
}
