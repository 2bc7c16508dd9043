//! What is measured of pods, asked of the API as `kubectl top` asks it. What cannot be had is left out: an autoscaler waits then.

use std::collections::{BTreeMap, HashMap};

use osier_api::resources::{POD_METRICS, REQUESTS_PER_SECOND};
use osier_api::selector::LabelSelector;
use osier_api::{Object, quantity};
use osier_autoscaling::{Part, Sample};
use osier_client::{Client, Query};
use serde_json::Value;

use crate::facts;

/// Readings of the pods of a target.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// CPU and memory of each container, by pod.
    used: HashMap<String, Vec<(String, f64, f64)>>,
    /// Requests in a second, by pod.
    requests: HashMap<String, f64>,
    /// The same in all, by Service.
    pub(super) services: HashMap<String, f64>,
}

fn amount(value: &Value) -> Option<f64> {
    quantity::ratio(value.as_str()?, "1")
}

fn by_labels(selector: &LabelSelector) -> Query {
    Query {
        labels: Some(selector.to_string()),
        ..Query::default()
    }
}

impl Readings {
    /// Asks for the pods that the selector means, and for those of Services.
    pub(super) async fn take(
        client: &Client,
        (namespace, selector): (&str, &LabelSelector),
        (pods, services): (bool, Vec<(String, LabelSelector)>),
    ) -> Self {
        let mut readings = Self::default();
        let query = by_labels(selector);
        match client.list(&POD_METRICS, namespace, &query).await {
            Ok(list) => readings.used = list.items.iter().map(used).collect(),
            Err(error) => tracing::debug!(namespace, %error, "what pods use is not known"),
        }
        if pods {
            readings.requests = requests(client, namespace, selector)
                .await
                .unwrap_or_default();
        }
        for (name, selector) in services {
            if let Some(each) = requests(client, namespace, &selector).await {
                readings.services.insert(name, each.values().sum());
            }
        }
        readings
    }

    pub(super) fn sample(&self, pod: &Object) -> Sample {
        let used = self.used.get(pod.name());
        let sum = |of: fn(&(String, f64, f64)) -> f64| used.map(|used| used.iter().map(of).sum());
        Sample {
            name: pod.name().to_owned(),
            ready: facts::is_true(pod, "Ready"),
            cpu: sum(|(_, cpu, _)| *cpu),
            memory: sum(|(_, _, memory)| *memory),
            requests: self.requests.get(pod.name()).copied(),
            asked_cpu: asked(pod, "cpu"),
            asked_memory: asked(pod, "memory"),
            containers: parts(pod, used.map_or(&[], Vec::as_slice)),
        }
    }
}

/// A pod's name with the CPU and memory of its containers.
fn used(metrics: &Object) -> (String, Vec<(String, f64, f64)>) {
    let containers = metrics.get(&["containers"]).and_then(Value::as_array);
    let each = containers.into_iter().flatten().map(|one| {
        let name = one["name"].as_str().unwrap_or_default().to_owned();
        let amount = |resource: &str| amount(&one["usage"][resource]).unwrap_or_default();
        (name, amount("cpu"), amount("memory"))
    });
    (metrics.name().to_owned(), each.collect())
}

fn parts(pod: &Object, used: &[(String, f64, f64)]) -> BTreeMap<String, Part> {
    let containers = pod.get(&["spec", "containers"]).and_then(Value::as_array);
    let each = containers.into_iter().flatten().map(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        let own = used.iter().find(|(of, ..)| of == name);
        let requests = &one["resources"]["requests"];
        let part = Part {
            cpu: own.map(|(_, cpu, _)| *cpu),
            memory: own.map(|(_, _, memory)| *memory),
            asked_cpu: amount(&requests["cpu"]),
            asked_memory: amount(&requests["memory"]),
        };
        (name.to_owned(), part)
    });
    each.collect()
}

/// Requests in a second by pod; `None` if nothing can be had.
async fn requests(
    client: &Client,
    namespace: &str,
    selector: &LabelSelector,
) -> Option<HashMap<String, f64>> {
    let query = by_labels(selector);
    let asked = client
        .measured(REQUESTS_PER_SECOND, namespace, &query)
        .await;
    let items = asked
        .inspect_err(|error| tracing::debug!(namespace, %error, "requests to pods are not known"))
        .ok()?;
    let each = items.iter().filter_map(|item| {
        let name = item.text(&["describedObject", "name"]).to_owned();
        Some((name, amount(item.get(&["value"])?)?))
    });
    Some(each.collect())
}

/// What the containers of a pod ask for together; `None` if one does not say.
fn asked(pod: &Object, resource: &str) -> Option<f64> {
    let containers = pod.get(&["spec", "containers"]).and_then(Value::as_array)?;
    let each = containers
        .iter()
        .map(|one| amount(&one["resources"]["requests"][resource]));
    each.sum()
}
