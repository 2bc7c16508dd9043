//! One running `osier up`: started in a folder of its own, on ports of the kernel's choosing, and never left behind.

use crate::artifacts;
use crate::deadline::{until, until_blocking};
use crate::kubectl::{self, Kubectl};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a node may take from start to ready: a loaded machine, a debug build, a cold cache.
const START: Duration = Duration::from_secs(60);
/// How long a node may take to drain and leave.
const STOP: Duration = Duration::from_secs(60);

/// How a node is started, where it differs from the ordinary.
#[derive(Default)]
pub struct Options {
    /// The binary; none for the one of the dev profile.
    pub binary: Option<PathBuf>,
    /// A command that is put before the binary and becomes it, such as `taskset`.
    pub wrapper: Vec<String>,
    /// More arguments for `osier up`, or for `osier node`.
    pub args: Vec<String>,
    /// It joins a cluster in place of being one.
    pub joins: bool,
    /// It stands beside a workload of a cluster in place of being one.
    pub accompanies: bool,
    /// More environment.
    pub env: Vec<(String, String)>,
}

/// A node and the folder it lives in.
pub struct Node {
    child: Option<Child>,
    folder: Option<TempDir>,
    root: PathBuf,
    addresses: Value,
}

impl Node {
    /// Starts a node in a fresh folder and waits until it is ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&Options::default())
    }

    /// The same with options.
    pub fn start_with(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("osier-").tempdir()?;
        let root = folder.path().to_owned();
        warm_cache(&root.join("data"))?;
        let mut node = Self {
            child: None,
            folder: Some(folder),
            root,
            addresses: Value::Null,
        };
        node.launch(options)?;
        Ok(node)
    }

    /// What a machine joins this node's cluster with: the arguments that `osier token create` prints.
    pub fn invitation(&self) -> Result<Vec<String>> {
        self.invited("osier node ", &[])
    }

    fn invited(&self, command: &str, more: &[&str]) -> Result<Vec<String>> {
        let kubeconfig = self.kubeconfig();
        let output = Command::new(artifacts::binary()?)
            .args(["token", "create", "--kubeconfig"])
            .arg(kubeconfig)
            .args(more)
            .output()?;
        ensure!(
            output.status.success(),
            "osier token create: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed = String::from_utf8(output.stdout)?;
        let words = printed.strip_prefix(command).context(printed.clone())?;
        Ok(words.split_whitespace().map(ToOwned::to_owned).collect())
    }

    /// Joins a new node to this one's cluster and waits until it is ready.
    pub fn joined(&self, name: &str) -> Result<Self> {
        self.joined_with(name, &[])
    }

    /// The same with further arguments.
    pub fn joined_with(&self, name: &str, more: &[String]) -> Result<Self> {
        let mut args = self.invitation()?;
        args.extend(["--node-name".to_owned(), name.to_owned()]);
        args.extend_from_slice(more);
        Self::start_with(&Options {
            args,
            joins: true,
            ..Options::default()
        })
    }

    /// Starts the proxy of a workload, `NAMESPACE/NAME`, and waits until it is ready.
    pub fn companion(&self, workload: &str, options: Options) -> Result<Self> {
        let mut args = self.invited("osier proxy ", &["--workload", workload])?;
        args.extend(options.args);
        Self::start_with(&Options {
            args,
            accompanies: true,
            ..options
        })
    }

    /// Starts the proxy of a member of a WorkloadGroup, `NAMESPACE/NAME`, and waits until it is ready.
    pub fn member(&self, (group, name): (&str, &str), options: Options) -> Result<Self> {
        let mut args = self.invited("osier proxy ", &["--group", group])?;
        args.extend(["--member".to_owned(), name.to_owned()]);
        args.extend(options.args);
        Self::start_with(&Options {
            args,
            accompanies: true,
            ..options
        })
    }

    /// Starts it again on the same data, after it was stopped or killed.
    pub fn restart(&mut self) -> Result<()> {
        self.restart_with(&Options::default())
    }

    /// The same with options.
    pub fn restart_with(&mut self, options: &Options) -> Result<()> {
        ensure!(self.child.is_none(), "the node still runs");
        self.launch(options)
    }

    fn launch(&mut self, options: &Options) -> Result<()> {
        let written = self.data_dir().join("addresses.json");
        match std::fs::remove_file(&written) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = up(&self.data_dir(), options)?;
        let command = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn().context("start osier")?);
        let ready = until_blocking("osier up: ready", START, || self.look(&written));
        self.addresses = ready.with_context(|| self.log_tail(40))?;
        Ok(())
    }

    /// The addresses once the node answers that it is ready; an error that ends the wait if it has left.
    fn look(&mut self, written: &Path) -> Result<Option<Value>> {
        if let Some(status) = self
            .child
            .as_mut()
            .and_then(|child| child.try_wait().transpose())
        {
            return Ok(Some(Value::from(format!("left with {}", status?))));
        }
        let addresses: Value = serde_json::from_slice(&std::fs::read(written)?)?;
        let admin = addresses["admin"]
            .as_str()
            .context("addresses.json has no admin")?;
        Ok(ready(admin)?.then_some(addresses))
    }

    /// An address by its name in addresses.json, such as `api`, `gateway`, `admin`, `mesh`, `outbound` or `dns`.
    pub fn address(&self, name: &str) -> Result<String> {
        match &self.addresses {
            Value::String(left) => bail!("osier up {left}:\n{}", self.log_tail(40)),
            addresses => Ok(addresses[name]
                .as_str()
                .with_context(|| format!("no {name} in addresses.json"))?
                .to_owned()),
        }
    }

    /// The address of a listener that a gateway asked for by this port, once it is open.
    pub async fn listener(&self, port: u16) -> Result<String> {
        let written = self.data_dir().join("addresses.json");
        let open = || async {
            let addresses: Value = serde_json::from_slice(&std::fs::read(&written)?)?;
            let address = addresses["listeners"][port.to_string()].as_str();
            Ok(address.map(ToOwned::to_owned))
        };
        let what = format!("a listener for port {port}");
        until(&what, Duration::from_secs(30), open)
            .await
            .with_context(|| self.log_tail(20))
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The kubeconfig it wrote.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// Where its output goes.
    pub fn log_path(&self) -> PathBuf {
        self.root.join("osier.log")
    }

    /// All it printed so far.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The last lines it printed, without those of requests that went well.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let well = |line: &&str| line.contains("osier::access") && line.contains(" status=2");
        let all: Vec<&str> = log.lines().filter(|line| !well(line)).collect();
        let tail = all.len().saturating_sub(lines);
        format!(
            "the end of {}:\n{}",
            self.log_path().display(),
            all[tail..].join("\n")
        )
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the node does not run")?.id())
    }

    /// Runs `osier ARGS --data-dir DIR` beside it.
    pub fn osier(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(artifacts::binary()?);
        Ok(command
            .args(args)
            .arg("--data-dir")
            .arg(self.data_dir())
            .output()?)
    }

    /// Puts a component into the node's image store.
    pub fn import(&self, name: &str, file: &Path) -> Result<()> {
        let file = file.to_string_lossy();
        let output = self.osier(&["image", "import", name, &file])?;
        ensure!(
            output.status.success(),
            "osier image import {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Applies a manifest with the machine's kubectl, or with `osier apply` where there is none.
    pub fn apply(&self, file: &Path) -> Result<String> {
        self.manifests("apply", &file.to_string_lossy(), None)
    }

    /// Applies manifests given as text.
    pub fn apply_text(&self, text: &str) -> Result<String> {
        self.manifests("apply", "-", Some(text))
    }

    /// Deletes what a manifest names.
    pub fn delete(&self, file: &Path) -> Result<String> {
        self.manifests("delete", &file.to_string_lossy(), None)
    }

    fn manifests(&self, verb: &str, path: &str, text: Option<&str>) -> Result<String> {
        let tool = match kubectl::installed() {
            Some(kubectl) => kubectl,
            None => Kubectl {
                path: artifacts::binary()?,
                version: "osier".to_owned(),
            },
        };
        tool.ok(&self.kubeconfig(), &[verb, "-f", path], text)
    }

    /// SIGTERM, then waits until it has left.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.left()
    }

    /// `kill -9`, then waits until the kernel has buried it.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.left()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("a process id is not zero")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until it has left by itself.
    pub fn left(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the node does not run")?;
        let waited = until_blocking("osier leaves", STOP, || Ok(child.try_wait()?));
        if waited.is_err() {
            // It stays ours to end: drop kills it.
            self.child = Some(child);
        }
        waited.with_context(|| self.log_tail(40))
    }

    /// Gives up ownership: the node keeps running, its folder stays.
    pub fn keep(mut self) -> PathBuf {
        self.child = None;
        if let Some(folder) = self.folder.take() {
            let _kept = folder.keep();
        }
        self.root.clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail(80));
        }
        if self.child.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("a node could not be ended: {error:#}");
        }
        if self.folder.is_some() {
            keep_cache(&self.data_dir());
        }
    }
}

