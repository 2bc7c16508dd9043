//! Where plugins count, as it is typed.

use clap::Args;
use std::path::PathBuf;

/// Where plugins count. Nodes that are given the same Redis share all allowances; without one each node counts for itself.
#[derive(Args, Debug, Default, Clone)]
pub(crate) struct Counting {
    /// A Redis in which the plugins of all nodes count, redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or rediss:// for TLS [default: each node counts for itself].
    #[arg(
        long,
        value_name = "URL",
        env = "OSIER_REDIS_URL",
        hide_env_values = true
    )]
    pub(crate) redis_url: Option<String>,
    /// The certificate (PEM) that must have signed the Redis' own [default: the machine's authorities].
    #[arg(long, value_name = "FILE")]
    pub(crate) redis_ca: Option<PathBuf>,
}
