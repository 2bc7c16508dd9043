//! Logs of the node that plugins write to: events with the target `osier::log`, one for each line, so that they go where the node's own log goes.

/// The target of the events, for filters.
pub const LOG_TARGET: &str = "osier::log";
/// Bytes of one line.
const MAX_LINE: usize = 16 << 10;

/// Logs of the node that a plugin may write to. No function waits.
pub trait LogStreams: Send + Sync {
    /// Writes one line.
    ///
    /// # Errors
    /// See [`LogError`].
    fn write(&self, stream: &str, text: &str) -> Result<(), LogError>;
}

/// Why a line was not written (`osier:policy/log.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The stream is not in the plugin's grants.
    #[error("the stream is not granted")]
    NotGranted,
    /// The line is too long.
    #[error("the line is too long")]
    TooLong,
    /// The node cannot write now.
    #[error("the log is unavailable")]
    Unavailable,
}

/// The streams of one Plugin object.
pub struct Streams {
    plugin: String,
    granted: Vec<String>,
}

impl Streams {
    /// The streams that a plugin is granted.
    pub fn granted(plugin: &str, streams: Vec<String>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            granted: streams,
        }
    }
}

impl LogStreams for Streams {
    fn write(&self, stream: &str, text: &str) -> Result<(), LogError> {
        if !self.granted.iter().any(|granted| granted == stream) {
            return Err(LogError::NotGranted);
        }
        if text.len() > MAX_LINE {
            return Err(LogError::TooLong);
        }
        tracing::info!(target: LOG_TARGET, stream, plugin = self.plugin, "{text}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_granted_streams_and_lines_of_a_bounded_length() {
        let streams = Streams::granted("default/a", vec!["access".into()]);
        assert_eq!(streams.write("access", "a line"), Ok(()));
        assert_eq!(streams.write("audit", "a line"), Err(LogError::NotGranted));
        let long = "x".repeat(MAX_LINE + 1);
        assert_eq!(streams.write("access", &long), Err(LogError::TooLong));
    }
}
