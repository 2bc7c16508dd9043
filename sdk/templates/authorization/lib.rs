//! Lets everybody read, and only admins write.

use osier_plugin::serde::Deserialize;
use osier_plugin::types::AuthorizationInstance;
use osier_plugin::{Authorization, Decision, Plugin};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    admins: Vec<String>,
}

struct OnlyAdmins(Vec<String>);

impl Plugin for OnlyAdmins {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.admins))
    }
}

impl Authorization for OnlyAdmins {
    fn check(&self, question: &AuthorizationInstance) -> Decision {
        if question.action.method == "GET" {
            Decision::allow()
        } else if self.0.contains(&question.subject.user) {
            Decision::allow().request_header("x-role", "admin")
        } else {
            Decision::deny(403).because("not an admin").body("Admins only.\n")
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(OnlyAdmins: authorization);
