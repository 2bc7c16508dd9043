//! One edge of the map: from a workload to a workload, by a service and a protocol.

use std::collections::BTreeMap;

use osier_plugin::serde_json::{Value as Json, json};
use osier_plugin::types::EdgeInstance;

/// Labels of the counter.
pub(crate) const LABELS: [&str; 7] = [
    "source_workload",
    "source_workload_namespace",
    "destination_workload",
    "destination_workload_namespace",
    "destination_service",
    "destination_service_namespace",
    "protocol",
];

/// What makes two calls the same edge. Pods come and go: they are none of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge([String; 7]);

impl Edge {
    fn of(call: &EdgeInstance) -> Self {
        let protocol = match call.api_protocol.is_empty() {
            true => &call.context_protocol,
            false => &call.api_protocol,
        };
        let parts = [
            &call.source_workload_name,
            &call.source_workload_namespace,
            &call.destination_workload_name,
            &call.destination_workload_namespace,
            &call.destination_service_name,
            &call.destination_service_namespace,
            protocol,
        ];
        Self(parts.map(|part| match part.is_empty() {
            true => "unknown".to_owned(),
            false => part.clone(),
        }))
    }

    /// The values of [`LABELS`].
    pub(crate) fn labels(&self) -> Vec<String> {
        self.0.to_vec()
    }

    /// A line that a map can be drawn from.
    pub(crate) fn line(&self, calls: u32) -> Json {
        let mut line = json!({"calls": calls});
        for (name, value) in LABELS.iter().zip(&self.0) {
            line[*name] = value.as_str().into();
        }
        line
    }
}

/// The edges of a batch, each with its calls.
pub(crate) fn counted(batch: &[EdgeInstance]) -> BTreeMap<Edge, u32> {
    let mut edges = BTreeMap::new();
    for call in batch {
        *edges.entry(Edge::of(call)).or_insert(0) += 1;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use osier_plugin::types::Timestamp;

    fn call(from: &str, pod: &str) -> EdgeInstance {
        EdgeInstance {
            timestamp: Timestamp {
                seconds: 0,
                nanoseconds: 0,
            },
            source_workload_namespace: "shop".into(),
            source_workload_name: from.into(),
            source_owner: String::new(),
            source_uid: pod.into(),
            destination_workload_namespace: "shop".into(),
            destination_workload_name: "reviews-v1".into(),
            destination_owner: String::new(),
            destination_uid: String::new(),
            destination_service_namespace: "shop".into(),
            destination_service_name: "reviews".into(),
            context_protocol: "http".into(),
            api_protocol: "grpc".into(),
        }
    }

    #[test]
    fn calls_of_the_same_workloads_are_one_edge() {
        let edges = counted(&[call("web", "a"), call("web", "b"), call("", "c")]);
        let shown: Vec<_> = edges
            .iter()
            .map(|(edge, calls)| edge.line(*calls))
            .collect();
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[0]["source_workload"], "unknown");
        assert_eq!(
            (&shown[1]["calls"], &shown[1]["protocol"]),
            (&json!(2), &json!("grpc"))
        );
        assert_eq!(shown[1]["destination_service"], "reviews");
    }
}
