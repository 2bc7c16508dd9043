//! `trace`: spans of ended calls, sent to a collector (OTLP or Zipkin), or as OTLP JSON in a log of the node, for one that follows it.

mod span;
mod zipkin;

use std::collections::BTreeMap;
use std::time::Duration;

use osier_plugin::http::Request;
use osier_plugin::serde::Deserialize;
use osier_plugin::types::TraceSpanInstance;
use osier_plugin::{Plugin, TraceSpan, log, serde_json::Value as Json};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    stream: Option<String>,
    url: Option<String>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// How spans are written for a collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "UPPERCASE")]
enum Format {
    /// OTLP over HTTP, as JSON: the path is usually `/v1/traces`.
    #[default]
    Otlp,
    /// Zipkin's second version: the path is usually `/api/v2/spans`.
    Zipkin,
}

/// Longest wait for the collector; no request waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The plugin.
struct Trace(Config);

impl Plugin for Trace {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.stream.as_deref() == Some("") {
            return Err("stream: must name a stream of spec.grants.logs".into());
        }
        let alone = config.format != Format::Otlp || !config.headers.is_empty();
        match config.url.as_deref() {
            None if alone => Err("url: is missing; format and headers go with it".into()),
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => Err(
                format!("url: `{url}` is no URL such as http://collector.default:4318/v1/traces"),
            ),
            _ => Ok(Self(config)),
        }
    }
}

impl TraceSpan for Trace {
    /// To the collector, to the log, or both; the first fault is the batch's.
    fn report(&self, batch: &[TraceSpanInstance]) -> Result<(), String> {
        let Config { stream, url, .. } = &self.0;
        let sent = url.as_ref().map_or(Ok(()), |url| self.send(url, batch));
        let written = match (stream, url) {
            (None, Some(_)) => Ok(()),
            (stream, _) => write(stream.as_deref().unwrap_or("traces"), batch),
        };
        sent.and(written)
    }
}

impl Trace {
    /// One request for the whole batch.
    fn send(&self, url: &str, batch: &[TraceSpanInstance]) -> Result<(), String> {
        let body = match self.0.format {
            Format::Otlp => span::export(batch),
            Format::Zipkin => Json::Array(batch.iter().map(zipkin::span).collect()),
        };
        let request = Request::new("POST", url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .timeout(PATIENCE);
        let headers = self.0.headers.iter();
        let request = headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let answer = request.send().map_err(|error| format!("{url}: {error}"))?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(format!("{url}: the collector answered {status}")),
        }
    }
}

/// Every span is tried; the first fault is the batch's.
fn write(stream: &str, batch: &[TraceSpanInstance]) -> Result<(), String> {
    let written = batch.iter().map(|instance| {
        let line = span::otlp(instance).to_string();
        log::write(stream, &line).map_err(|error| format!("{stream}: {error}"))
    });
    written.fold(Ok(()), Result::and)
}

osier_plugin::optional!(b"log");
osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Trace: tracespan);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_plugin::export::make;

    #[test]
    fn what_is_missing_or_no_url_is_named() {
        for (config, field) in [
            (r#"{"stream": ""}"#, "stream"),
            (r#"{"format": "ZIPKIN"}"#, "url"),
            (r#"{"headers": {"a": "b"}}"#, "url"),
            (r#"{"url": "collector:4318"}"#, "url"),
        ] {
            let error = make::<Trace>(config).err().unwrap();
            assert!(error.starts_with(field), "{error}");
        }
        assert!(make::<Trace>("{}").is_ok());
    }
}
