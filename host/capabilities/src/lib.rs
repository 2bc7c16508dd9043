//! What plugins may be granted beyond their answers, kept by the host: metrics that they define, log streams that they write to, and the data
//! that modules of proxy-wasm share. Everything is bounded, named by the plugin that has it, and gone with it.

mod meters;
mod spaces;
mod streams;

pub use meters::{GrantedMeters, MeterBook, unusable};
pub use spaces::Spaces;
pub use streams::{LOG_TARGET, Streams};
