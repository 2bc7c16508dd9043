//! What a pod's spec says of nodes: which ones it may run on, and which ones it would rather have. Shared by the scheduler and by
//! who makes one pod for each node. Pure.

pub(crate) mod node_affinity;
pub(crate) mod taints;
