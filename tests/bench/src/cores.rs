//! Who runs on which core.

use anyhow::{Context, Result};
use std::time::Duration;

/// How much longer than asked for a load may take: connections are opened and closed, and a machine may be busy.
const SLACK: Duration = Duration::from_secs(60);

/// Who may use which cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// What is measured has the first core and the load the second: what one core can do.
    Apart,
    /// Everybody has all of them, as on a machine that nobody arranged: what threads cost each other counts too.
    Shared,
}

impl Cores {
    /// Put before the command of what is measured; empty where there is only one core, or no `taskset`.
    pub(crate) fn measured(self) -> Vec<String> {
        self.on(0)
    }

    /// Put before the command that makes the load.
    pub(crate) fn load(self) -> Vec<String> {
        self.on(1)
    }

    fn on(self, core: usize) -> Vec<String> {
        match self {
            Self::Apart => on(core),
            Self::Shared => Vec::new(),
        }
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Apart => "a core for the server, a core for the load",
            Self::Shared => "all cores for both",
        })
    }
}

fn on(core: usize) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let here = std::process::Command::new("taskset").arg("-V").output();
    if cores < 2 || here.is_err() {
        return Vec::new();
    }
    vec!["taskset".to_owned(), "-c".to_owned(), core.to_string()]
}

/// A command that runs on a core.
pub(crate) fn command(wrapper: &[String], program: &str) -> tokio::process::Command {
    match wrapper.split_first() {
        None => tokio::process::Command::new(program),
        Some((first, rest)) => {
            let mut command = tokio::process::Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Whether a program is there to be run.
pub(crate) async fn installed(program: &str) -> bool {
    let version = tokio::process::Command::new(program)
        .arg("--version")
        .output();
    version.await.is_ok()
}

/// Runs a load that lasts so many seconds to its end, and kills it when it does not come to one.
pub(crate) async fn ended(
    load: &mut tokio::process::Command,
    seconds: u64,
) -> Result<std::process::Output> {
    let limit = Duration::from_secs(seconds) + SLACK;
    let output = tokio::time::timeout(limit, load.kill_on_drop(true).output()).await;
    Ok(output.with_context(|| format!("{load:?} has not ended within {limit:?}"))??)
}
