//! `trace`: spans of ended calls, as OTLP JSON in a log of the node, for a collector that follows it.

mod span;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::TraceSpanInstance;
use osier_plugin::{Plugin, TraceSpan, log};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default = "stream")]
    stream: String,
}

fn stream() -> String {
    "traces".into()
}

/// The plugin.
struct Trace {
    stream: String,
}

impl Plugin for Trace {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.stream.is_empty() {
            return Err("stream: must name a stream of spec.grants.logs".into());
        }
        Ok(Self {
            stream: config.stream,
        })
    }
}

impl TraceSpan for Trace {
    /// Every span is tried; the first fault is the batch's.
    fn report(&self, batch: &[TraceSpanInstance]) -> Result<(), String> {
        let written = batch.iter().map(|instance| {
            let line = span::otlp(instance).to_string();
            log::write(&self.stream, &line).map_err(|error| format!("{}: {error}", self.stream))
        });
        written.fold(Ok(()), Result::and)
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Trace: tracespan);
