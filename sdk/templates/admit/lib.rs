//! Objects must have a label.

use osier_plugin::Plugin;
use osier_plugin::extension::{Admit, Review, Verdict, WriteOperation};
use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{Value, from_str};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    label: String,
}

struct Labelled(String);

impl Plugin for Labelled {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.label))
    }
}

impl Admit for Labelled {
    fn review(&self, review: &Review) -> Verdict {
        let object: Value = from_str(&review.object).unwrap_or_default();
        let label = object["metadata"]["labels"].get(&self.0);
        if label.is_some() || review.operation == WriteOperation::Delete {
            return Verdict::Allow;
        }
        Verdict::Deny {
            reason: format!("label {} is required here", self.0),
            field: "metadata.labels".into(),
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Labelled: admit);
