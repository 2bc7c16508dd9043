//! One process of node that bundles whenever it is asked: starting it and loading rolldown takes longer than the work.

use super::super::steps::{self, Tool};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

const NODE: Tool = Tool {
    program: "node",
    remedy: "install Node.js 20 or newer (https://nodejs.org, or `apt-get install nodejs npm`)",
};
const SCRIPT: &str = include_str!("bundle.mjs");
/// A bundler that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of a bundle as JSON.
const LARGEST: u64 = 32 << 20;

/// The process. It ends when this is dropped.
pub(super) struct Bundler {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<std::io::Result<String>>,
}

/// What came of one order.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// A script in the manner of CommonJS.
    Text(String),
    /// The sources are wrong, in the bundler's words.
    Fault(String),
    /// They are right, and not for one script.
    Unfit(String),
}

impl Bundler {
    /// Starts the process in a project.
    ///
    /// # Errors
    /// If there is no node.
    pub(super) fn start(project: &Path) -> anyhow::Result<Self> {
        let node = steps::find(&NODE, &[])?;
        let mut command = Command::new(&node);
        command
            .args(["--input-type=module", "--eval", SCRIPT])
            .current_dir(project)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let spawned = command.spawn();
        let mut child = spawned.with_context(|| format!("{} cannot be run", node.display()))?;
        let (orders, output) = (child.stdin.take(), child.stdout.take());
        let (orders, output) = orders.zip(output).context("node has no standard streams")?;
        let (sender, answers) = sync_channel(1);
        std::thread::Builder::new()
            .name("bundler".to_owned())
            .spawn(move || read(output, &sender))
            .context("no thread to read what node answers")?;
        Ok(Self {
            child,
            orders,
            answers,
        })
    }

    /// Bundles the sources as they are now.
    ///
    /// # Errors
    /// If the process gives no answer.
    pub(super) fn bundle(&mut self) -> anyhow::Result<Answer> {
        let asked = self.orders.write_all(b"\n");
        asked.context("the bundler has ended; its own words are above")?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(Ok(line)) => serde_json::from_str(&line)
                .with_context(|| format!("the bundler answered {:?}", line.trim_end())),
            Ok(Err(error)) => Err(error).context("the bundler's answer cannot be read"),
            Err(_) => bail!("the bundler gave no answer; its own words are above"),
        }
    }
}

/// Hands on lines until there are no more, or nobody wants them.
fn read(output: ChildStdout, answers: &SyncSender<std::io::Result<String>>) {
    let mut lines = BufReader::new(output);
    loop {
        let mut line = String::new();
        let read = lines.by_ref().take(LARGEST).read_line(&mut line);
        let last = !matches!(read, Ok(1..));
        if matches!(read, Ok(0)) || answers.send(read.map(|_| line)).is_err() || last {
            return;
        }
    }
}

impl Drop for Bundler {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
