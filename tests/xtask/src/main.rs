//! `cargo xtask`: what a developer and a first visitor run. It builds guests and host, shows the product, tests it and measures it.
//!
//! It is no part of the product and installs nothing by stealth: what it adds (a Rust target) or misses (a tool) it says first.

mod build;
mod fuzz;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds, shows, tests and measures Osier.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask demo            see the whole product once, in a minute or two after the first build\n  \
                  cargo xtask demo --keep     the same, and leave the node running to play with\n  \
                  cargo xtask test            everything that CI tests\n  \
                  cargo xtask test policy     only tests whose name contains `policy`\n  \
                  cargo xtask bench --seconds 10 --connections 64\n  \
                  cargo xtask bench --only proxy   the data plane beside Envoy, nginx, HAProxy and bare hyper\n  \
                  cargo xtask fuzz spdy --seconds 300   looks for bytes that a target does not stand"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the guests (plugins, examples, test components) and the `osier` binary.
    Build {
        /// Build the binary with optimisations, as benchmarks need it.
        #[arg(long)]
        release: bool,
        /// Build only the WebAssembly guests.
        #[arg(long)]
        guests: bool,
    },
    /// Start a node, deploy Bookinfo, send traffic, and load a policy while it flows.
    Demo {
        /// Leave the node running, and say how to reach and to end it.
        #[arg(long)]
        keep: bool,
    },
    /// Build everything, then run every test: units, properties, end to end.
    Test {
        /// Passed on to the tests: a name to filter by, `--nocapture` after `--`, and so on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Look for bytes from outside that some part of the product does not stand.
    Fuzz {
        /// One target, as folders of `tests/fuzz/corpus` are called; without it all of them, one after the other.
        target: Option<String>,
        /// How long each is looked at.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Measure a release build: the gateway, pods, and the data plane beside its peers.
    Bench {
        /// How long each measurement lasts.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Connections at work at the same time, one row each.
        #[arg(long, default_value = "1,16,64")]
        connections: String,
        /// How often each proxy is measured in turn with the others.
        #[arg(long, default_value_t = 3)]
        rounds: u64,
        /// Only these parts, separated by commas.
        #[arg(long, value_delimiter = ',', value_parser = PARTS)]
        only: Vec<String>,
        /// Pods that live on one node at the same time, for `density`.
        #[arg(long, default_value_t = 10_000)]
        live_pods: u64,
    },
}

/// What the benchmark measures.
const PARTS: [&str; 9] = [
    "hello",
    "hop",
    "pods",
    "proxy",
    "policy",
    "api",
    "density",
    "binds",
    "containers",
];

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Build { release, guests } => build::run(release, guests),
        Task::Demo { keep } => run::demo(keep),
        Task::Test { filter } => run::test(&filter),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Bench {
            seconds,
            connections,
            rounds,
            only,
            live_pods,
        } => run::bench((seconds, rounds, live_pods), &connections, &only),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
