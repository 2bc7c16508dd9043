//! What plugins may be granted beyond their answers, kept by the host: metrics that they define, log streams that they write to, and the data
//! that modules of proxy-wasm share; and what is counted of plugins. Everything is bounded, named by the plugin that has it, and gone with it.

mod meters;
mod spaces;
mod streams;
mod watched;

pub use meters::{GrantedMeters, MeterBook, unusable};
pub use spaces::Spaces;
pub use streams::{LOG_TARGET, Streams};
pub use watched::{FailureKind, Families, PluginMetrics, ReportMetrics, VerdictMetrics};
