//! What the containers of one pod are granted beyond WASI's own. The default is nothing.

use std::collections::BTreeMap;

use crate::buckets::Bucket;
use crate::configuration::Configuration;

/// What a container may use.
#[derive(Clone, Default)]
pub struct Grants {
    /// Key-value buckets (`wasi:keyvalue`), by the name under which a component opens them.
    pub buckets: BTreeMap<String, Bucket>,
    /// Configuration (`wasi:config`).
    pub configuration: Option<Configuration>,
    /// The least level that is written into the container's log (`wasi:logging`).
    pub logging: Option<LogLevel>,
}

/// How much a message matters, as `wasi:logging` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What the program does, step by step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What may become a fault.
    Warn,
    /// A fault.
    Error,
    /// A fault that the program does not survive.
    Critical,
}

impl LogLevel {
    /// All of them, the least first.
    pub const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Critical,
    ];

    /// As people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The level of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}
