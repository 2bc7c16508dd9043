//! The door to pod logs, which live with the node agent.

use osier_api::{Object, Status};
use osier_process::Boxed;
use osier_process::body::Body;

/// What part of a container's log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep the answer open and send what is written later.
    pub follow: bool,
    /// Only this many of the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines written at or after this time.
    pub since: Option<jiff::Timestamp>,
    /// Begin each line with its time.
    pub timestamps: bool,
    /// Stop after this many bytes.
    pub limit_bytes: Option<u64>,
    /// The log of the run before the current one.
    pub previous: bool,
}

/// Opens the log of a container.
pub trait PodLogs: Send + Sync {
    /// The log as a stream of text, or the answer that the caller shall see.
    fn open<'a>(
        &'a self,
        pod: &'a Object,
        container: &'a str,
        options: LogOptions,
    ) -> Boxed<'a, Result<Body, Status>>;
}
