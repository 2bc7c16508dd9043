//! What is measured of pods, asked of the API as `kubectl top` asks it. What cannot be had is left out: an autoscaler waits then.

use std::collections::HashMap;

use osier_api::resources::{POD_METRICS, REQUESTS_PER_SECOND};
use osier_api::selector::LabelSelector;
use osier_api::{Object, quantity};
use osier_autoscaling::Sample;
use osier_client::{Client, Query};
use serde_json::Value;

use crate::facts;

/// Readings of the pods of a target.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// CPU and memory, by pod.
    used: HashMap<String, (f64, f64)>,
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
        Sample {
            name: pod.name().to_owned(),
            ready: facts::is_true(pod, "Ready"),
            cpu: used.map(|(cpu, _)| *cpu),
            memory: used.map(|(_, memory)| *memory),
            requests: self.requests.get(pod.name()).copied(),
            asked_cpu: asked(pod, "cpu"),
            asked_memory: asked(pod, "memory"),
        }
    }
}

/// A pod's name with its CPU and memory.
fn used(metrics: &Object) -> (String, (f64, f64)) {
    let containers = metrics.get(&["containers"]).and_then(Value::as_array);
    let sum = |name: &str| {
        let containers = containers.into_iter().flatten();
        containers
            .filter_map(|one| amount(&one["usage"][name]))
            .sum()
    };
    (metrics.name().to_owned(), (sum("cpu"), sum("memory")))
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
