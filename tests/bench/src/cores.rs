//! Who runs on which core.

use anyhow::{Context, Result};
use std::time::Duration;

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

/// The processor time that a process has used, from `/proc/PID/stat` in ticks of 10 ms (proc(5)).
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().unwrap_or_default())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}
