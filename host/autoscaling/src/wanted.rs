//! What a HorizontalPodAutoscaler asks for, read from its spec. Pure.

use std::sync::Arc;

use osier_api::resources::REQUESTS_PER_SECOND;
use osier_api::{Object, quantity};
use serde_json::Value;

/// As far as the ratio of what is to what shall be may be off before anything is done, if the spec does not say.
const TOLERANCE: f64 = 0.1;

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// CPU (in processors) or memory (in bytes) of the pods, or of the container of this name in each.
    Resource(String, Option<String>),
    /// Requests to the pods.
    Pods,
    /// Requests to a Service, all its pods together.
    Service(String),
    /// What is not served here: the reason of a condition, and words.
    Unknown(&'static str, String),
}

/// What it shall be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Percent of what the pods request.
    Utilization(f64),
    /// For each pod.
    Average(f64),
    /// In all.
    Value(f64),
}

/// One of `spec.metrics`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    pub(crate) source: Source,
    pub(crate) target: Target,
    /// As it is written, for the status.
    pub(crate) written: Value,
}

/// How fast, in one direction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// Seconds.
    pub(crate) window: i64,
    pub(crate) policies: Vec<Policy>,
    /// `Max`, `Min` or `Disabled`.
    pub(crate) select: String,
    pub(crate) tolerance: f64,
}

/// How much in a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Policy {
    /// Of what there was, else pods.
    pub(crate) percent: bool,
    pub(crate) value: u32,
    /// Seconds.
    pub(crate) period: i64,
}

/// What the spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Never fewer; 0 lets the target sleep while nobody calls.
    pub min: u32,
    /// Never more.
    pub max: u32,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) up: Rules,
    pub(crate) down: Rules,
}

fn number(value: &Value) -> Option<u32> {
    value.as_i64().and_then(|n| u32::try_from(n).ok())
}

/// The amount of a quantity.
pub(crate) fn amount(value: &Value) -> Option<f64> {
    quantity::ratio(value.as_str()?, "1")
}

impl Wanted {
    /// Reads the spec.
    pub fn of(hpa: &Object) -> Self {
        let spec = hpa.get(&["spec"]).unwrap_or(&Value::Null);
        let metrics = spec["metrics"].as_array().into_iter().flatten();
        let behavior = &spec["behavior"];
        let doubling = |percent, value| Policy {
            percent,
            value,
            period: 15,
        };
        Self {
            min: number(&spec["minReplicas"]).unwrap_or(1),
            max: number(&spec["maxReplicas"]).unwrap_or(1),
            metrics: metrics.filter_map(Metric::of).collect(),
            up: Rules::of(
                &behavior["scaleUp"],
                0,
                &[doubling(false, 4), doubling(true, 100)],
            ),
            down: Rules::of(&behavior["scaleDown"], 300, &[doubling(true, 100)]),
        }
    }

    /// The Services whose requests are asked for.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.metrics
            .iter()
            .filter_map(|metric| match &metric.source {
                Source::Service(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Requests to pods are asked for.
    pub fn asks_for_requests(&self) -> bool {
        self.metrics
            .iter()
            .any(|metric| metric.source == Source::Pods)
    }
}

impl Metric {
    fn of(written: &Value) -> Option<Self> {
        let kind = written["type"].as_str()?;
        let (source, target) = match kind {
            "Resource" => {
                let resource = &written["resource"];
                let name = resource["name"].as_str().unwrap_or_default();
                (Source::Resource(name.to_owned(), None), &resource["target"])
            }
            "Pods" => {
                let name = &written["pods"]["metric"]["name"];
                let source = match name == REQUESTS_PER_SECOND {
                    true => Source::Pods,
                    false => unknown("FailedGetPodsMetric", name),
                };
                (source, &written["pods"]["target"])
            }
            "Object" => {
                let object = &written["object"];
                let (name, about) = (&object["metric"]["name"], &object["describedObject"]);
                let source = match about["name"].as_str() {
                    Some(service) if about["kind"] == "Service" && name == REQUESTS_PER_SECOND => {
                        Source::Service(service.to_owned())
                    }
                    _ => unknown("FailedGetObjectMetric", name),
                };
                (source, &object["target"])
            }
            "External" => {
                let external = &written["external"];
                let name = &external["metric"]["name"];
                (
                    unknown("FailedGetExternalMetric", name),
                    &external["target"],
                )
            }
            _ => {
                let resource = &written["containerResource"];
                let word = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
                let source = Source::Resource(word("name"), Some(word("container")));
                (source, &resource["target"])
            }
        };
        Some(Self {
            source,
            target: Target::of(target)?,
            written: written.clone(),
        })
    }
}

fn unknown(reason: &'static str, name: &Value) -> Source {
    let name = name.as_str().unwrap_or_default();
    let words = format!(
        "no metric {name:?} is served: use {REQUESTS_PER_SECOND}, of type Pods, or of type Object for a Service"
    );
    Source::Unknown(reason, words)
}

impl Target {
    fn of(target: &Value) -> Option<Self> {
        let percent = target["averageUtilization"].as_f64();
        let percent = percent.map(Self::Utilization);
        let average = || amount(&target["averageValue"]).map(Self::Average);
        let value = || amount(&target["value"]).map(Self::Value);
        percent.or_else(average).or_else(value)
    }
}

impl Rules {
    fn of(rules: &Value, window: i64, policies: &[Policy]) -> Self {
        let written = rules["policies"].as_array().into_iter().flatten();
        let written: Vec<Policy> = written
            .map(|one| Policy {
                percent: one["type"] == "Percent",
                value: number(&one["value"]).unwrap_or(1),
                period: one["periodSeconds"].as_i64().unwrap_or(15),
            })
            .collect();
        Self {
            window: rules["stabilizationWindowSeconds"]
                .as_i64()
                .unwrap_or(window),
            policies: match written.is_empty() {
                true => policies.to_vec(),
                false => written,
            },
            select: rules["selectPolicy"].as_str().unwrap_or("Max").to_owned(),
            tolerance: amount(&rules["tolerance"]).unwrap_or(TOLERANCE),
        }
    }
}

/// Another autoscaler of the same target among those of a namespace: neither may touch it, or they would undo each other's work for ever.
pub fn rival<'a>(hpa: &Object, all: &'a [Arc<Object>]) -> Option<&'a Object> {
    let target = |hpa: &'_ Object| {
        ["kind", "name"].map(|field| hpa.text(&["spec", "scaleTargetRef", field]).to_owned())
    };
    let own = target(hpa);
    let mut others = all.iter().filter(|other| other.uid() != hpa.uid());
    others
        .find(|other| target(other) == own)
        .map(|other| &**other)
}
