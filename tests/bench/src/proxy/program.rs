//! The processes of the comparison: how they are started on their core, on free ports, and how they end with the benchmark.

use crate::cores::Cores;
use anyhow::{Context, Result};
use osier_tests::Node;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a peer may take to leave before it is killed.
const LEAVE: Duration = Duration::from_secs(5);

/// Where a proxy listens on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// HTTP/1.1.
    pub(super) plain: u16,
    /// HTTP/2 without TLS; the same as `plain` for those that tell the two apart.
    pub(super) two: u16,
    /// HTTP/1.1 over TLS.
    pub(super) secure: u16,
    /// Bytes as they are.
    pub(super) raw: u16,
}

impl Ports {
    /// Four that are free now: not every peer can choose for itself and tell.
    pub(super) fn free() -> Result<Self> {
        let open = || TcpListener::bind("127.0.0.1:0");
        let held = [open()?, open()?, open()?, open()?];
        let [plain, two, secure, raw] = held.each_ref().map(TcpListener::local_addr);
        Ok(Self {
            plain: plain?.port(),
            two: two?.port(),
            secure: secure?.port(),
            raw: raw?.port(),
        })
    }
}

/// What ends when it is dropped.
pub(super) enum Running {
    /// A node of Osier; the harness ends it.
    Node(Box<Node>),
    /// A peer or the backend.
    Program(Child),
}

impl Running {
    /// The process that was started.
    pub(super) fn pid(&self) -> Result<u32> {
        match self {
            Self::Node(node) => node.pid(),
            Self::Program(child) => Ok(child.id()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self::Program(child) = self else { return };
        // Asked first: a killed nginx would leave its worker behind.
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let _asked = pid.map(|pid| kill_process(pid, Signal::TERM));
        let deadline = Instant::now() + LEAVE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _killed = child.kill();
        let _reaped = child.wait();
    }
}

/// A command on the core of what is measured, which writes to this file what it says.
pub(super) fn start(program: &Path, args: &[String], says: &Path) -> Result<Running> {
    let file = std::fs::File::create(says)?;
    let child = on(&Cores::Apart.measured(), program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    Ok(Running::Program(child))
}

/// A backend in this role, on the core of the load, and its port.
pub(super) async fn backend(bare: &Path, role: &str) -> Result<(u16, Running)> {
    let mut child = on(&Cores::Apart.load(), bare)
        .arg(role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", bare.display()))?;
    let said = child.stdout.take();
    let running = Running::Program(child);
    let said = said.context("the backend has no output")?;
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).map(|_| line)
    });
    let line = tokio::time::timeout(LEAVE, first).await;
    let line = line.context("the backend does not say where it listens")???;
    let port = line.trim().parse();
    Ok((
        port.with_context(|| format!("the backend says {line:?}"))?,
        running,
    ))
}

fn on(wrapper: &[String], program: &Path) -> Command {
    match wrapper.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}
