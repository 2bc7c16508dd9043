//! Osier policy plugins in Rust.
//!
//! A plugin is a type with a configuration, one trait per template that it answers, and one line that exports it:
//!
//! ```
//! use osier_plugin::{Decision, ListEntry, Plugin, serde::Deserialize};
//!
//! #[derive(Deserialize)]
//! #[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
//! struct Config { blocked: Vec<String> }
//! struct Blocker(Vec<String>);
//!
//! impl Plugin for Blocker {
//!     type Config = Config;
//!     fn configure(config: Config) -> Result<Self, String> { Ok(Self(config.blocked)) }
//! }
//! impl ListEntry for Blocker {
//!     fn check(&self, value: &str) -> Decision {
//!         if self.0.iter().any(|blocked| blocked == value) { Decision::deny(403) } else { Decision::allow() }
//!     }
//! }
//! osier_plugin::export!(Blocker: listentry);
//! ```
//!
//! It is not an HTTP framework and it reaches nothing but what the host grants (see [`counters`], [`http`], [`log`] and [`metrics`]).

mod authentication;
#[doc(hidden)]
pub mod bindings;
pub mod counters;
mod decision;
#[doc(hidden)]
pub mod export;
pub mod extension;
pub mod filter;
pub mod http;
mod kubernetes;
pub mod log;
pub mod metrics;
mod period;
mod report;
mod template;

pub use authentication::{Authenticated, Authentication, Identity};
pub use decision::Decision;
pub use kubernetes::{Facts, Kubernetes, PodFacts};
pub use period::Period;
pub use report::{Edge, LogEntry, Metric, ReportNothing, Settlement, TraceSpan};
pub use serde;
pub use serde_json;
pub use template::{
    ApiKey, Authorization, CheckNothing, ListEntry, NoConfig, Outcome, Plugin, Quota,
};

/// The records that templates hand to a plugin, as `wit/policy` describes them.
pub mod types {
    pub use crate::bindings::authorizer::exports::osier::policy::authorization::{
        Action, Instance as AuthorizationInstance, Subject,
    };
    pub use crate::bindings::cartographer::exports::osier::policy::edge::Instance as EdgeInstance;
    pub use crate::bindings::host::osier::policy::types::{Duration, Timestamp, Value};
    pub use crate::bindings::key_checker::exports::osier::policy::apikey::Instance as ApiKeyInstance;
    pub use crate::bindings::logger::exports::osier::policy::logentry::Instance as LogEntryInstance;
    pub use crate::bindings::meter::exports::osier::policy::metric::Instance as MetricInstance;
    pub use crate::bindings::quota_keeper::exports::osier::policy::quota::Instance as QuotaInstance;
    pub use crate::bindings::settler::exports::osier::policy::settlement::Instance as SettlementInstance;
    pub use crate::bindings::surveyor::exports::osier::policy::kubernetes::Instance as KubernetesInstance;
    pub use crate::bindings::tracer::exports::osier::policy::tracespan::Instance as TraceSpanInstance;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
