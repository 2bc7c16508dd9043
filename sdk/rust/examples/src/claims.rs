//! Required claims: template `authorization`.

use std::time::Duration;

use osier_plugin::types::{AuthorizationInstance, Value};
use osier_plugin::{Authorization, Decision};

use crate::Examples;

impl Authorization for Examples {
    fn check(&self, question: &AuthorizationInstance) -> Decision {
        let properties = &question.subject.properties;
        let claims = properties
            .iter()
            .find_map(|(name, value)| match value {
                Value::Texts(texts) if name == "claims" => Some(texts.as_slice()),
                _ => None,
            })
            .unwrap_or_default();
        for wanted in &self.0.claims {
            if !claims.iter().any(|(name, value)| (name, value) == wanted) {
                let reason = format!("claim {} must be {}", wanted.0, wanted.1);
                return Decision::deny(403).because(reason);
            }
        }
        let tier = self.0.claims.get("tier").map_or("", String::as_str);
        Decision::allow()
            .request_header("x-user", question.subject.user.as_str())
            .header("x-tier", tier)
            .valid_for(Duration::from_secs(1))
    }
}
