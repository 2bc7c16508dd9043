//! What a node can be told, and what it finds out about its machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How to run a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name of the Node object.
    pub node_name: String,
    /// Where images, logs and the compile cache are.
    pub data_dir: PathBuf,
    /// What pods may use together.
    pub capacity: Capacity,
    /// What they may ask for besides, by name (`example.com/gpu`): it is counted only.
    pub extended: BTreeMap<String, u64>,
    /// Directories whose contents pods may mount as `hostPath`.
    pub host_paths: Vec<PathBuf>,
    /// The node's address, as pods and people see it.
    pub host_ip: String,
    /// The port of the main gateway listener; 0 if the kernel chooses it.
    pub gateway_port: u16,
    /// Serves the gateways, and tells for the whole mesh what is not in force. The node beside the API server does; a joined node
    /// has no right to the secrets that this needs.
    pub edge: bool,
    /// Where other nodes reach this node's pods.
    pub mesh: Option<SocketAddr>,
    /// The cluster domain.
    pub domain: String,
    /// Policies in this namespace concern the whole mesh.
    pub root_namespace: String,
}

/// What a node has for its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory: u64,
    /// Pods.
    pub pods: u64,
}

impl Settings {
    /// The usual settings, with this machine's capacity.
    #[must_use]
    pub fn new(node_name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            node_name: node_name.into(),
            data_dir: data_dir.into(),
            capacity: Capacity::of_machine(),
            extended: BTreeMap::new(),
            host_paths: Vec::new(),
            host_ip: "127.0.0.1".to_owned(),
            gateway_port: 0,
            edge: true,
            mesh: None,
            domain: "cluster.local".to_owned(),
            root_namespace: "osier-system".to_owned(),
        }
    }
}

impl Capacity {
    /// All of this machine, and 1,000 pods.
    #[must_use]
    pub fn of_machine() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            cpu_millis: u64::try_from(cpus).unwrap_or(1) * 1000,
            memory: memory().unwrap_or(1 << 30),
            pods: 1000,
        }
    }
}

/// The machine's memory, as Linux tells it.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
