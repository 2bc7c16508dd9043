//! What a namespace bounds: LimitRanges for single pods and claims, ResourceQuotas for all together, PodDisruptionBudgets for
//! evictions.
//!
//! Pure functions over objects: what defaults a pod gets, what an object counts for, whether another one fits or may go. Who counts
//! and when is the API server's. It imports nothing that touches a socket, a file, a clock or a lock.

pub mod disruption;
pub mod limit_range;
pub mod quota;
