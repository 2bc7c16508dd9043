//! Where in an object something stands, while it is read.

use serde_json::Value;

use crate::fault::Fault;

/// A part of an object with its path.
pub(crate) struct Field<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
}

impl<'a> Field<'a> {
    pub(crate) fn at(&self, key: &str) -> Self {
        Self {
            value: &self.value[key],
            path: format!("{}.{key}", self.path),
        }
    }

    /// The elements of a list; what is no list has none.
    pub(crate) fn each(&self) -> Vec<Self> {
        let all = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let indexed = all.iter().enumerate();
        let element = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
        };
        indexed.map(element).collect()
    }

    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The members that stand here beside those that are known.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<Fault> {
        let members = self.value.as_object().into_iter().flatten();
        let unknown = members.filter(|(key, _)| !known.contains(&key.as_str()));
        let fault = |(key, _): (&String, &Value)| {
            let path = format!("{}.{key}", self.path);
            Fault::new(path, format!("is not known; expected {}", known.join(", ")))
        };
        unknown.map(fault).collect()
    }
}
