//! What guests may be granted beyond their answers, kept by the host. For plugins: counters, metrics that they define, log streams that
//! they write to, calls to other services, and the data that modules of proxy-wasm share; and what is counted of plugins. For pods: key-value buckets, configuration
//! and a log with levels ([`Grants`]). Everything is bounded.
//!
//! It knows no WebAssembly: the engine calls it for guests. It never imports the engine, the API's objects or a client.

mod buckets;
mod callout;
mod calls;
mod configuration;
mod counters;
mod grants;
mod keyvalue;
mod metering;
mod meters;
mod shared;
mod spaces;
mod streams;
mod watched;

pub use buckets::{Bucket, BucketError, Buckets, Directory, Page};
pub use callout::{
    Caller, Callout, CalloutAnswer, CalloutBounds, CalloutError, Callouts, caller_name, plugin_of,
    waited,
};
pub use calls::{Document, Freshness, GrantedCalls, Incoming, Outgoing, Outside, OutsideError};
pub use configuration::Configuration;
pub use counters::Counters;
pub use grants::{Grants, LogLevel};
pub use keyvalue::{CounterStore, KeyValue, KeyValueError, Taken, Terms};
pub use metering::{MeterDefinition, MeterError, MeterKind, Meters};
pub use meters::{GrantedMeters, MeterBook, unusable};
pub use shared::{MetricKind, MetricView, SharedSpace, SpaceError};
pub use spaces::Spaces;
pub use streams::{LOG_TARGET, LogError, LogStreams, Streams};
pub use watched::{FailureKind, Families, PluginMetrics, ReportMetrics, VerdictMetrics};
