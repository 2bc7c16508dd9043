//! `metrics`: numbers about ended calls at the node's `/metrics`, as Mixer's prometheus adapter showed them.

mod buckets;

use osier_plugin::metrics::{Family, Kind};
use osier_plugin::serde::Deserialize;
use osier_plugin::types::MetricInstance;
use osier_plugin::{Metric, Plugin};

use buckets::Buckets;

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    metrics: Vec<Definition>,
}

/// One family.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Definition {
    name: String,
    /// `name` in the policy's fields; the family's own name by default.
    instance: Option<String>,
    kind: Name,
    #[serde(default)]
    description: String,
    #[serde(default)]
    labels: Vec<String>,
    buckets: Option<Buckets>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "UPPERCASE")]
enum Name {
    Counter,
    Gauge,
    Distribution,
}

/// A family and what it is called in policies.
struct Known {
    instance: String,
    labels: Vec<String>,
    family: Family,
}

/// The plugin.
struct Metrics(Vec<Known>);

impl Plugin for Metrics {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let known = config.metrics.into_iter().enumerate();
        let known = known.map(|(place, definition)| {
            define(definition).map_err(|error| format!("metrics[{place}].{error}"))
        });
        Ok(Self(known.collect::<Result<_, _>>()?))
    }
}

impl Definition {
    fn kind(&self) -> Result<Kind, String> {
        match (self.kind, &self.buckets) {
            (Name::Distribution, buckets) => {
                let buckets = buckets.clone().unwrap_or_default();
                Ok(Kind::Distribution(buckets.bounds()?))
            }
            (_, Some(_)) => Err("buckets: only a DISTRIBUTION has buckets".into()),
            (Name::Counter, None) => Ok(Kind::Counter),
            (Name::Gauge, None) => Ok(Kind::Gauge),
        }
    }
}

fn define(definition: Definition) -> Result<Known, String> {
    let kind = definition.kind()?;
    let (name, labels) = (&definition.name, &definition.labels);
    let family = Family::define(name, kind, &definition.description, labels)
        .map_err(|error| format!("name: {name}: {error}"))?;
    Ok(Known {
        instance: definition.instance.unwrap_or(definition.name),
        labels: definition.labels,
        family,
    })
}

impl Metric for Metrics {
    /// Every number is tried; the first fault is the batch's.
    fn report(&self, batch: &[MetricInstance]) -> Result<(), String> {
        let recorded = batch.iter().map(|instance| self.record(instance));
        recorded.fold(Ok(()), Result::and)
    }
}

impl Metrics {
    fn record(&self, instance: &MetricInstance) -> Result<(), String> {
        let name = &instance.name;
        let known = self.0.iter().find(|known| known.instance == *name);
        let known = known.ok_or_else(|| {
            format!("metric {name:?} is not in the plugin's config; add it to metrics")
        })?;
        let value = instance.value.to_number();
        let value = value.ok_or_else(|| format!("metric {name:?}: the value is no number"))?;
        known
            .family
            .record(&labels(&known.labels, instance), value)
            .map_err(|error| format!("metric {name:?}: {error}"))
    }
}

/// The values of a family's labels: the dimensions of these names; what a call does not have is empty.
fn labels(names: &[String], instance: &MetricInstance) -> Vec<String> {
    let value = |name: &String| {
        let dimension = instance.dimensions.iter().find(|(own, _)| own == name);
        dimension.map_or_else(String::new, |(_, value)| value.to_text())
    };
    names.iter().map(value).collect()
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Metrics: metric);

#[cfg(test)]
mod tests {
    use super::*;
    use osier_plugin::types::{Timestamp, Value};

    #[test]
    fn labels_are_the_dimensions_of_their_names() {
        let instance = MetricInstance {
            name: "calls".into(),
            value: Value::Integer(1),
            dimensions: vec![
                ("code".into(), Value::Integer(200)),
                ("other".into(), Value::Boolean(true)),
            ],
            timestamp: Timestamp {
                seconds: 0,
                nanoseconds: 0,
            },
            monitored_resource_type: String::new(),
            monitored_resource_dimensions: Vec::new(),
        };
        let names = ["user".to_owned(), "code".to_owned()];
        assert_eq!(labels(&names, &instance), ["", "200"]);
    }

    #[test]
    fn only_distributions_have_buckets() {
        let definition = |kind, buckets| Definition {
            name: "a".into(),
            instance: None,
            kind,
            description: String::new(),
            labels: Vec::new(),
            buckets,
        };
        assert!(
            definition(Name::Counter, Some(Buckets::default()))
                .kind()
                .is_err()
        );
        assert!(definition(Name::Distribution, None).kind().is_ok());
        assert_eq!(definition(Name::Gauge, None).kind(), Ok(Kind::Gauge));
    }
}
