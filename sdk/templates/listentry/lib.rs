//! Lets through what is on a list.

use osier_plugin::serde::Deserialize;
use osier_plugin::{Decision, ListEntry, Plugin};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    allow: Vec<String>,
}

struct AllowList(Vec<String>);

impl Plugin for AllowList {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.allow))
    }
}

impl ListEntry for AllowList {
    fn check(&self, value: &str) -> Decision {
        if self.0.iter().any(|allowed| allowed == value) {
            Decision::allow()
        } else {
            Decision::deny(403).because("not on the list")
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(AllowList: listentry);
