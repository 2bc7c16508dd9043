//! [`At`]: a value and its path, so that a rule can say where it is broken.

use serde_json::{Map, Value};

use osier_api::{Fault, Object};

/// A value, perhaps absent, and its dotted path.
#[derive(Debug, Clone)]
pub struct At<'a> {
    /// The path, with dots and brackets.
    pub path: String,
    /// The value; null if it is absent.
    pub value: &'a Value,
}

impl<'a> At<'a> {
    /// A field of an object.
    pub fn of(object: &'a Object, field: &str) -> Self {
        Self {
            path: field.to_owned(),
            value: object.get(&[field]).unwrap_or(&Value::Null),
        }
    }

    /// The value of a field of this map.
    pub fn at(&self, field: &str) -> Self {
        let value = self.value.get(field).unwrap_or(&Value::Null);
        Self {
            path: format!("{}.{field}", self.path),
            value,
        }
    }

    /// The elements of this list.
    pub fn items(&self) -> Vec<Self> {
        let list = self.value.as_array().into_iter().flatten().enumerate();
        list.map(|(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
        })
        .collect()
    }

    /// The entries of this map.
    pub fn entries(&self) -> Vec<(&'a str, Self)> {
        let map = self.value.as_object().into_iter().flatten();
        map.map(|(key, value)| {
            (
                key.as_str(),
                Self {
                    path: format!("{}.{key}", self.path),
                    value,
                },
            )
        })
        .collect()
    }

    /// The text; empty if absent.
    pub fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or("")
    }

    /// The whole number, if it is one.
    pub fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        self.value == &Value::Bool(true)
    }

    /// Present, and not an empty text, list or map.
    pub fn is_set(&self) -> bool {
        match self.value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        }
    }

    /// Whether it is there, however empty.
    pub fn is_present(&self) -> bool {
        !self.value.is_null()
    }

    /// The map, if it is one.
    pub fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// It must be there.
    pub fn required(&self, detail: &str) -> Fault {
        Fault::required(&self.path, detail)
    }

    /// It breaks a rule.
    pub fn invalid(&self, detail: impl Into<String>) -> Fault {
        Fault::invalid(&self.path, self.value.clone(), detail)
    }

    /// It must not be there.
    pub fn forbidden(&self, detail: &str) -> Fault {
        Fault::forbidden(&self.path, detail)
    }

    /// It stands a second time.
    pub fn duplicate(&self) -> Fault {
        Fault::duplicate(&self.path, self.value.clone())
    }

    /// Required, or the words of every rule in `rule` that the text breaks.
    pub fn name(&self, rule: impl Fn(&str) -> Vec<String>) -> Vec<Fault> {
        if !self.is_set() {
            return vec![self.required("")];
        }
        self.optional_name(rule)
    }

    /// As [`At::name`], but it may be absent.
    pub fn optional_name(&self, rule: impl Fn(&str) -> Vec<String>) -> Vec<Fault> {
        if !self.is_set() {
            return Vec::new();
        }
        rule(self.text())
            .into_iter()
            .map(|words| self.invalid(words))
            .collect()
    }

    /// One of the words, if set.
    pub fn one_of(&self, words: &[&str]) -> Option<Fault> {
        let fits = !self.is_set() || words.contains(&self.text());
        (!fits).then(|| Fault::not_supported(&self.path, self.value.clone(), words))
    }

    /// A number of at least `least`, if set.
    pub fn at_least(&self, least: i64) -> Option<Fault> {
        let few = self.int().is_some_and(|number| number < least);
        few.then(|| self.invalid(format!("must be greater than or equal to {least}")))
    }

    /// A duration, if set.
    pub fn duration(&self) -> Option<Fault> {
        let text = self.value.as_str()?;
        osier_api::duration::parse(text)
            .err()
            .map(|error| self.invalid(error.to_string()))
    }
}

/// Faults for every value that stands a second time.
pub fn unique<'a>(values: impl IntoIterator<Item = At<'a>>) -> Vec<Fault> {
    let mut seen: Vec<&Value> = Vec::new();
    let mut faults = Vec::new();
    for at in values.into_iter().filter(At::is_set) {
        if seen.contains(&at.value) {
            faults.push(at.duplicate());
        }
        seen.push(at.value);
    }
    faults
}
