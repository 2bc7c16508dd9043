//! The objects of `metrics.k8s.io`, made of what nodes tell.

use std::collections::HashMap;

use osier_api::Object;
use osier_api::resources::REQUESTS_PER_SECOND;
use serde_json::{Value, json};

use crate::{CpuStats, MemoryStats, NodeStats, PodStats, Summary};

const API_VERSION: &str = "metrics.k8s.io/v1beta1";

/// What nodes have told.
#[derive(Debug, Default)]
pub struct Measured {
    nodes: HashMap<String, NodeStats>,
    pods: HashMap<String, PodStats>,
}

impl Measured {
    /// Takes what one node tells.
    pub fn add(&mut self, summary: Summary) {
        let Summary { node, pods } = summary;
        self.nodes.insert(node.node_name.clone(), node);
        let pods = pods.into_iter().map(|pod| (pod.pod_ref.uid.clone(), pod));
        self.pods.extend(pods);
    }

    /// The metrics of a node or of a pod, if its node has told any.
    pub fn of(&self, about: &Object) -> Option<Value> {
        if about.kind() == "Node" {
            let stats = self.nodes.get(about.name())?;
            return Some(node_metrics(about, stats));
        }
        pod_metrics(about, self.pods.get(about.uid())?)
    }

    /// How many requests a pod gets, as an item of a MetricValueList, if its node has told it.
    pub fn requests(&self, pod: &Object) -> Option<Value> {
        let stats = self.pods.get(pod.uid())?;
        let cpu = &stats.containers.first()?.cpu;
        Some(json!({
            "describedObject": {"kind": "Pod", "apiVersion": "/v1",
                "namespace": pod.namespace(), "name": pod.name()},
            "metric": {"name": REQUESTS_PER_SECOND, "selector": null},
            "timestamp": cpu.time,
            "windowSeconds": cpu.window / 1000,
            "value": osier_api::quantity::from_millicores(stats.milli_requests),
        }))
    }
}

/// What a node uses.
fn node_metrics(node: &Object, stats: &NodeStats) -> Value {
    json!({
        "kind": "NodeMetrics",
        "apiVersion": API_VERSION,
        "metadata": metadata(node, &stats.cpu),
        "timestamp": stats.cpu.time,
        "window": window(&stats.cpu),
        "usage": usage(&stats.cpu, &stats.memory),
    })
}

/// What a pod uses; nothing while no container of it runs.
fn pod_metrics(pod: &Object, stats: &PodStats) -> Option<Value> {
    let first = stats.containers.first()?;
    let containers = stats
        .containers
        .iter()
        .map(|one| json!({"name": one.name, "usage": usage(&one.cpu, &one.memory)}));
    let containers: Vec<Value> = containers.collect();
    Some(json!({
        "kind": "PodMetrics",
        "apiVersion": API_VERSION,
        "metadata": metadata(pod, &first.cpu),
        "timestamp": first.cpu.time,
        "window": window(&first.cpu),
        "containers": containers,
    }))
}

/// Metrics are made when they are asked for: they have the name and the labels of what they are about, and no history.
fn metadata(about: &Object, cpu: &CpuStats) -> Value {
    let mut metadata = json!({"name": about.name(), "creationTimestamp": cpu.time});
    if !about.namespace().is_empty() {
        metadata["namespace"] = about.namespace().into();
    }
    if let Some(labels) = about.get(&["metadata", "labels"]) {
        metadata["labels"] = labels.clone();
    }
    metadata
}

fn window(cpu: &CpuStats) -> String {
    format!("{}.{:03}s", cpu.window / 1000, cpu.window % 1000)
}

/// As metrics-server writes them: billionths of a processor, whole kibibytes.
fn usage(cpu: &CpuStats, memory: &MemoryStats) -> Value {
    let kibibytes = memory.working_set_bytes.div_ceil(1024);
    json!({"cpu": format!("{}n", cpu.usage_nano_cores), "memory": format!("{kibibytes}Ki")})
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::ContainerStats;

    #[test]
    fn a_pod_tells_each_container() {
        let described =
            json!({"metadata": {"name": "p", "namespace": "n", "labels": {"app": "x"}}});
        let pod = Object::from_value(described).unwrap();
        let stats = PodStats {
            containers: vec![ContainerStats {
                name: "c".to_owned(),
                cpu: CpuStats {
                    time: "2026-01-01T00:00:00Z".to_owned(),
                    window: 10_004,
                    usage_nano_cores: 1_500_000,
                    usage_core_nano_seconds: 1,
                },
                memory: MemoryStats {
                    working_set_bytes: 1025,
                },
            }],
            ..PodStats::default()
        };
        let told = pod_metrics(&pod, &stats).unwrap();
        assert_eq!(
            told["containers"],
            json!([{"name": "c", "usage": {"cpu": "1500000n", "memory": "2Ki"}}])
        );
        assert_eq!(told["window"], "10.004s");
        assert_eq!(told["metadata"]["labels"], json!({"app": "x"}));
        assert_eq!(pod_metrics(&pod, &PodStats::default()), None);
        let measured = Measured {
            pods: [(
                String::new(),
                PodStats {
                    milli_requests: 2500,
                    ..stats
                },
            )]
            .into(),
            ..Measured::default()
        };
        let requests = measured.requests(&pod).unwrap();
        assert_eq!(
            (&requests["value"], &requests["windowSeconds"]),
            (&json!("2500m"), &json!(10))
        );
    }
}
