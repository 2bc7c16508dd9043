//! The example plugins of every SDK, in one component: an allow-list, a token bucket, required claims, a check of bodies, and one for each hook
//! that places or admits.

mod allow_list;
mod body;
mod claims;
mod placement;
mod token_bucket;

use std::collections::BTreeMap;

use osier_plugin::Plugin;
use osier_plugin::serde::Deserialize;

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields, default)]
struct Config {
    allow: Vec<String>,
    limit: u64,
    claims: BTreeMap<String, String>,
    required: Vec<String>,
    reserved: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            limit: 100,
            claims: BTreeMap::new(),
            required: Vec::new(),
            reserved: Vec::new(),
        }
    }
}

struct Examples(Config);

impl Plugin for Examples {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.limit == 0 {
            return Err("limit: must be at least 1".into());
        }
        Ok(Self(config))
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(
    Examples: listentry, quota, authorization, request_filter, route, balance, admit, schedule
);
