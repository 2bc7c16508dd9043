//! The command line as it is typed: raw values, checked by `configuration`.

mod counting;
mod image;
mod join;
mod naming;
mod offering;
mod plugin;
mod store;
mod workload;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use counting::Counting;
pub(crate) use image::{Access, Image, ImageCommand, Place, Pulling};
pub(crate) use join::{NODE_EXAMPLES, Node, Token, TokenCommand};
pub(crate) use naming::Naming;
pub(crate) use offering::Offering;
pub(crate) use plugin::{Bench, Build, Dev, Inspect, New, Plugin, PluginCommand, Replay, Test};
use std::path::PathBuf;
pub(crate) use store::{Backup, Keeping, Restore, Store, StoreCommand, StoreName};
pub(crate) use workload::{PROXY_EXAMPLES, Proxy};

/// A service mesh and an orchestrator made of WebAssembly, in one binary.
#[derive(Debug, Parser)]
#[command(name = "osier", version, long_about = None, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  osier up                                   start a node in ~/.osier
  osier image import hello:1 hello.wasm      give a component a name that pods can use
  osier apply -f hello.yaml                  apply manifests without kubectl
  osier plugin new office-hours              start a policy plugin of your own
  KUBECONFIG=~/.osier/kubeconfig kubectl get pods -A";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node: API, gateway, controllers, pods.
    #[command(after_help = UP_EXAMPLES)]
    Up(Up),
    /// Join this machine to a cluster as a node that runs pods.
    #[command(after_help = NODE_EXAMPLES)]
    Node(Node),
    /// Stand beside a workload that is no pod: it becomes a member of the mesh.
    #[command(after_help = PROXY_EXAMPLES)]
    Proxy(Proxy),
    /// Make, list and delete the tokens with which machines join.
    Token(Token),
    /// Save what a node stores, and make it anew.
    Store(Store),
    /// Work with the node's own images, and with registries.
    Image(Image),
    /// Write, build, inspect, test and measure policy plugins.
    Plugin(Plugin),
    /// Apply manifests (create, or merge into what is there).
    #[command(after_help = "Example:\n  osier apply -f examples/hello/hello.yaml")]
    Apply(Files),
    /// Delete what manifests name.
    #[command(after_help = "Example:\n  osier delete -f examples/hello/hello.yaml")]
    Delete(Files),
    /// Show objects as a table, or whole with `-o json` or `-o yaml`.
    #[command(
        after_help = "Examples:\n  osier get pods -A -o wide\n  osier get pods -l app=hello -o name\n  osier get plugin/denier -o yaml"
    )]
    Get(Get),
    /// Tell of an object field by field, and what happened to it.
    #[command(after_help = "Examples:\n  osier describe pod hello\n  osier describe policy/limit")]
    Describe(Describe),
    /// Tell what the fields of a kind mean.
    #[command(
        after_help = "Examples:\n  osier explain deployment.spec.strategy\n  osier explain policy.spec"
    )]
    Explain(Explain),
    /// Print what the containers of a pod wrote.
    #[command(after_help = "Example:\n  osier logs hello --follow --tail 10")]
    Logs(Logs),
    /// Wait until an object has a condition, or is gone.
    #[command(
        after_help = "Examples:\n  osier wait pod/hello --for condition=Ready\n  osier wait deployment/web --for condition=Available --timeout 120\n  osier wait pod/hello --for delete"
    )]
    Wait(Wait),
    /// Show what was decided about a request: route, policies, plugins, and the time of each step.
    #[command(
        after_help = "Example:\n  osier why \"$(curl -si http://127.0.0.1:8080/ | sed -n 's/^x-request-id: //p' | tr -d '\\r')\""
    )]
    Why(Why),
    /// Show the configuration that `osier up` would use.
    Config(Config),
    /// Write a completion script for a shell.
    #[command(after_help = "Example:\n  source <(osier completion bash)")]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const UP_EXAMPLES: &str = "Examples:
  osier up
  osier up --data-dir /var/lib/osier --gateway-listen 0.0.0.0:80
  osier up --store etcd://10.0.0.1,10.0.0.2,10.0.0.3 --cert-dir /etc/osier/pki
  osier up --data-dir \"$(mktemp -d)\" --api-listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0