/// Runs `osier up` where it is expected to leave by itself, and returns what it said.
pub fn refused(data_dir: &Path, options: &Options) -> Result<Output> {
    let mut child = up(data_dir, options)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let left = until_blocking("osier up refuses", START, || Ok(child.try_wait()?));
    if left.is_err() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    left?;
    Ok(output)
}

fn up(data_dir: &Path, options: &Options) -> Result<Command> {
    let binary = options.binary.clone().map_or_else(artifacts::binary, Ok)?;
    let mut command = match options.wrapper.split_first() {
        None => Command::new(binary),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(binary);
            command
        }
    };
    let (verb, flags): (_, &[&str]) = match (options.joins, options.accompanies) {
        (_, true) => (
            "proxy",
            &["--mesh-listen", "--admin-listen", "--outbound-listen"],
        ),
        (true, false) => ("node", &["--mesh-listen", "--admin-listen"]),
        (false, false) => (
            "up",
            &["--api-listen", "--gateway-listen", "--admin-listen"],
        ),
    };
    command.arg(verb).arg("--data-dir").arg(data_dir);
    for flag in flags {
        if !options.args.iter().any(|given| given == *flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command
        .args(&options.args)
        .envs(options.env.iter().cloned());
    Ok(command)
}

fn ready(admin: &str) -> Result<bool> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// Machine code by digest and engine is the same for every node, so that suites need not compile each component again.
fn warm_cache(data_dir: &Path) -> Result<()> {
    std::fs::create_dir_all(data_dir.join("cache"))?;
    copy_missing(&shared_cache(), &data_dir.join("cache"));
    Ok(())
}

fn keep_cache(data_dir: &Path) {
    copy_missing(&data_dir.join("cache"), &shared_cache());
}

fn shared_cache() -> PathBuf {
    artifacts::target().join("osier-tests/cache")
}

/// Copies finished machine code that is not there yet; whole files only, and a failure costs no more than a compilation.
fn copy_missing(from: &Path, to: &Path) {
    let entries = from
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for path in entries.filter(|path| path.extension().is_some_and(|kind| kind == "cwasm")) {
        let Some(name) = path.file_name() else {
            continue;
        };
        let (target, partial) = (
            to.join(name),
            to.join(format!("{}.{}", name.to_string_lossy(), std::process::id())),
        );
        let copied = target.exists()
            || (std::fs::create_dir_all(to).is_ok()
                && std::fs::copy(&path, &partial).is_ok()
                && std::fs::rename(&partial, &target).is_ok());
        if !copied {
            eprintln!("{} was not kept for the next node", path.display());
        }
    }
}
