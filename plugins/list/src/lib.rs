//! `list`: allows or denies by membership of a value in a list of strings, address ranges or patterns.

mod entries;

use osier_plugin::serde::Deserialize;
use osier_plugin::{Decision, ListEntry, Period, Plugin};

use entries::{Entries, Kind};

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
    entries: Vec<String>,
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
        let entries = Entries::new(config.kind, std::mem::take(&mut config.entries))?;
        Ok(Self { entries, config })
    }
}

impl ListEntry for List {
    fn check(&self, value: &str) -> Decision {
        let config = &self.config;
        let listed = self.entries.contains(value);
        let decision = if listed == (config.mode == Mode::Allow) {
            Decision::allow()
        } else {
            let place = if listed { "is on" } else { "is not on" };
            Decision::deny(config.status)
                .because(format!("`{value}` {place} the list"))
                .body(config.body.as_str())
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    fn passes(config: &str, value: &str) -> bool {
        !make::<List>(config).unwrap().check(value).is_denied()
    }

    #[test]
    fn an_allow_list_admits_only_its_entries_and_a_deny_list_all_others() {
        let allow = r#"{"entries": ["a", "b"]}"#;
        assert!(passes(allow, "a") && !passes(allow, "c") && !passes(allow, "A"));
        let deny = r#"{"mode": "Deny", "entries": ["a"]}"#;
        assert!(!passes(deny, "a") && passes(deny, "c"));
    }

    #[test]
    fn case_may_be_ignored() {
        let list = r#"{"type": "CASE_INSENSITIVE_STRINGS", "entries": ["Alice"]}"#;
        assert!(passes(list, "aLICE") && !passes(list, "bob"));
    }

    #[test]
    fn addresses_match_ranges_and_what_is_no_address_is_not_on_the_list() {
        let list =
            r#"{"type": "IP_ADDRESSES", "entries": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]}"#;
        assert!(
            passes(list, "10.1.2.3") && passes(list, "2001:db8::1") && passes(list, "192.0.2.7")
        );
        assert!(passes(list, "::ffff:10.1.2.3"), "mapped IPv4");
        assert!(!passes(list, "11.1.2.3") && !passes(list, "192.0.2.8") && !passes(list, "ten"));
    }

    #[test]
    fn patterns_match_whole_values() {
        let list = r#"{"type": "REGEX", "entries": ["/api/v[0-9]+", "/health"]}"#;
        assert!(passes(list, "/api/v12") && passes(list, "/health"));
        assert!(!passes(list, "/api/v1/secret") && !passes(list, "x/health"));
    }

    #[test]
    fn a_bad_entry_is_named_by_its_place() {
        for (config, place) in [
            (
                r#"{"type": "IP_ADDRESSES", "entries": ["10.0.0.1", "10.0.0.0/99"]}"#,
                "entries[1]",
            ),
            (r#"{"type": "REGEX", "entries": ["("]}"#, "entries[0]"),
            (r#"{"entries": ["a"], "status": 200}"#, "status"),
        ] {
            let error = make::<List>(config).err().unwrap();
            assert!(error.contains(place), "{error}");
        }
    }
}
