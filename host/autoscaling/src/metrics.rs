//! How many replicas one metric proposes. Pure.

use std::collections::{BTreeMap, HashMap};

use osier_api::quantity;
use serde_json::{Value, json};

use crate::wanted::{Metric, Source, Target, Wanted};

/// What is known of a pod of the target, apart from those that leave or have ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// It takes requests.
    pub ready: bool,
    /// Processors that it uses, if they were measured.
    pub cpu: Option<f64>,
    /// Bytes that it uses, if they were measured.
    pub memory: Option<f64>,
    /// Requests that it gets in a second, if they were measured.
    pub requests: Option<f64>,
    /// Processors that it asks for; `None` if a container does not say.
    pub asked_cpu: Option<f64>,
    /// Bytes that it asks for; `None` if a container does not say.
    pub asked_memory: Option<f64>,
    /// The same of each container, by its name.
    pub containers: BTreeMap<String, Part>,
}

/// What is known of one container of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    /// Processors that it uses, if they were measured.
    pub cpu: Option<f64>,
    /// Bytes that it uses, if they were measured.
    pub memory: Option<f64>,
    /// Processors that it asks for, if it says so.
    pub asked_cpu: Option<f64>,
    /// Bytes that it asks for, if it says so.
    pub asked_memory: Option<f64>,
}

