//! `Plugin.spec`, read: every wrong field at once.

use std::time::Duration;

use osier_engine::plugin::PluginLimits;
use serde_json::{Map, Value as Json};

use crate::fault::{FailurePolicy, Fault};
use osier_capabilities::unusable;
use osier_expressions::nanoseconds;
use osier_spec::nearest;

/// What a Plugin object says.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) digest: Option<String>,
    pub(crate) config: Json,
    pub(crate) clock: bool,
    pub(crate) random: bool,
    pub(crate) buckets: Vec<String>,
    pub(crate) streams: Vec<String>,
    pub(crate) meters: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Origins that may be called.
    pub(crate) http: Vec<String>,
    pub(crate) limits: PluginLimits,
    pub(crate) instances: usize,
    pub(crate) failure: FailurePolicy,
}

/// Instances of one plugin, unless it says otherwise.
const INSTANCES: usize = 8;
/// Longest deadline that a call on the request path may have.
const MAX_DEADLINE: Duration = Duration::from_secs(10);

/// Fields of the spec.
const FIELDS: &[&str] = &[
    "image",
    "digest",
    "verify",
    "config",
    "grants",
    "limits",
    "failurePolicy",
];

/// Reads the spec.
pub(crate) fn read(spec: &Json) -> Result<Spec, Vec<Fault>> {
    let mut reader = Reader { faults: Vec::new() };
    let empty = Map::new();
    let Some(root) = spec.as_object() else {
        return Err(vec![Fault::new("spec", "must be an object")]);
    };
    reader.known("spec", root, FIELDS);
    if root.get("verify").is_some_and(|verify| !verify.is_null()) {
        reader.fault("spec.verify", "nobody verified the signature, so the plugin is not loaded; a node does before it loads it");
    }
    let grants = reader.object("spec.grants", root.get("grants"));
    let grants = grants.unwrap_or(&empty);
    reader.grants(grants);
    let limits = reader.object("spec.limits", root.get("limits"));
    let limits = limits.unwrap_or(&empty);
    reader.known("spec.limits", limits, &["memory", "deadline", "instances"]);
    let spec = Spec {
        digest: reader.text("spec.digest", root.get("digest")),
        config: root
            .get("config")
            .cloned()
            .unwrap_or(Json::Object(Map::new())),
        clock: reader.flag("spec.grants.clock", grants.get("clock")),
        random: reader.flag("spec.grants.random", grants.get("random")),
        buckets: reader.texts("spec.grants.keyvalue", grants.get("keyvalue")),
        streams: reader.texts("spec.grants.logs", grants.get("logs")),
        meters: reader.meters(grants.get("metrics")),
        http: reader.texts("spec.grants.http", grants.get("http")),
        env: reader.pairs("spec.grants.env", grants.get("env")),
        limits: reader.limits(limits),
        instances: reader.instances(limits.get("instances")),
        failure: failure(
            &mut reader.faults,
            "spec.failurePolicy",
            root.get("failurePolicy"),
        )
        .unwrap_or_default(),
    };
    if reader.faults.is_empty() {
        Ok(spec)
    } else {
        Err(reader.faults)
    }
}

