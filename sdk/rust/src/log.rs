//! Logs of the node. Grant the stream in the Plugin object: `spec.grants.logs: [STREAM]`.

use crate::bindings::host::osier::policy::log as host;

/// Why a line was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The stream is not in the plugin's grants.
    NotGranted,
    /// The line is longer than 16 KiB.
    TooLong,
    /// The node cannot write now.
    Unavailable,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Error::NotGranted => "the stream is not granted; add it to spec.grants.logs",
            Error::TooLong => "the line is longer than 16 KiB",
            Error::Unavailable => "the node cannot write now",
        })
    }
}

impl std::error::Error for Error {}

/// Writes one line.
pub fn write(stream: &str, text: &str) -> Result<(), Error> {
    host::write(stream, text).map_err(|error| match error {
        host::Error::NotGranted => Error::NotGranted,
        host::Error::TooLong => Error::TooLong,
        host::Error::Unavailable => Error::Unavailable,
    })
}
