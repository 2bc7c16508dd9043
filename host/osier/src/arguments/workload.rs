//! The arguments of the proxy that stands beside a workload outside.

use super::{Counting, LogFormat, Naming, Pulling};
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;

/// What `osier proxy --help` ends with.
pub(crate) const PROXY_EXAMPLES: &str = "Example:
  osier apply -f vm.yaml                     on the control plane: the WorkloadEntry shop/vm, and a ServiceEntry that selects it
  osier token create --workload shop/vm      on the control plane: prints the whole command for the workload's machine
  osier proxy --workload shop/vm --join https://10.0.0.1:6443 --token ID.SECRET --ca-cert-hash sha256:...
  osier token create --group shop/vms        the same for any number of machines: each becomes a WorkloadEntry of the WorkloadGroup shop/vms
  curl -x http://127.0.0.1:15001 http://reviews:9080/    on the workload's machine: a call of the mesh

The token is needed once. A proxy that has joined keeps its certificate in DIR/pki, renews it, and starts again without one.
";

/// Arguments of `osier proxy`.
#[derive(Args, Debug)]
#[command(after_long_help = crate::exit::HELP)]
pub(crate) struct Proxy {
    /// The WorkloadEntry that the proxy speaks for, as NAMESPACE/NAME, or NAME in `default`.
    #[arg(long, value_name = "WORKLOAD", required_unless_present = "group")]
    pub(crate) workload: Option<String>,
    /// The WorkloadGroup as a member of which it joins instead: the entry is made as the group's template says, and ends with the proxy.
    #[arg(long, value_name = "GROUP", conflicts_with = "workload")]
    pub(crate) group: Option<String>,
    /// What the member is called in its group [default: the machine's name].
    #[arg(long, value_name = "NAME", requires = "group")]
    pub(crate) member: Option<String>,
    /// The API of the cluster, `https://HOST:PORT`.
    #[arg(long, value_name = "URL")]
    pub(crate) join: String,
    /// A bootstrap token for this workload or group, `ID.SECRET`.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "OSIER_JOIN_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// The hash of the cluster's authority, `sha256:` and 64 digits: what the server is believed by before this machine knows it.
    #[arg(long, value_name = "HASH")]
    pub(crate) ca_cert_hash: Option<String>,
    /// Where everything is kept [default: ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where nodes reach the workload, mutual TLS.
    #[arg(
        long,
        visible_alias = "listen",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:15008"
    )]
    pub(crate) mesh_listen: String,
    /// Where the workload calls out: an HTTP proxy and a SOCKS5 proxy on one port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15001")]
    pub(crate) outbound_listen: String,
    /// Where the machine redirects connections of the workload (nftables `redirect to`) [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) redirect_listen: Option<String>,
    /// Where names are answered, as the workload sees them.
    #[command(flatten)]
    pub(crate) naming: Naming,
    /// The address on which the workload listens.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) workload_address: IpAddr,
    /// Where metrics and health are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15020")]
    pub(crate) admin_listen: String,
    /// How images of plugins are pulled.
    #[command(flatten)]
    pub(crate) pulling: Pulling,
    /// Where plugins count.
    #[command(flatten)]
    pub(crate) counting: Counting,
    /// How log lines are written [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Which log lines are written, as tracing directives [default: info].
    #[arg(long, value_name = "FILTER", env = "OSIER_LOG")]
    pub(crate) log: Option<String>,
}
