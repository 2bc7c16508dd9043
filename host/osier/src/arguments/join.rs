//! The arguments with which machines join.

use super::{Connection, Counting, LogFormat, Naming, Offering, Pulling};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `osier node --help` ends with.
pub(crate) const NODE_EXAMPLES: &str = "Example:
  osier token create                         on the control plane: prints the whole command for the new machine
  osier node --join https://10.0.0.1:6443 --token ID.SECRET --ca-cert-hash sha256:...

The token is needed once. A node that has joined keeps its certificate in DIR/pki, renews it, and starts again without one.
";

/// Arguments of `osier node`.
#[derive(Args, Debug)]
#[command(after_long_help = crate::exit::HELP)]
pub(crate) struct Node {
    /// The API of the cluster, `https://HOST:PORT`.
    #[arg(long, value_name = "URL")]
    pub(crate) join: String,
    /// A bootstrap token, `ID.SECRET`.
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
    /// This node's name [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// Where other nodes reach this node's pods, mutual TLS.
    #[arg(
        long,
        visible_alias = "listen",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:15008"
    )]
    pub(crate) mesh_listen: String,
    /// Where metrics and health are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:15020")]
    pub(crate) admin_listen: String,
    /// Where names are answered.
    #[command(flatten)]
    pub(crate) naming: Naming,
    /// How images are pulled.
    #[command(flatten)]
    pub(crate) pulling: Pulling,
    /// Where plugins count.
    #[command(flatten)]
    pub(crate) counting: Counting,
    /// What pods may use of this machine.
    #[command(flatten)]
    pub(crate) offering: Offering,
    /// How log lines are written [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Which log lines are written, as tracing directives [default: info].
    #[arg(long, value_name = "FILTER", env = "OSIER_LOG")]
    pub(crate) log: Option<String>,
}

/// `osier token`.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// What to do with tokens.
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// The subcommands of `osier token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print the command with which a machine joins.
    Create {
        /// How long it can be used: hours, at least one.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        ttl_hours: u32,
        /// Make a token for the proxy of this workload only, NAMESPACE/NAME of its WorkloadEntry, and print its command.
        #[arg(long, value_name = "WORKLOAD")]
        workload: Option<String>,
        /// Make a token for the proxies of this WorkloadGroup's members, NAMESPACE/NAME, and print their command.
        #[arg(long, value_name = "GROUP", conflicts_with = "workload")]
        group: Option<String>,
        /// How to reach the API.
        #[command(flatten)]
        connection: Connection,
    },
    /// List the tokens, without their secrets.
    List {
        /// How to reach the API.
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a token. Nodes that joined with it stay.
    Delete {
        /// The token, or the identifier before its dot.
        token: String,
        /// How to reach the API.
        #[command(flatten)]
        connection: Connection,
    },
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    #[test]
    fn the_mesh_has_one_name_everywhere_and_the_old_one_is_understood() {
        for flag in ["--mesh-listen", "--listen"] {
            let typed = |command: &str, more: [&str; 2]| {
                let start = ["osier", command, "--join", "https://a:1"];
                let words = [&start[..], &more, &[flag, "10.0.0.2:1"]].concat();
                Arguments::try_parse_from(words).unwrap().command
            };
            let Command::Node(node) = typed("node", ["--node-name", "b"]) else {
                unreachable!()
            };
            assert_eq!(node.mesh_listen, "10.0.0.2:1", "{flag}");
            let Command::Proxy(proxy) = typed("proxy", ["--workload", "shop/vm"]) else {
                unreachable!()
            };
            assert_eq!(proxy.mesh_listen, "10.0.0.2:1", "{flag}");
        }
    }
}
