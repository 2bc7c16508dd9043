//! `require-labels`: objects must have labels; some are filled in, others refused for want of them.

use std::collections::BTreeMap;

use osier_plugin::Plugin;
use osier_plugin::extension::{Admit, Review, Verdict, WriteOperation};
use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{Value, from_str, json};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    defaults: BTreeMap<String, String>,
}

/// The plugin.
struct RequireLabels(Config);

impl Plugin for RequireLabels {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }
}

impl RequireLabels {
    fn judge(&self, object: &Value) -> Verdict {
        let labels = &object["metadata"]["labels"];
        let lacks = |label: &&String| labels.get(label.as_str()).is_none();
        let given = |label: &&String| self.0.defaults.contains_key(label.as_str());
        if let Some(label) = self.0.labels.iter().find(|l| lacks(l) && !given(l)) {
            return Verdict::Deny {
                reason: format!("label {label} is required here"),
                field: "metadata.labels".to_owned(),
            };
        }
        let missing: Vec<_> = self.0.defaults.iter().filter(|(l, _)| lacks(l)).collect();
        if missing.is_empty() {
            return Verdict::Allow;
        }
        let mut patch = Vec::new();
        if !labels.is_object() {
            patch.push(json!({"op": "add", "path": "/metadata/labels", "value": {}}));
        }
        for (label, value) in missing {
            let path = format!(
                "/metadata/labels/{}",
                label.replace('~', "~0").replace('/', "~1")
            );
            patch.push(json!({"op": "add", "path": path, "value": value}));
        }
        Verdict::Patch(Value::from(patch).to_string())
    }
}

impl Admit for RequireLabels {
    fn review(&self, review: &Review) -> Verdict {
        if review.operation == WriteOperation::Delete {
            return Verdict::Allow;
        }
        match from_str(&review.object) {
            Ok(object) => self.judge(&object),
            Err(error) => Verdict::Deny {
                reason: format!("the object is no JSON: {error}"),
                field: String::new(),
            },
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(RequireLabels: admit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_is_refused_or_filled_in() {
        let config = Config {
            labels: vec!["team".into()],
            defaults: BTreeMap::from([("a/tier".into(), "web".into())]),
        };
        let plugin = RequireLabels(config);
        let refused = plugin.judge(&json!({"metadata": {}}));
        assert!(matches!(refused, Verdict::Deny { field, .. } if field == "metadata.labels"));
        let filled = plugin.judge(&json!({"metadata": {"labels": {"team": "x"}}}));
        let patch = r#"[{"op":"add","path":"/metadata/labels/a~1tier","value":"web"}]"#;
        assert_eq!(filled, Verdict::Patch(patch.to_owned()));
        let whole = json!({"metadata": {"labels": {"team": "x", "a/tier": "db"}}});
        assert_eq!(plugin.judge(&whole), Verdict::Allow);
    }
}
