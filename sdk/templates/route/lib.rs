//! A header names the subset that a request goes to, and a cookie remembers it.

use osier_plugin::Plugin;
use osier_plugin::extension::{Candidate, Choice, Request, Route};
use osier_plugin::filter::Headers;
use osier_plugin::serde::Deserialize;

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    header: String,
}

struct Variant(String);

impl Plugin for Variant {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.header))
    }
}

impl Route for Variant {
    fn choose(&self, _: &Request, headers: Headers<'_>, all: &[Candidate]) -> Option<Choice> {
        let wanted = headers.get(&self.0)?;
        let place = all.iter().position(|one| one.subset == wanted)?;
        Some(Choice::of(place).response_header("set-cookie", format!("variant={wanted}")))
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Variant: route);
