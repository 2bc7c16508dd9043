//! `rbac`: roles say what may be done, bindings say who has them; what no binding gives is refused.

mod rules;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::AuthorizationInstance;
use osier_plugin::{Authorization, Decision, Period, Plugin};

use rules::{Binding, Role};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    roles: Vec<Role>,
    bindings: Vec<Binding>,
    #[serde(default = "forbidden")]
    status: u16,
    #[serde(default)]
    body: String,
    role_header: Option<String>,
    valid_for: Option<Period>,
}

fn forbidden() -> u16 {
    403
}

/// The plugin: each binding with its role.
struct Rbac {
    bound: Vec<(Binding, usize)>,
    config: Config,
}

impl Plugin for Rbac {
    type Config = Config;

    fn configure(mut config: Config) -> Result<Self, String> {
        if !(400..600).contains(&config.status) {
            return Err(format!(
                "status: {} is not a refusal; use 400 to 599",
                config.status
            ));
        }
        let role_of = |name: &str| config.roles.iter().position(|role| role.name == name);
        for (place, role) in config.roles.iter().enumerate() {
            if role_of(&role.name) != Some(place) {
                return Err(format!(
                    "roles[{place}].name: `{}` stands above already; add its rules there",
                    role.name
                ));
            }
        }
        let mut bound = Vec::with_capacity(config.bindings.len());
        for (place, binding) in std::mem::take(&mut config.bindings).into_iter().enumerate() {
            let role = role_of(&binding.role).ok_or_else(|| {
                let known: Vec<&str> = config.roles.iter().map(|role| &*role.name).collect();
                format!(
                    "bindings[{place}].role: there is no role `{}`; there are: {}",
                    binding.role,
                    known.join(", ")
                )
            })?;
            if binding.names_nobody() {
                return Err(format!(
                    "bindings[{place}]: names nobody; give users, groups, properties, or everybody: true"
                ));
            }
            bound.push((binding, role));
        }
        Ok(Self { bound, config })
    }
}

impl Rbac {
    /// The first role that the subject has and that allows the action.
    fn role_for(&self, question: &AuthorizationInstance) -> Option<&Role> {
        let (subject, action) = (&question.subject, &question.action);
        let mut roles = (self.bound.iter())
            .filter(|(binding, _)| binding.includes(subject))
            .filter_map(|(_, role)| self.config.roles.get(*role));
        roles.find(|role| role.allows(action))
    }
}

impl Authorization for Rbac {
    fn check(&self, question: &AuthorizationInstance) -> Decision {
        let config = &self.config;
        let decision = match (self.role_for(question), &config.role_header) {
            (Some(_), None) => Decision::allow(),
            (Some(role), Some(header)) => {
                Decision::allow().request_header(header.as_str(), role.name.as_str())
            }
            (None, _) => {
                let (subject, action) = (&question.subject, &question.action);
                let user = match subject.user.as_str() {
                    "" => "a caller without an identity",
                    user => user,
                };
                Decision::deny(config.status)
                    .because(format!(
                        "no role of {user} allows {} {} of {}.{}",
                        action.method, action.path, action.service, action.namespace
                    ))
                    .body(config.body.as_str())
            }
        };
        match config.valid_for {
            Some(Period(time)) => decision.valid_for(time),
            None => decision,
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Rbac: authorization);

#[cfg(test)]
mod tests;
