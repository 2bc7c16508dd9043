//! Network namespaces of the system, each joined to this machine by a link that can be cut.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A network of its own, joined to this machine by two addresses.
pub struct Namespace {
    name: String,
    /// This machine's address on the link.
    pub outer: String,
    /// The address inside.
    pub inner: String,
}

/// Runs a program to its end, and gives what it said.
pub fn run(words: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} (apt-get install iproute2 nftables)", words[0]))?;
    child
        .stdin
        .take()
        .context("stdin")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{words:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

impl Namespace {
    /// Makes one; needs root and iproute2.
    pub fn make() -> Result<Self> {
        let number = std::process::id() % 65_536;
        let [high, low] = u16::try_from(number)?.to_be_bytes();
        let this = Self {
            name: format!("osier-{number}"),
            outer: format!("10.{}.{low}.1", 128 + high % 64),
            inner: format!("10.{}.{low}.2", 128 + high % 64),
        };
        let (here, there) = this.ends();
        let (outer, inner) = (format!("{}/30", this.outer), format!("{}/30", this.inner));
        let name = this.name.as_str();
        for line in [
            format!("ip netns add {name}"),
            format!("ip link add {here} type veth peer name {there} netns {name}"),
            format!("ip address add {outer} dev {here}"),
            format!("ip link set {here} up"),
            format!("ip -n {name} address add {inner} dev {there}"),
            format!("ip -n {name} link set {there} up"),
            format!("ip -n {name} link set lo up"),
            format!("ip -n {name} route add default via {}", this.outer),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            run(&words, "")?;
        }
        // `ip netns exec` shows this file to the processes in the namespace; the resolver that it names does not exist.
        let folder = this.resolving();
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("resolv.conf"), "nameserver 192.0.2.53\n")?;
        Ok(this)
    }

    /// The cable is plugged in, or pulled.
    pub fn link(&self, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        let words = ["ip", "link", "set", &self.ends().0, state];
        run(&words, "").map(drop)
    }

    /// The names of the link here and there.
    fn ends(&self) -> (String, String) {
        let number = self.name.trim_start_matches("osier-");
        (format!("oh{number}"), format!("ot{number}"))
    }

    fn resolving(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// What is put before a command that shall run inside.
    pub fn inside(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name]
            .map(ToOwned::to_owned)
            .to_vec()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone = run(&["ip", "netns", "delete", &self.name], "");
        let _gone = std::fs::remove_dir_all(self.resolving());
    }
}
