//! Structured logs: one JSON object or one readable line per event, to standard error.

mod busy;
mod lines;

pub use lines::Flush;

use busy::{Busy, Style};
use lines::Lines;
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

/// Why there is no log writer.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter could not be read.
    #[error(
        "log filter `{filter}`: {reason}; expected directives such as `info` or `osier_proxy=debug,info`"
    )]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The writing thread did not start.
    #[error("the log writer did not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Installs the process's log writer. Later calls change nothing. Events with one of the `buffered` targets may wait for 100 ms,
/// so that many are written at once; they are lost if the process is killed meanwhile, never when it ends by itself.
///
/// # Errors
/// [`LogError`] when `filter` does not follow the directives of `tracing-subscriber`.
pub fn install(
    filter: &str,
    format: Format,
    buffered: &'static [&'static str],
) -> Result<Flush, LogError> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| LogError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let (lines, flush) = Lines::new(buffered)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(lines);
    // Only the binary installs; a second call (tests) keeps the first writer.
    let _installed = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .map_event_format(|others| Busy {
                targets: buffered,
                style: Style::Json,
                others,
            })
            .try_init(),
        Format::Text { colour: true } => builder.with_ansi(true).try_init(),
        Format::Text { colour: false } => builder
            .with_ansi(false)
            .map_event_format(|others| Busy {
                targets: buffered,
                style: Style::Text,
                others,
            })
            .try_init(),
    };
    Ok(flush)
}
