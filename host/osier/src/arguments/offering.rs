//! What a node has for its pods, as it is typed.

use clap::Args;
use std::path::PathBuf;

/// What pods may use of this machine besides processors and memory.
#[derive(Args, Debug, Default, Clone)]
pub(crate) struct Offering {
    /// A directory of this machine whose contents pods may mount as `hostPath`; may be repeated. Without it none may.
    #[arg(long, value_name = "DIR")]
    pub(crate) host_path: Vec<PathBuf>,
    /// An extended resource that pods may ask for, counted by the scheduler and given to nobody else: example.com/gpu=4; may be repeated.
    #[arg(long, value_name = "NAME=NUMBER")]
    pub(crate) extended_resource: Vec<String>,
}
