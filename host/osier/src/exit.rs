//! Exit codes that say why, so that a supervisor can tell a typo from a full disk.

use std::process::ExitCode;

/// Why the process ends unsuccessfully.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something that was asked for did not work (exit code 1).
    #[error("{}", crate::words::story(.0))]
    Failed(#[from] anyhow::Error),
    /// The configuration is wrong; every fault is named (exit code 2, as for wrong arguments).
    #[error("{0}")]
    Configuration(#[from] crate::configuration::Faults),
    /// Another process holds the data directory (exit code 3).
    #[error("{0}")]
    InUse(String),
    /// The data directory cannot be read or written, or the store in it is damaged (exit code 4).
    #[error("{0}")]
    Data(String),
    /// An address cannot be bound (exit code 5).
    #[error("{0}")]
    Address(String),
    /// Something was still running when the drain deadline passed (exit code 6).
    #[error("{0}")]
    NotDrained(String),
    /// A second signal ended the drain (exit code 130).
    #[error("ended at once by a second signal; requests in flight were cut off")]
    Interrupted,
}

impl Failure {
    /// The process's exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Configuration(_) => 2,
            Self::InUse(_) => 3,
            Self::Data(_) => 4,
            Self::Address(_) => 5,
            Self::NotDrained(_) => 6,
            Self::Interrupted => 130,
        })
    }
}

/// What `osier up --help` says of them.
pub(crate) const HELP: &str = "Exit codes:
  0    drained after SIGTERM or SIGINT
  1    something else failed; the message says what
  2    wrong arguments or configuration
  3    another osier uses the data directory
  4    the data directory cannot be used, or its store is damaged
  5    an address cannot be bound
  6    the drain deadline passed with work left
  130  ended at once by a second signal";
