//! Turns away callers by name.

use osier_plugin::{Decision, ListEntry, Plugin, serde::Deserialize};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    blocked: Vec<String>,
}

struct Blocker(Vec<String>);

impl Plugin for Blocker {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.blocked))
    }
}

impl ListEntry for Blocker {
    fn check(&self, value: &str) -> Decision {
        if self.0.iter().any(|name| name == value) {
            Decision::deny(403).because("blocked by name")
        } else {
            Decision::allow()
        }
    }
}

osier_plugin::export!(Blocker: listentry);
