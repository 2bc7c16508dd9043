//! Lets through the holders of known keys.

use std::collections::BTreeMap;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::ApiKeyInstance;
use osier_plugin::{ApiKey, Decision, Plugin};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    keys: BTreeMap<String, String>,
}

struct Keys(BTreeMap<String, String>);

impl Plugin for Keys {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.keys))
    }
}

impl ApiKey for Keys {
    fn check(&self, question: &ApiKeyInstance) -> Decision {
        match self.0.get(&question.api_key) {
            Some(consumer) => Decision::allow().request_header("x-consumer", consumer),
            None if question.api_key.is_empty() => Decision::deny(401).because("no key"),
            None => Decision::deny(401).because("unknown key"),
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Keys: apikey);
