//! Reading an object field by field, such that no field is passed over in silence.
//!
//! A [`Fields`] remembers what was asked of it. When it is dropped, every field that is present and that nobody asked for becomes
//! a finding "not applied yet". So a front end reads what it honours and cannot forget to report the rest.

use std::time::Duration;

use osier_api::Object;
use serde_json::{Map, Value};

use osier_standing::{FindingKind, Findings};

/// The fields of one JSON object inside an API object.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    asked: Vec<&'static str>,
    findings: &'a Findings,
}

impl<'a> Fields<'a> {
    /// Reads `value`, which stands at `path`. Something else than an object is a finding.
    pub fn new(value: &'a Value, path: String, findings: &'a Findings) -> Option<Self> {
        match value.as_object() {
            Some(map) => Some(Self {
                map,
                path,
                asked: Vec::new(),
                findings,
            }),
            None => {
                findings.add(
                    FindingKind::Invalid,
                    path,
                    "must be an object; it is ignored",
                );
                None
            }
        }
    }

    /// Reads an object's `spec`; an object without one says nothing.
    pub fn spec(object: &'a Object, findings: &'a Findings) -> Option<Self> {
        Self::new(object.get(&["spec"])?, "spec".into(), findings)
    }

    /// The value of a field that is present and not null.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A truth value.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A number with a fraction.
    pub fn share(&mut self, key: &'static str) -> Option<f64> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A number that fits its type.
    pub fn number<N: TryFrom<u64>>(&mut self, key: &'static str) -> Option<N> {
        self.typed(key, "a number in range", |value| {
            N::try_from(value.as_u64()?).ok()
        })
    }

    /// A time as Go writes it.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.typed(key, "a duration such as 1.5s, 100ms, 1h", |value| {
            duration(value.as_str()?)
        })
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let typed = read(value);
        if typed.is_none() {
            self.invalid(key, format!("must be {what}; it is ignored"));
        }
        typed
    }

    /// The fields of an object inside.
    pub fn object(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let value = self.value(key)?;
        Self::new(value, self.at(key), self.findings)
    }

    /// The elements of a list, each with its path.
    pub fn list(&mut self, key: &'static str) -> Vec<(String, &'a Value)> {
        let Some(items) = self.typed(key, "a list", Value::as_array) else {
            return Vec::new();
        };
        (0..)
            .zip(items)
            .map(|(index, item): (u32, _)| (format!("{}[{index}]", self.at(key)), item))
            .collect()
    }

    /// The elements of a list that are objects.
    pub fn objects(&mut self, key: &'static str) -> Vec<Fields<'a>> {
        let items = self.list(key);
        items
            .into_iter()
            .filter_map(|(path, value)| Fields::new(value, path, self.findings))
            .collect()
    }

    /// The elements of a list that are texts, each with its path.
    pub fn texts(&mut self, key: &'static str) -> Vec<(String, &'a str)> {
        let items = self.list(key);
        items
            .into_iter()
            .filter_map(|(path, value)| Some((path, value.as_str()?)))
            .collect()
    }

    /// The entries of a map from names to anything, each with its path.
    pub fn entries(&mut self, key: &'static str) -> Vec<(&'a str, String, &'a Value)> {
        let Some(map) = self.typed(key, "an object", Value::as_object) else {
            return Vec::new();
        };
        map.iter()
            .map(|(name, value)| (name.as_str(), format!("{}[{name:?}]", self.at(key)), value))
            .collect()
    }

    /// The path of a field.
    pub fn at(&self, key: &str) -> String {
        if key.is_empty() {
            self.path.clone()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// All fields, for a reader that looks at several entries as one.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// Whether a field is present, be it null.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Where findings go.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Says that a field is wrong.
    pub fn invalid(&self, key: &str, detail: impl Into<String>) {
        self.findings
            .add(FindingKind::Invalid, self.at(key), detail);
    }

    /// Says that a field is understood and not honoured.
    pub fn not_applied(&self, key: &str, detail: impl Into<String>) {
        self.findings.add(
            FindingKind::NotApplied,
            self.at(key),
            format!("not applied yet: {}", detail.into()),
        );
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for (key, value) in self.map {
            if !value.is_null() && !self.asked.iter().any(|asked| asked == key) {
                self.findings
                    .add(FindingKind::NotApplied, self.at(key), "not applied yet");
            }
        }
    }
}

/// Reads a duration as Go and protobuf JSON write it: numbers with units, one after the other.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = 0f64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        total += number.parse::<f64>().ok()? * seconds(unit)?;
        rest = tail;
    }
    Duration::try_from_secs_f64(total).ok()
}

fn seconds(unit: &str) -> Option<f64> {
    match unit {
        "h" => Some(3600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" | "µs" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_routing::kind::Kind;
    use serde_json::json;

    #[test]
    fn durations_read_as_go_writes_them() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(ms("1s"), Some(1000));
        assert_eq!(ms("1.5s"), Some(1500));
        assert_eq!(ms("1h2m3s"), Some(3_723_000));
        assert_eq!(ms("250ms"), Some(250));
        for wrong in ["", "1", "s", "1x", "-1s", "1.2.3s"] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_a_finding() {
        let findings = Findings::about(Kind::new("", "Thing"), "default", "x");
        let value =
            json!({"known": "a", "nothing": null, "mirror": {"host": "b"}, "port": "eighty"});
        {
            let mut fields = Fields::new(&value, "spec".into(), &findings).unwrap();
            assert_eq!(fields.text("known"), Some("a"));
            assert_eq!(fields.number::<u16>("port"), None);
        }
        let found: Vec<_> = findings
            .into_vec()
            .into_iter()
            .map(|f| (f.kind, f.field))
            .collect();
        assert_eq!(
            found,
            [
                (FindingKind::Invalid, "spec.port".into()),
                (FindingKind::NotApplied, "spec.mirror".into())
            ]
        );
    }
}