/// Reads a failure policy.
pub(crate) fn failure(
    faults: &mut Vec<Fault>,
    path: &str,
    value: Option<&Json>,
) -> Option<FailurePolicy> {
    match value.map(|value| value.as_str()) {
        None => None,
        Some(Some("Fail")) => Some(FailurePolicy::Fail),
        Some(Some("Ignore")) => Some(FailurePolicy::Ignore),
        Some(_) => {
            faults.push(Fault::new(path, "must be Fail or Ignore"));
            None
        }
    }
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, path: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(path, detail));
    }

    fn known(&mut self, path: &str, object: &Map<String, Json>, names: &[&str]) {
        unknown(&mut self.faults, path, object, names);
    }

    fn grants(&mut self, grants: &Map<String, Json>) {
        let known = [
            "http", "keyvalue", "logs", "metrics", "env", "clock", "random",
        ];
        self.known("spec.grants", grants, &known);
    }

    fn object<'j>(&mut self, path: &str, value: Option<&'j Json>) -> Option<&'j Map<String, Json>> {
        match value {
            None | Some(Json::Null) => None,
            Some(Json::Object(object)) => Some(object),
            Some(_) => {
                self.fault(path, "must be an object");
                None
            }
        }
    }

    fn text(&mut self, path: &str, value: Option<&Json>) -> Option<String> {
        match value {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if text.is_empty() => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(_) => {
                self.fault(path, "must be a string");
                None
            }
        }
    }

    fn flag(&mut self, path: &str, value: Option<&Json>) -> bool {
        match value {
            None | Some(Json::Null) => false,
            Some(Json::Bool(flag)) => *flag,
            Some(_) => {
                self.fault(path, "must be true or false");
                false
            }
        }
    }

    fn texts(&mut self, path: &str, value: Option<&Json>) -> Vec<String> {
        let items = match value {
            None | Some(Json::Null) => return Vec::new(),
            Some(Json::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)),
            Some(_) => {
                self.fault(path, "must be a list of names");
                return Vec::new();
            }
        };
        items.collect::<Option<Vec<_>>>().unwrap_or_else(|| {
            self.fault(path, "must be a list of names");
            Vec::new()
        })
    }

    /// Names of metrics that the plugin may show.
    fn meters(&mut self, value: Option<&Json>) -> Vec<String> {
        let path = "spec.grants.metrics";
        let names = self.texts(path, value);
        for detail in names.iter().filter_map(|name| unusable(name)) {
            self.fault(path, detail);
        }
        names
    }

    fn pairs(&mut self, path: &str, value: Option<&Json>) -> Vec<(String, String)> {
        let Some(object) = self.object(path, value) else {
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in object {
            match value.as_str() {
                Some(value) => pairs.push((name.clone(), value.to_owned())),
                None => self.fault(&format!("{path}.{name}"), "must be a string"),
            }
        }
        pairs
    }

    fn limits(&mut self, limits: &Map<String, Json>) -> PluginLimits {
        let mut read = PluginLimits::default();
        match limits.get("memory") {
            None | Some(Json::Null) => {}
            Some(value) => match bytes(value) {
                Some(memory) if memory >= 1 << 16 => read.memory = memory,
                _ => self.fault(
                    "spec.limits.memory",
                    "must be a quantity of at least 64Ki, such as 16Mi",
                ),
            },
        }
        match limits.get("deadline") {
            None | Some(Json::Null) => {}
            Some(value) => {
                let time = value.as_str().and_then(nanoseconds);
                let time = time
                    .and_then(|nanos| u64::try_from(nanos).ok())
                    .map(Duration::from_nanos);
                match time {
                    Some(time) if !time.is_zero() && time <= MAX_DEADLINE => read.deadline = time,
                    _ => self.fault(
                        "spec.limits.deadline",
                        "must be a duration up to 10s, such as 5ms",
                    ),
                }
            }
        }
        read
    }

    fn instances(&mut self, value: Option<&Json>) -> usize {
        match value {
            None | Some(Json::Null) => INSTANCES,
            Some(value) => match value.as_u64() {
                Some(count @ 1..=1024) => count as usize,
                _ => {
                    self.fault("spec.limits.instances", "must be a number from 1 to 1024");
                    INSTANCES
                }
            },
        }
    }
}

/// Reports fields that nobody reads.
pub(crate) fn unknown(
    faults: &mut Vec<Fault>,
    path: &str,
    object: &Map<String, Json>,
    names: &[&str],
) {
    for name in object.keys().filter(|name| !names.contains(&name.as_str())) {
        let hint = nearest(name, names.iter().copied())
            .map(|known| format!("; did you mean `{known}`?"))
            .unwrap_or_else(|| format!("; known are {}", names.join(", ")));
        faults.push(Fault::new(
            format!("{path}.{name}"),
            format!("is unknown{hint}"),
        ));
    }
}

/// A Kubernetes quantity of bytes.
fn bytes(value: &Json) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let text = value.as_str()?;
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match &text[digits..] {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_wrong_field_is_reported_with_its_path() {
        let faults = read(&json!({
            "imge": "x", "grants": {"keyvalue": "c", "http": "https://a"}, "verify": {},
            "limits": {"memory": "1", "deadline": "5", "instances": 0}, "failurePolicy": "Open",
        }))
        .unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.imge",
                "spec.verify",
                "spec.grants.keyvalue",
                "spec.grants.http",
                "spec.limits.memory",
                "spec.limits.deadline",
                "spec.limits.instances",
                "spec.failurePolicy"
            ]
        );
        assert!(faults[0].detail.contains("`image`"), "{}", faults[0]);
    }

    #[test]
    fn limits_are_read_in_kubernetes_units() {
        let spec = read(&json!({"limits": {"memory": "32Mi", "deadline": "20ms", "instances": 3}}))
            .unwrap();
        assert_eq!(spec.limits.memory, 32 << 20);
        assert_eq!(spec.limits.deadline, Duration::from_millis(20));
        assert_eq!((spec.instances, spec.failure), (3, FailurePolicy::Fail));
    }
}
