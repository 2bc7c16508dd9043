//! Where in an object something stands, while it is read.

use osier_api::Object;
use serde_json::Value;

use crate::fault::Fault;

/// A part of an object with its path.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// What stands there; null if nothing does.
    pub value: &'a Value,
    /// Where it stands.
    pub path: String,
}

impl<'a> Field<'a> {
    /// An object's spec.
    pub fn spec(object: &'a Object) -> Self {
        Self {
            value: object.get(&["spec"]).unwrap_or(&Value::Null),
            path: "spec".to_owned(),
        }
    }

    /// A member.
    pub fn at(&self, key: &str) -> Self {
        Self {
            value: &self.value[key],
            path: format!("{}.{key}", self.path),
        }
    }

    /// The elements of a list; what is no list has none.
    pub fn each(&self) -> Vec<Self> {
        let all = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let indexed = all.iter().enumerate();
        let element = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
        };
        indexed.map(element).collect()
    }

    /// Its text; empty if it is none.
    pub fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The members that stand here beside those that are known.
    pub fn unknown(&self, known: &[&str]) -> Vec<Fault> {
        let members = self.value.as_object().into_iter().flatten();
        let unknown = members.filter(|(key, _)| !known.contains(&key.as_str()));
        let fault = |(key, _): (&String, &Value)| {
            let path = format!("{}.{key}", self.path);
            Fault::new(path, format!("is not known; expected {}", known.join(", ")))
        };
        unknown.map(fault).collect()
    }
}
