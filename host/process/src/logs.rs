//! Structured logs: one JSON object or one readable line per event, to standard error.

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, target, fields; coloured on a terminal.
    Text {
        /// Whether to colour.
        colour: bool,
    },
    /// For machines: one JSON object a line.
    Json,
}

/// A filter that could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "log filter `{filter}`: {reason}; expected directives such as `info` or `osier_proxy=debug,info`"
)]
pub struct BadFilter {
    filter: String,
    reason: String,
}

/// Installs the process's log writer. Later calls change nothing.
///
/// # Errors
/// [`BadFilter`] when `filter` does not follow the directives of `tracing-subscriber`.
pub fn install(filter: &str, format: Format) -> Result<(), BadFilter> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| BadFilter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr);
    // Only the binary installs; a second call (tests) keeps the first writer.
    let _installed = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        Format::Text { colour } => builder.with_ansi(colour).try_init(),
    };
    Ok(())
}
