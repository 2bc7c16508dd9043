//! Where names of the mesh are answered, as it is typed.

use clap::Args;

/// DNS for workloads that are no pods. Pods need none: their names are looked up in memory.
#[derive(Args, Debug, Default, Clone)]
pub(crate) struct Naming {
    /// Where names of the mesh are answered, DNS over UDP and TCP [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns_listen: Option<String>,
    /// A resolver that is asked for all other names, IP or IP:PORT; may be repeated. `none` refuses them [default: those of /etc/resolv.conf].
    #[arg(long, value_name = "RESOLVER")]
    pub(crate) dns_forward: Vec<String>,
}