impl Sample {
    /// What counts of the pod: one of its containers, or all.
    fn part(&self, container: Option<&str>) -> Part {
        match container {
            Some(name) => self.containers.get(name).copied().unwrap_or_default(),
            None => Part {
                cpu: self.cpu,
                memory: self.memory,
                asked_cpu: self.asked_cpu,
                asked_memory: self.asked_memory,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cpu,
    Memory,
}

/// What a metric says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) replicas: u32,
    /// For `status.currentMetrics`.
    pub(crate) status: Value,
    /// What it is called in conditions and events.
    pub(crate) name: String,
}

/// Why a metric says nothing: a reason, and words.
pub(crate) type Silence = (&'static str, String);

/// The values of the pods; what shall be of each, and what one that is not known counts as when it must not tip the scale down.
struct Average {
    values: Vec<(Option<f64>, bool)>,
    target: f64,
    assumed: f64,
}

/// Asks one metric.
pub(crate) fn propose(
    metric: &Metric,
    wanted: &Wanted,
    current: u32,
    (pods, services): (&[Sample], &HashMap<String, f64>),
) -> Result<Proposal, Silence> {
    match &metric.source {
        Source::Unknown(reason, words) => Err((reason, words.clone())),
        Source::Resource(name, container) => {
            let about = About::of(name, container.as_deref())?;
            resource(metric, about, wanted, (current, pods))
        }
        Source::Pods => {
            let values = pods.iter().map(|pod| (pod.requests, pod.ready));
            let average = Average::of(values.collect(), metric)?;
            let silent = || ("FailedGetPodsMetric", nothing("pods"));
            let (replicas, mean) = average.replicas(wanted, current).ok_or_else(silent)?;
            let of = &metric.written["pods"]["metric"];
            let now = json!({"averageValue": written(mean)});
            Ok(Proposal {
                replicas,
                status: json!({"type": "Pods", "pods": {"metric": of, "current": now}}),
                name: format!("pods metric {}", of["name"].as_str().unwrap_or_default()),
            })
        }
        Source::Service(service) => {
            let total = services.get(service).copied();
            let silent = || ("FailedGetObjectMetric", nothing("the Service"));
            service_metric(metric, wanted, current, total.ok_or_else(silent)?)
        }
    }
}

fn nothing(of: &str) -> String {
    format!("no metrics returned for {of}: pods are measured from their second reading on")
}

/// As quantities are written: thousandths.
fn written(value: f64) -> String {
    // Never negative; a float beyond the range becomes its end.
    quantity::from_millicores((value * 1000.0).round() as u64)
}

/// What of pods is looked at.
#[derive(Clone, Copy)]
struct About<'a> {
    kind: Kind,
    name: &'a str,
    container: Option<&'a str>,
    /// Of conditions and events.
    reason: &'static str,
}

impl<'a> About<'a> {
    fn of(name: &'a str, container: Option<&'a str>) -> Result<Self, Silence> {
        let reason = match container {
            Some(_) => "FailedGetContainerResourceMetric",
            None => "FailedGetResourceMetric",
        };
        let words = || format!("resource {name} is not measured here: use cpu or memory");
        let kind = match name {
            "cpu" => Kind::Cpu,
            "memory" => Kind::Memory,
            _ => return Err((reason, words())),
        };
        Ok(Self {
            kind,
            name,
            container,
            reason,
        })
    }

    fn used(self, pod: &Sample) -> Option<f64> {
        let part = pod.part(self.container);
        match self.kind {
            Kind::Cpu => part.cpu,
            Kind::Memory => part.memory,
        }
    }

    /// What a pod asks for on average; all must say it.
    fn asked(self, pods: &[Sample]) -> Result<f64, Silence> {
        let mut sum = 0.0;
        for pod in pods {
            let part = pod.part(self.container);
            let asked = match self.kind {
                Kind::Cpu => part.asked_cpu,
                Kind::Memory => part.asked_memory,
            };
            let words = || {
                let (name, pod) = (self.name, &pod.name);
                let of = self.container.map(|name| format!("container {name} of "));
                let of = of.unwrap_or_default();
                let words = format!(
                    "failed to get {name} utilization: missing request for {name} in {of}pod {pod}"
                );
                (self.reason, words)
            };
            sum += asked.filter(|asked| *asked > 0.0).ok_or_else(words)?;
        }
        // Without pods nothing is measured, which is said elsewhere.
        Ok(sum / (pods.len().max(1)) as f64)
    }

    /// For `status.currentMetrics`, and what it is called.
    fn told(self, current: Value) -> (Value, String) {
        let name = self.name;
        match self.container {
            Some(container) => (
                json!({"type": "ContainerResource", "containerResource":
                    {"name": name, "container": container, "current": current}}),
                format!("{name} container resource"),
            ),
            None => (
                json!({"type": "Resource", "resource": {"name": name, "current": current}}),
                format!("{name} resource"),
            ),
        }
    }
}

fn resource(
    metric: &Metric,
    about: About<'_>,
    wanted: &Wanted,
    (current, pods): (u32, &[Sample]),
) -> Result<Proposal, Silence> {
    let values = pods.iter().map(|pod| (about.used(pod), pod.ready));
    let values: Vec<(Option<f64>, bool)> = values.collect();
    let mut utilization = None;
    let average = match metric.target {
        Target::Utilization(percent) => {
            let asked = about.asked(pods)?;
            utilization = Some(asked);
            Average {
                values,
                target: asked * percent / 100.0,
                assumed: asked * percent.max(100.0) / 100.0,
            }
        }
        _ => Average::of(values, metric)?,
    };
    let silent = || {
        let words = format!(
            "failed to get {} utilization: {}",
            about.name,
            nothing("pods")
        );
        (about.reason, words)
    };
    let (replicas, mean) = average.replicas(wanted, current).ok_or_else(silent)?;
    let value = match about.kind {
        Kind::Cpu => written(mean),
        Kind::Memory => quantity::from_bytes(mean as u64),
    };
    let mut now = json!({"averageValue": value});
    if let Some(asked) = utilization {
        now["averageUtilization"] = json!((mean / asked * 100.0) as u64);
    }
    let (status, mut name) = about.told(now);
    if utilization.is_some() {
        name.push_str(" utilization (percentage of request)");
    }
    Ok(Proposal {
        replicas,
        status,
        name,
    })
}

fn service_metric(
    metric: &Metric,
    wanted: &Wanted,
    current: u32,
    total: f64,
) -> Result<Proposal, Silence> {
    let (each, now) = match metric.target {
        Target::Average(each) => {
            let mean = total / f64::from(current.max(1));
            (each, json!({"averageValue": written(mean)}))
        }
        // Whatever the whole shall be, each pod has its share of it now.
        Target::Value(whole) => (
            whole / f64::from(current.max(1)),
            json!({"value": written(total)}),
        ),
        Target::Utilization(_) => {
            let words = "a Service has no utilization: use value or averageValue".to_owned();
            return Err(("FailedGetObjectMetric", words));
        }
    };
    let ratio = total / (each * f64::from(current));
    let replicas = match current > 0 && is_near(ratio, wanted) {
        true => current,
        false => whole(total / each),
    };
    let (of, about) = (
        &metric.written["object"]["metric"],
        &metric.written["object"]["describedObject"],
    );
    Ok(Proposal {
        replicas,
        status: json!({"type": "Object", "object": {"metric": of, "describedObject": about, "current": now}}),
        name: format!(
            "object metric {} of Service {}",
            of["name"].as_str().unwrap_or_default(),
            about["name"].as_str().unwrap_or_default()
        ),
    })
}

/// Replicas are whole; a little above a whole number for want of precision is that number.
fn whole(replicas: f64) -> u32 {
    (replicas - 1e-9).ceil().max(0.0) as u32
}

fn is_near(ratio: f64, wanted: &Wanted) -> bool {
    (1.0 - wanted.down.tolerance..=1.0 + wanted.up.tolerance).contains(&ratio)
}

impl Average {
    fn of(values: Vec<(Option<f64>, bool)>, metric: &Metric) -> Result<Self, Silence> {
        match metric.target {
            Target::Average(target) => Ok(Self {
                values,
                target,
                assumed: target,
            }),
            _ => {
                let words = "the target must be an averageValue".to_owned();
                Err(("InvalidMetricSourceType", words))
            }
        }
    }

    /// How many replicas there shall be, and the mean of what is known; `None` if nothing is.
    ///
    /// As upstream: pods that are not known or not ready are taken to need nothing when more are wanted, and those that are not known
    /// to need all that they may when fewer are, so that neither a start nor a gap tips the scale.
    fn replicas(&self, wanted: &Wanted, current: u32) -> Option<(u32, f64)> {
        let known = self.values.iter().filter(|(_, ready)| *ready);
        let known: Vec<f64> = known.filter_map(|(value, _)| *value).collect();
        if known.is_empty() || self.target <= 0.0 {
            return None;
        }
        let (sum, count) = (known.iter().sum::<f64>(), known.len());
        let mean = sum / count as f64;
        let ratio = mean / self.target;
        if count == self.values.len() {
            let stays = is_near(ratio, wanted);
            return Some((
                if stays {
                    current
                } else {
                    whole(ratio * count as f64)
                },
                mean,
            ));
        }
        let unknown = self
            .values
            .iter()
            .filter(|(value, _)| value.is_none())
            .count();
        let (sum, count) = match ratio < 1.0 {
            true => (sum + self.assumed * unknown as f64, count + unknown),
            false => (sum, self.values.len()),
        };
        let assumed = sum / count as f64 / self.target;
        if is_near(assumed, wanted) || (assumed < 1.0) != (ratio < 1.0) {
            return Some((current, mean));
        }
        let replicas = whole(assumed * count as f64);
        let turns = (assumed < 1.0 && replicas > current) || (assumed > 1.0 && replicas < current);
        Some((if turns { current } else { replicas }, mean))
    }
}
