//! How calls are spread over endpoints, which endpoints are left out, and how one is spoken to: settings as pure values, and the
//! decisions that follow from them as functions over values and atomics.
//!
//! It knows no object of an API, no service and no request: whoever compiles a mesh fills these values in, and the data plane asks
//! them. It holds no lock, opens no socket, reads no clock; who asks says what time it is.

mod check;
mod hashing;
mod locality;
mod outlier;
mod policy;
mod upstream;

pub use check::{Check, Probe, Soundness};
pub use hashing::{
    ConsistentHash, HashKey, HashMethod, HashTable, MOST_POINTS, RING, Seat, hash_of, is_prime,
};
pub use locality::{LEVELS, Level, Locality, LocalityRule, Places, SharedLabel, Stand, loads};
pub use outlier::{Detector, Ejections, Health, Judgement, OutlierPolicy, Sign, is_panic};
pub use policy::{Balancing, LoadBalancer, RetryBudget, Warmup};
pub use upstream::{
    ConnectionPool, Credential, Gauge, Keepalive, Load, Origination, ProxyVersion, Revoked, Speaks,
    Trust, Tunnel, Upstream,
};
