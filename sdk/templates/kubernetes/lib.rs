//! Tells the team of a caller by the beginning of its address.

use std::collections::BTreeMap;
use std::time::Duration;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::KubernetesInstance;
use osier_plugin::{Facts, Kubernetes, Plugin, PodFacts};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    teams: BTreeMap<String, String>,
}

struct Teams(BTreeMap<String, String>);

impl Plugin for Teams {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.teams))
    }
}

impl Kubernetes for Teams {
    fn generate(&self, instance: &KubernetesInstance) -> Result<Facts, String> {
        let known = self
            .0
            .iter()
            .find(|(begin, _)| instance.source_ip.starts_with(*begin));
        let labels = known.map(|(_, team)| ("team".to_owned(), team.clone()));
        Ok(Facts {
            source: PodFacts {
                labels: labels.into_iter().collect(),
                ..PodFacts::default()
            },
            valid_for: Some(Duration::from_secs(60)),
            ..Facts::default()
        })
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Teams: kubernetes);
