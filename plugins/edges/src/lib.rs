//! `edges`: who calls whom, for a map of the mesh: a number for each pair of workloads, and lines that a map can be drawn from.

mod edge;

use osier_plugin::metrics::{Family, Kind};
use osier_plugin::serde::Deserialize;
use osier_plugin::types::EdgeInstance;
use osier_plugin::{Edge as Edges, Plugin, ReportNothing, log};

use edge::{Edge, LABELS, counted};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    metric: Option<String>,
    calls: Option<String>,
    stream: Option<String>,
}

/// The plugin.
struct Map {
    /// None if only calls are counted.
    edges: Option<Family>,
    calls: Option<Family>,
    stream: Option<String>,
}

impl Plugin for Map {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let usual = || config.calls.is_none().then(|| "mesh_edges".to_owned());
        let metric = config.metric.clone().or_else(usual);
        let labels = LABELS.map(str::to_owned);
        Ok(Self {
            edges: defined("metric", metric, "Calls by caller and called", &labels)?,
            calls: defined("calls", config.calls, "Calls that matched the policy", &[])?,
            stream: config.stream,
        })
    }
}

fn defined(
    field: &str,
    name: Option<String>,
    description: &str,
    labels: &[String],
) -> Result<Option<Family>, String> {
    let define = |name: String| {
        Family::define(&name, Kind::Counter, description, labels)
            .map_err(|error| format!("{field}: {name}: {error}"))
    };
    name.map(define).transpose()
}

impl Edges for Map {
    /// Every edge is tried; the first fault is the batch's.
    fn report(&self, batch: &[EdgeInstance]) -> Result<(), String> {
        let told = counted(batch);
        let told = told.iter().map(|(edge, calls)| self.tell(edge, *calls));
        told.fold(Ok(()), Result::and)
    }
}

impl Map {
    fn tell(&self, edge: &Edge, calls: u32) -> Result<(), String> {
        if let Some(edges) = &self.edges {
            let recorded = edges.record(&edge.labels(), f64::from(calls));
            recorded.map_err(|error| format!("metric: {error}"))?;
        }
        if let Some(stream) = &self.stream {
            let written = log::write(stream, &edge.line(calls).to_string());
            written.map_err(|error| format!("stream: {stream}: {error}"))?;
        }
        Ok(())
    }
}

impl ReportNothing for Map {
    fn report(&self, calls: u32) -> Result<(), String> {
        let counter = self
            .calls
            .as_ref()
            .ok_or("calls: names no metric in the plugin's config")?;
        let recorded = counter.record(&[], f64::from(calls));
        recorded.map_err(|error| format!("calls: {error}"))
    }
}

osier_plugin::optional!(b"log");
osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Map: edge, reportnothing);
