//! Answers in place of a service that is being repaired.

use osier_plugin::serde::Deserialize;
use osier_plugin::{CheckNothing, Decision, Plugin};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    message: String,
}

struct Maintenance(String);

impl Plugin for Maintenance {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.message))
    }
}

impl CheckNothing for Maintenance {
    fn check(&self) -> Decision {
        Decision::deny(503)
            .because("maintenance")
            .header("retry-after", "60")
            .body(self.0.as_str())
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Maintenance: checknothing);
