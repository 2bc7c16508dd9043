//! `list`: allows or denies by membership of a value in a list of strings, address ranges or patterns, written down or kept at a URL.

mod entries;
mod provided;

use osier_plugin::serde::Deserialize;
use osier_plugin::{Decision, ListEntry, Period, Plugin};

use entries::{Entries, Kind};
use provided::Provided;

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default, rename = "type")]
    kind: Kind,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    entries: Vec<String>,
    provider_url: Option<String>,
    refresh_interval: Option<Period>,
    ttl: Option<Period>,
    #[serde(default = "forbidden")]
    status: u16,
    #[serde(default)]
    body: String,
    valid_for: Option<Period>,
}

fn forbidden() -> u16 {
    403
}

/// What being on the list means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(crate = "osier_plugin::serde")]
enum Mode {
    /// Only what is on the list passes.
    #[default]
    Allow,
    /// What is on the list does not pass.
    Deny,
}

/// The plugin.
struct List {
    entries: Entries,
    provided: Option<Provided>,
    config: Config,
}

impl Plugin for List {
    type Config = Config;

    fn configure(mut config: Config) -> Result<Self, String> {
        if !(400..600).contains(&config.status) {
            return Err(format!(
                "status: {} is not a refusal; use 400 to 599",
                config.status
            ));
        }
        let provided = Provided::new(&config)?;
        let entries = std::mem::take(&mut config.entries);
        if entries.is_empty() && provided.is_none() {
            return Err("entries: name some, or a providerUrl that does".into());
        }
        let entries = Entries::new(config.kind, entries);
        let entries = entries.map_err(|error| format!("entries{error}"))?;
        Ok(Self {
            entries,
            provided,
            config,
        })
    }
}

impl List {
    /// Whether the value is on the list; what is written down needs nobody else.
    fn contains(&self, value: &str) -> Result<bool, String> {
        match &self.provided {
            _ if self.entries.contains(value) => Ok(true),
            None => Ok(false),
            Some(provided) => provided.contains(value),
        }
    }

    fn refusal(&self, reason: String) -> Decision {
        let config = &self.config;
        Decision::deny(config.status)
            .because(reason)
            .body(config.body.as_str())
    }
}

impl ListEntry for List {
    fn check(&self, value: &str) -> Decision {
        let config = &self.config;
        let listed = match self.contains(value) {
            Ok(listed) => listed,
            // Nobody knows. The host sees that the list could not be had, and goes by the failure policy.
            Err(reason) => return self.refusal(reason),
        };
        let decision = if listed == (config.mode == Mode::Allow) {
            Decision::allow()
        } else {
            let place = if listed { "is on" } else { "is not on" };
            self.refusal(format!("`{value}` {place} the list"))
        };
        match config.valid_for {
            Some(Period(time)) => decision.valid_for(time),
            None => decision,
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(List: listentry);

#[cfg(test)]
mod tests;