Addresses with port 0 are chosen by the system, printed, and written to DIR/addresses.json.
";

/// Arguments of `osier up`; what is not given comes from `--config`, then from the defaults.
#[derive(Args, Debug, Default)]
#[command(after_long_help = crate::exit::HELP)]
pub(crate) struct Up {
    /// Where everything is kept [default: ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the API listens, TLS [default: 127.0.0.1:6443].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) api_listen: Option<String>,
    /// Where the gateway takes outside traffic [default: 0.0.0.0:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) gateway_listen: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:15020].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<String>,
    /// Where joined nodes reach this node's pods, mutual TLS [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mesh_listen: Option<String>,
    /// Where Envoys ask the policies (gRPC: authorization, rate limits, access logs). Not loopback: mutual TLS [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) policy_listen: Option<String>,
    /// Where names are answered.
    #[command(flatten)]
    pub(crate) naming: Naming,
    /// This node's name [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// How images are pulled.
    #[command(flatten)]
    pub(crate) pulling: Pulling,
    /// Where plugins count.
    #[command(flatten)]
    pub(crate) counting: Counting,
    /// What pods may use of this machine.
    #[command(flatten)]
    pub(crate) offering: Offering,
    /// A YAML file with any of these settings (`osier config print` shows all).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where objects are kept.
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    /// How log lines are written [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Which log lines are written, as tracing directives [default: info].
    #[arg(long, value_name = "FILTER", env = "OSIER_LOG")]
    pub(crate) log: Option<String>,
}

/// Forms of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a client subcommand finds the API.
#[derive(Args, Debug, Clone)]
pub(crate) struct Connection {
    /// The kubeconfig to use [default: ~/.osier/kubeconfig].
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
}

/// `osier apply` and `osier delete`.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// A manifest, a directory of manifests, or `-` for standard input; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// The resource: plural, singular or short name; or RESOURCE/NAME.
    pub(crate) resource: String,
    /// One object of it.
    pub(crate) name: Option<String>,
    /// Objects of all namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Only objects with these labels, such as `app=hello,tier!=front`.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "name")]
    pub(crate) selector: Option<String>,
    /// How to show them.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Form>,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Forms in which objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The whole objects, JSON.
    Json,
    /// The whole objects, YAML.
    Yaml,
    /// RESOURCE/NAME, a line each.
    Name,
    /// The table with all its columns.
    Wide,
}

/// `osier describe`.
#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// The resource; or RESOURCE/NAME.
    pub(crate) resource: String,
    /// One object of it; all if it is not given.
    pub(crate) name: Option<String>,
    /// Only objects with these labels, such as `app=hello,tier!=front`.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "name")]
    pub(crate) selector: Option<String>,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier explain`.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The resource, and the way to a field behind dots: `pod.spec.containers`.
    pub(crate) field: String,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// The pod.
    pub(crate) pod: String,
    /// The container; needed where the pod has several.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Go on until the container ends.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The log of the container's life before this one.
    #[arg(short, long)]
    pub(crate) previous: bool,
    /// Only the last lines.
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u32>,
    /// Begin each line with its time.
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// The resource; or RESOURCE/NAME.
    pub(crate) object: String,
    /// Which one.
    pub(crate) name: Option<String>,
    /// `condition=NAME`, `condition=NAME=VALUE` or `delete`.
    #[arg(long = "for", value_name = "GOAL")]
    pub(crate) goal: String,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier why`.
#[derive(Args, Debug)]
pub(crate) struct Why {
    /// The request's `x-request-id`: in the access log, and in the header of what a node answers itself, such as a refusal.
    pub(crate) request_id: String,
    /// Ask this node only.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// `json` for all that is known.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Output forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// JSON.
    Json,
}

/// `osier config`.
#[derive(Args, Debug)]
pub(crate) struct Config {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// The subcommands of `osier config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the resolved configuration as YAML.
    Print(Up),
}
