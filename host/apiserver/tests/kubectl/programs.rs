//! The kubectls of this machine, and how they are run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::site::Site;

/// One kubectl.
pub(crate) struct Program {
    path: PathBuf,
    /// 33 for 1.33.
    pub(crate) minor: u32,
}

/// How a command ended.
pub(crate) struct Said {
    pub(crate) success: bool,
    /// Both outputs.
    pub(crate) text: String,
}

/// One program for each version that is installed.
pub(crate) fn installed() -> Vec<Program> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain([PathBuf::from("/usr/lib/google-cloud-sdk/bin")]);
    let in_folders = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let named = in_folders
        .map(|entry| entry.path())
        .filter(|path| is_kubectl(path));
    let told = std::env::var_os("OSIER_KUBECTL").unwrap_or_default();
    let all = named.chain(std::env::split_paths(&told).filter(|path| path.is_file()));
    let by_version: BTreeMap<u32, PathBuf> =
        all.filter_map(|path| Some((minor(&path)?, path))).collect();
    by_version
        .into_iter()
        .map(|(minor, path)| Program { path, minor })
        .collect()
}

fn is_kubectl(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name == "kubectl" || name.starts_with("kubectl.1.")
}

fn minor(path: &Path) -> Option<u32> {
    let output = Command::new(path)
        .args(["version", "--client", "-o", "json"])
        .output()
        .ok()?;
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let minor = version["clientVersion"]["minor"].as_str()?;
    minor.trim_end_matches('+').parse().ok()
}

impl Program {
    fn command(&self, site: &Site, namespace: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .env("KUBECONFIG", site.folder.path().join("kubeconfig"))
            .env("HOME", site.folder.path().join(namespace))
            .env("EDITOR", "sed -i s/gold/silver/")
            .args(["-n", namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(
        &self,
        site: &Site,
        namespace: &str,
        arguments: &[&str],
        input: &str,
    ) -> Said {
        let mut child = self.command(site, namespace, arguments).spawn().unwrap();
        // A command that does not read its input may have closed it already.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said {
            success: output.status.success(),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Starts a command that goes on by itself.
    pub(crate) fn start(&self, site: &Site, namespace: &str, arguments: &[&str]) -> Running {
        let mut child = self
            .command(site, namespace, arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }
}

/// A command under way; ends with the value.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// Reads lines until one has these words; false if the command ends before.
    pub(crate) fn until(&mut self, words: &str) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).is_ok_and(|count| count > 0) {
            if line.contains(words) {
                return true;
            }
            line.clear();
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
