//! `cargo xtask bench`: how fast and how small a release build is, measured from outside over real connections.
//!
//! Every figure comes from one run on one machine. Where it has two cores, traffic is measured twice: with a core for the server and one
//! for the load, and with all cores for both.

mod api;
mod binds;
mod containers;
mod cores;
mod density;
mod h2load;
mod peer;
mod pods;
mod policy;
mod process;
mod proxy;
mod traffic;
mod wrk;

use anyhow::Result;
use cores::Cores;
use osier_tests::artifacts::component;
use osier_tests::{Node, Options};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure a release build.
#[derive(clap::Parser)]
struct Bench {
    /// The binary to measure.
    #[arg(long)]
    binary: PathBuf,
    /// How long each measurement of traffic lasts.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Connections at work at the same time, one row each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,
    /// How often each proxy is measured in turn with the others: what their figures spread over.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these parts, separated by commas; all of them without this.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Idle pods whose memory is measured.
    #[arg(long, default_value_t = 1000)]
    pods: usize,
    /// Watches that are told of the same changes.
    #[arg(long, default_value_t = 10_000)]
    watches: usize,
    /// Stored pods whose memory is measured.
    #[arg(long, default_value_t = 150_000)]
    objects: usize,
    /// Pods that live on one node at the same time.
    #[arg(long, default_value_t = 10_000)]
    live_pods: usize,
    /// Simulated nodes among which pods are placed.
    #[arg(long, default_value_t = 5_000)]
    nodes: usize,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A component through the gateway, beside `wasmtime serve`.
    Hello,
    /// A call from pod to pod.
    Hop,
    /// How soon pods are ready, and what idle ones hold.
    Pods,
    /// The data plane as a reverse proxy, beside its peers.
    Proxy,
    /// The API server: an idle one, writes, reads, watches, memory, lists.
    Api,
    /// Live pods on one node, each asked once.
    Density,
    /// The scheduler among thousands of nodes.
    Binds,
    /// Containers by crun, for comparison.
    Containers,
    /// Plugins: the cost of a call, memory, bad neighbours, swaps.
    Policy,
}

#[tokio::main]
async fn main() -> ExitCode {
    match <Bench as clap::Parser>::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Bench {
    async fn run(&self) -> Result<()> {
        let mut figures = Map::new();
        if self.wants(Part::Hello) || self.wants(Part::Hop) {
            self.gateway(&mut figures).await?;
        }
        if self.wants(Part::Pods) {
            self.pods(&mut figures).await?;
        }
        if self.wants(Part::Proxy) {
            figures.insert("proxy".into(), proxy::compare(self).await?);
        }
        if self.wants(Part::Api) {
            figures.insert("api".into(), self.api().await?);
        }
        if self.wants(Part::Policy) {
            figures.insert("policy".into(), policy::measure(self).await?);
        }
        self.crowds(&mut figures).await?;
        std::fs::write(&self.json, format!("{:#}\n", Value::Object(figures)))?;
        println!("\n  as JSON: {}", self.json.display());
        Ok(())
    }

    /// What many pods and nodes cost, and what containers cost instead.
    async fn crowds(&self, figures: &mut Map<String, Value>) -> Result<()> {
        if self.wants(Part::Density) {
            figures.insert("density".into(), density::measure(self).await?);
        }
        if self.wants(Part::Binds) {
            figures.insert("binds".into(), binds::measure(self).await?);
        }
        if self.wants(Part::Containers) {
            figures.insert("containers".into(), containers::measure(self).await?);
        }
        Ok(())
    }

    async fn api(&self) -> Result<Value> {
        let mut node = Node::start_with(&Options {
            binary: Some(self.binary.clone()),
            ..Options::default()
        })?;
        let figures = api::measure(&node, self).await?;
        node.terminate()?;
        Ok(figures)
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Components through the gateway and from pod to pod.
    async fn gateway(&self, figures: &mut Map<String, Value>) -> Result<()> {
        let mut node = self.node(Cores::Apart)?;
        if self.wants(Part::Hello) {
            self.hello((&node, Cores::Apart), figures).await?;
        }
        if self.wants(Part::Hop) {
            figures.insert("hop".into(), traffic::hop(&node, self).await?);
        }
        node.terminate()?;
        if self.wants(Part::Hello) {
            let mut node = self.node(Cores::Shared)?;
            self.hello((&node, Cores::Shared), figures).await?;
            node.terminate()?;
        }
        Ok(())
    }

    /// Starting pods is no comparison of one core with another: this node has them all, and nothing behind it yet.
    async fn pods(&self, figures: &mut Map<String, Value>) -> Result<()> {
        let mut node = self.node(Cores::Shared)?;
        traffic::hello_answers(&node).await?;
        figures.insert("apply_to_ready".into(), pods::apply_to_ready(&node).await?);
        figures.insert("idle_pods".into(), pods::idle(&node, self.pods).await?);
        node.terminate()?;
        Ok(())
    }

    /// Hello through the gateway, and by the peers.
    async fn hello(
        &self,
        (node, cores): (&Node, Cores),
        figures: &mut Map<String, Value>,
    ) -> Result<()> {
        let (rows, hello) = traffic::hello((node, cores), self).await?;
        let peers = peer::compare((self, cores), &rows).await?;
        let name = match cores {
            Cores::Apart => "hello_on_one_core",
            Cores::Shared => "hello_on_all_cores",
        };
        figures.insert(
            name.into(),
            json!({"osier": hello, "wasmtime_serve": peers}),
        );
        Ok(())
    }

    /// A node with what is measured on it.
    fn node(&self, cores: Cores) -> Result<Node> {
        let node = Node::start_with(&Options {
            binary: Some(self.binary.clone()),
            wrapper: cores.measured(),
            ..Options::default()
        })?;
        node.import("hello:1.0", &component("hello")?)?;
        node.import("http:1.0", &component("tests/http")?)?;
        node.apply_text(include_str!("hello.yaml"))?;
        Ok(node)
    }
}
