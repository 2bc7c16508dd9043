//! What is measured of pods, asked of the API as `kubectl top` asks it. What cannot be had is left out: an autoscaler waits then.

use std::collections::HashMap;

use osier_api::resources::{POD_METRICS, REQUESTS_PER_SECOND};
use osier_api::selector::LabelSelector;
use osier_api::{Object, quantity};
use osier_autoscaling::{Sample, Used};
use osier_client::{Client, Query};

use crate::facts;

/// Readings of the pods of a target.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// CPU and memory of each container, by pod.
    used: HashMap<String, Used>,
    /// Requests in a second, by pod.
    requests: HashMap<String, f64>,
    /// The same in all, by Service.
    pub(super) services: HashMap<String, f64>,
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
            Ok(list) => readings.used = list.items.iter().map(Used::of).collect(),
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
        let requests = self.requests.get(pod.name()).copied();
        let ready = facts::is_true(pod, "Ready");
        Sample::of(pod, self.used.get(pod.name()), (requests, ready))
    }
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
        Some((name, quantity::ratio(item.text(&["value"]), "1")?))
    });
    Some(each.collect())
}
