//! The kubectls of this machine: the one people have, older and newer ones beside it, and Debian's 1.20 when apt can fetch it.

use crate::debian;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One kubectl.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// Where it is.
    pub path: PathBuf,
    /// What it says it is, such as `v1.32.4`.
    pub version: String,
}

/// The kubectl on the path; none when there is none.
pub fn installed() -> Option<Kubectl> {
    let path = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join("kubectl"))
        .find(|path| path.is_file())?;
    identify(&path).ok()
}

/// Every kubectl that can be had, each version once, and the reasons for those that cannot.
pub fn all() -> (Vec<Kubectl>, Vec<String>) {
    let (mut found, mut skipped) = (Vec::<Kubectl>::new(), Vec::new());
    match installed() {
        Some(kubectl) => found.push(kubectl),
        None => skipped
            .push("no kubectl on the path: `apt-get install kubernetes-client` has one".to_owned()),
    }
    let mut others = others();
    let newest = others.pop();
    let oldest = (!others.is_empty()).then(|| others.swap_remove(0));
    found.extend(
        newest
            .into_iter()
            .chain(oldest)
            .filter_map(|path| identify(&path).ok()),
    );
    match debian() {
        Ok(kubectl) => found.push(kubectl),
        Err(reason) => skipped.push(format!("Debian's kubectl 1.20: {reason:#}")),
    }
    (found, skipped)
}

/// The same with every version in between, for what each does in its own way.
pub fn every() -> (Vec<Kubectl>, Vec<String>) {
    let (mut found, skipped) = all();
    for kubectl in others().iter().filter_map(|path| identify(path).ok()) {
        if !found.iter().any(|known| known.version == kubectl.version) {
            found.push(kubectl);
        }
    }
    (found, skipped)
}

/// Those beside the one on the path, the oldest first.
fn others() -> Vec<PathBuf> {
    let folder = Path::new("/usr/lib/google-cloud-sdk/bin").read_dir();
    let entries = folder.into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut others: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().contains("/kubectl.1."))
        .collect();
    others.sort();
    others
}

impl Kubectl {
    /// Runs with this kubeconfig; `stdin` is fed if given.
    pub fn run(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> Result<Output> {
        finished(self.command(kubeconfig).args(args), stdin)
    }

    /// A command with this kubeconfig and a home of its own, so that no cache is shared between nodes.
    pub fn command(&self, kubeconfig: &Path) -> Command {
        let home = kubeconfig.parent().unwrap_or(Path::new("/"));
        let mut command = Command::new(&self.path);
        command
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", home)
            .env_remove("KUBERNETES_SERVICE_HOST");
        command
    }

    /// Runs and returns what it printed; a failure carries its own words.
    pub fn ok(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> Result<String> {
        let output = self.run(kubeconfig, args, stdin)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "kubectl {} ({}) failed with {}:\n{said}{}",
            args.join(" "),
            self.version,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// Runs, expects a failure, and returns its words.
    pub fn fails(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> Result<String> {
        let output = self.run(kubeconfig, args, stdin)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success(),
            "kubectl {} succeeded, and should not have",
            args.join(" ")
        );
        Ok(said + &String::from_utf8_lossy(&output.stdout))
    }
}

/// Runs a command to its end; `stdin` is fed if given.
pub fn finished(command: &mut Command, stdin: Option<&str>) -> Result<Output> {
    let fed = if stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut child = command
        .stdin(fed)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", command.get_program().to_string_lossy()))?;
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // A kubectl that fails early closes the pipe; its own message tells more than ours would.
        let _closed = pipe.write_all(text.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

fn identify(path: &Path) -> Result<Kubectl> {
    let output = Command::new(path)
        .args(["version", "--client", "-o", "json"])
        .output()?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} version", path.display()))?;
    let version = value["clientVersion"]["gitVersion"]
        .as_str()
        .unwrap_or("unknown")
        .to_owned();
    Ok(Kubectl {
        path: path.to_owned(),
        version,
    })
}

/// Debian's own; it is not installed.
fn debian() -> Result<Kubectl> {
    identify(&debian::program("kubernetes-client", "usr/bin/kubectl")?)
}
