//! `cargo xtask bench`: how fast and how small a release build is, measured from outside over real connections.
//!
//! Every figure comes from one run on one machine. Where it has two cores, what is measured has one and the load generator the other.

mod cores;
mod peer;
mod pods;
mod traffic;
mod wrk;

use anyhow::Result;
use osier_tests::artifacts::component;
use osier_tests::{Node, Options};
use serde_json::{Map, Value};
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
    /// Idle pods whose memory is measured.
    #[arg(long, default_value_t = 1000)]
    pods: usize,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
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
        let mut node = self.node(cores::measured())?;
        let (rows, hello) = traffic::hello(&node, self).await?;
        figures.insert("hello".into(), hello);
        figures.insert("wasmtime_serve".into(), peer::compare(self, &rows).await?);
        figures.insert("hop".into(), traffic::hop(&node, self).await?);
        node.terminate()?;
        // Starting pods is no comparison of one core with another: this node has them all.
        let mut node = self.node(Vec::new())?;
        traffic::hello_answers(&node).await?;
        figures.insert("apply_to_ready".into(), pods::apply_to_ready(&node).await?);
        figures.insert("idle_pods".into(), pods::idle(&node, self.pods).await?);
        node.terminate()?;
        std::fs::write(&self.json, format!("{:#}\n", Value::Object(figures)))?;
        println!("\n  as JSON: {}", self.json.display());
        Ok(())
    }

    /// A node with what is measured on it, behind a command such as `taskset`.
    fn node(&self, wrapper: Vec<String>) -> Result<Node> {
        let node = Node::start_with(&Options {
            binary: Some(self.binary.clone()),
            wrapper,
            ..Options::default()
        })?;
        node.import("hello:1.0", &component("hello")?)?;
        node.import("http:1.0", &component("tests/http")?)?;
        node.apply_text(include_str!("hello.yaml"))?;
        Ok(node)
    }
}
