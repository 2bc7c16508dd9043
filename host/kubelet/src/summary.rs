//! What a node tells of its use, in the words of kubelet's `/stats/summary`.

use serde::{Deserialize, Serialize};

use crate::{Rate, Use};

/// A node and its pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The node's own process: its pods, its data plane, and whatever else it runs.
    pub node: NodeStats,
    /// The pods that have run long enough for a rate.
    pub pods: Vec<PodStats>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStats {
    /// Its name.
    pub node_name: String,
    /// Of the process.
    pub cpu: CpuStats,
    /// Of the process.
    pub memory: MemoryStats,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStats {
    /// Which one.
    pub pod_ref: PodReference,
    /// Its running containers.
    pub containers: Vec<ContainerStats>,
    /// Thousandths of a request that it gets in a second, from the mesh. One that is under way counts in every window.
    pub milli_requests: u64,
}

/// Names a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodReference {
    /// Its uid.
    pub uid: String,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Its name.
    pub name: String,
    /// Of its guests, calls into the host included.
    pub cpu: CpuStats,
    /// Of its guests.
    pub memory: MemoryStats,
}

/// Processor time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CpuStats {
    /// When the last reading was taken.
    pub time: String,
    /// Milliseconds between the last two readings.
    pub window: u64,
    /// Billionths of a processor in that time.
    pub usage_nano_cores: u64,
    /// Nanoseconds since it began.
    pub usage_core_nano_seconds: u64,
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryStats {
    /// Linear memory of guests; of a node, what the machine keeps in memory for its process.
    pub working_set_bytes: u64,
}

impl CpuStats {
    /// A rate as it is told, with the moment of its last reading.
    pub fn new(rate: &Rate, used: Use, time: &str) -> Self {
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            time: time.to_owned(),
            window: whole(used.window.as_millis()),
            usage_nano_cores: used.nano_cores,
            usage_core_nano_seconds: whole(rate.total().as_nanos()),
        }
    }
}
