//! etcd's API v3, as far as a store needs it: ranges, transactions, compaction and watches, asked of whichever member of the
//! cluster answers. It knows keys and bytes only: what they mean, and what to do about a write of which nobody knows
//! whether it was made, is for the store to say. It never imports the store, and makes no TLS configuration of its own.

mod cluster;
mod error;
mod location;
mod member;
mod messages;
mod watcher;

pub use cluster::{Cluster, behind};
pub use error::EtcdError;
pub use location::{BadLocation, Location};
pub use messages::{Change, Condition, KeyValue, Operation, Range};
pub use tokio_rustls::rustls::ClientConfig;
pub use watcher::{Batch, Watched, Watcher};
