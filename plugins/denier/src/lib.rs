//! `denier`: refuses every call that a policy sends to it, with the status, headers and body of its configuration.

use std::collections::BTreeMap;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::{ApiKeyInstance, AuthorizationInstance, QuotaInstance};
use osier_plugin::{
    ApiKey, Authorization, CheckNothing, Decision, ListEntry, Outcome, Period, Plugin, Quota,
};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default = "forbidden")]
    status: u16,
    #[serde(default)]
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    reason: Option<String>,
    valid_for: Option<Period>,
    valid_uses: Option<u32>,
}

fn forbidden() -> u16 {
    403
}

/// The plugin: one ready answer.
struct Denier(Config);

impl Plugin for Denier {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if !(400..600).contains(&config.status) {
            return Err(format!(
                "status: {} is not a refusal; use 400 to 599",
                config.status
            ));
        }
        Ok(Self(config))
    }
}

impl Denier {
    fn reason(&self) -> String {
        self.0
            .reason
            .clone()
            .unwrap_or_else(|| "denied by configuration".into())
    }

    fn refusal(&self) -> Decision {
        let config = &self.0;
        let mut decision = Decision::deny(config.status)
            .because(self.reason())
            .body(config.body.as_str());
        for (name, value) in &config.headers {
            decision = decision.header(name.as_str(), value.as_str());
        }
        if let Some(Period(time)) = config.valid_for {
            decision = decision.valid_for(time);
        }
        match config.valid_uses {
            Some(uses) => decision.valid_uses(uses),
            None => decision,
        }
    }
}

impl CheckNothing for Denier {
    fn check(&self) -> Decision {
        self.refusal()
    }
}

impl ListEntry for Denier {
    fn check(&self, _: &str) -> Decision {
        self.refusal()
    }
}

impl Authorization for Denier {
    fn check(&self, _: &AuthorizationInstance) -> Decision {
        self.refusal()
    }
}

impl ApiKey for Denier {
    fn check(&self, _: &ApiKeyInstance) -> Decision {
        self.refusal()
    }
}

impl Quota for Denier {
    fn allocate(&self, _: &QuotaInstance) -> Outcome {
        let headers = self.0.headers.clone().into_iter().collect();
        Outcome::Refused {
            reason: self.reason(),
            retry_after: self.0.valid_for.map(|Period(time)| time),
            headers,
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Denier: checknothing, listentry, authorization, apikey, quota);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    #[test]
    fn an_empty_configuration_denies_with_403() {
        let denier: Denier = make("{}").unwrap();
        assert_eq!(CheckNothing::check(&denier).status(), Some(403));
    }

    #[test]
    fn a_status_that_is_no_refusal_is_an_error_that_says_so() {
        let error = make::<Denier>(r#"{"status": 200}"#).err().unwrap();
        assert!(error.contains("status: 200"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_it() {
        let error = make::<Denier>(r#"{"stauts": 404}"#).err().unwrap();
        assert!(error.contains("stauts"), "{error}");
    }

    #[test]
    fn a_quota_is_refused_too() {
        let denier: Denier = make(r#"{"validFor": "2s", "reason": "closed"}"#).unwrap();
        let request = QuotaInstance {
            dimensions: Vec::new(),
            amount: 1,
            best_effort: false,
            deduplication_id: String::new(),
        };
        let refused = Outcome::Refused {
            reason: "closed".into(),
            retry_after: Some(std::time::Duration::from_secs(2)),
            headers: Vec::new(),
        };
        assert_eq!(denier.allocate(&request), refused);
    }
}
