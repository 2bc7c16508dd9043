//! A real registry, Debian's `docker-registry`: with TLS or without, open or with a password.

use crate::deadline::until_blocking;
use crate::debian;
use anyhow::{Context, Result};
use osier_identity::{Authority, Subject};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);
/// `osier` with the password `secret`.
const LOGINS: &str = "osier:$2y$05$7pe/TAhDgE5sOVR0z9wArOo6GnsJ.y/S3hgPmWUWomvugdq4Yr/Xm\n";

/// A running registry, in a folder of its own.
pub struct Registry {
    child: Child,
    folder: TempDir,
    address: String,
}

impl Registry {
    /// Without TLS, for everybody.
    pub fn open() -> Result<Self> {
        Self::start(false)
    }

    /// With TLS, for the user `osier` with the password `secret`.
    pub fn closed() -> Result<Self> {
        Self::start(true)
    }

    fn start(closed: bool) -> Result<Self> {
        let program = match Path::new("/usr/bin/docker-registry") {
            installed if installed.is_file() => installed.to_owned(),
            _ => debian::program("docker-registry", "usr/bin/docker-registry")?,
        };
        let folder = tempfile::Builder::new().prefix("registry-").tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:0\n",
            at("data").display()
        );
        if closed {
            certify(folder.path())?;
            std::fs::write(at("logins"), LOGINS)?;
            config += &format!(
                "  tls: {{certificate: {}, key: {}}}\nauth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
                at("server.pem").display(),
                at("server.key").display(),
                at("logins").display()
            );
        }
        std::fs::write(at("config.yml"), config)?;
        let log = File::create(at("log"))?;
        let child = Command::new(program)
            .arg("serve")
            .arg(at("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start docker-registry")?;
        let mut registry = Self {
            child,
            folder,
            address: String::new(),
        };
        let log = registry.folder.path().join("log");
        registry.address = until_blocking("docker-registry listens", START, || {
            Ok(address(&std::fs::read_to_string(&log)?))
        })?;
        Ok(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate of the authority that its own is of.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where it keeps what was pushed.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("a registry could not be ended: {error}");
        }
    }
}

fn certify(folder: &Path) -> Result<()> {
    let authority = Authority::open(&folder.join("pki"))?;
    let server = authority.issue(&Subject {
        common_name: "registry".to_owned(),
        names: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        ..Subject::default()
    })?;
    std::fs::write(folder.join("ca.pem"), authority.certificate_pem())?;
    std::fs::write(folder.join("server.pem"), &server.certificate_pem)?;
    Ok(std::fs::write(folder.join("server.key"), &server.key_pem)?)
}

/// `listening on 127.0.0.1:1234`, perhaps followed by `, tls`.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|at: char| !(at.is_ascii_digit() || at == '.' || at == ':'))?;
    Some(rest[..end].to_owned())
}
