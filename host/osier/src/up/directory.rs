//! The data directory: made, locked for one process, and the two files that tell others how to reach the node.

use crate::exit::Failure;
use base64::Engine as _;
use osier_identity::Credential;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A data directory that this process alone uses, until it is dropped.
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Where a started node listens.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Addresses {
    /// The API, TLS.
    pub(crate) api: SocketAddr,
    /// The gateway for outside traffic.
    pub(crate) gateway: SocketAddr,
    /// Metrics and health.
    pub(crate) admin: SocketAddr,
    /// The mesh, mutual TLS.
    pub(crate) mesh: SocketAddr,
    /// Where Envoys ask the policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<SocketAddr>,
    /// Where names are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns: Option<SocketAddr>,
    /// Listeners that gateways asked for, by the port that they wrote.
    pub(crate) listeners: BTreeMap<u16, SocketAddr>,
}

impl DataDirectory {
    /// Makes the directory if needed and takes its lock. The lock is the kernel's: it ends with the process, however
    /// that ends.
    ///
    /// # Errors
    /// [`Failure::InUse`] names the process that holds it; [`Failure::Data`] when it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| unusable(path, &error))?;
        let file = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(|error| unusable(&file, &error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _best_effort = lock.read_to_string(&mut holder);
            return Err(Failure::InUse(in_use(path, holder.trim())));
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(|error| unusable(&file, &error))?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// What of an earlier run is there although the store is not: a disk may not be mounted, and the node would start empty.
    pub(crate) fn left_behind(&self) -> Option<&'static str> {
        let there = |name: &&&str| self.join(name).exists();
        let lost = !self.join("store").exists();
        let found = ["pki", "pods", "claims"]
            .iter()
            .filter(|_| lost)
            .find(there);
        found.copied()
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes `addresses.json`.
    ///
    /// # Errors
    /// [`Failure::Data`].
    pub(crate) fn write_addresses(&self, addresses: &Addresses) -> Result<(), Failure> {
        let text = serde_json::to_string(addresses).unwrap_or_default();
        self.replace("addresses.json", &format!("{text}\n"), 0o644)
    }

    /// Writes `addresses.json` of a joined node, or of a workload's proxy.
    ///
    /// # Errors
    /// [`Failure::Data`].
    pub(crate) fn write_named(
        &self,
        addresses: &BTreeMap<&str, SocketAddr>,
    ) -> Result<(), Failure> {
        let text = serde_json::to_string(addresses).unwrap_or_default();
        self.replace("addresses.json", &format!("{text}\n"), 0o644)
    }

    /// Writes `kubeconfig`: the API's address and authority, and the administrator's certificate.
    ///
    /// # Errors
    /// [`Failure::Data`].
    pub(crate) fn write_kubeconfig(
        &self,
        api: SocketAddr,
        authority: &str,
        admin: &Credential,
    ) -> Result<(), Failure> {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: osier\n\
             clusters:\n- name: osier\n  cluster:\n    server: https://{}\n    certificate-authority-data: {}\n\
             contexts:\n- name: osier\n  context:\n    cluster: osier\n    user: osier-admin\n\
             users:\n- name: osier-admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
            reachable(api),
            encode(authority),
            encode(&admin.certificate_pem),
            encode(&admin.key_pem),
        );
        self.replace("kubeconfig", &text, 0o600)
    }

    /// Writes a file that only this user may read, such as a key.
    ///
    /// # Errors
    /// [`Failure::Data`].
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|error| unusable(folder, &error))?;
        self.replace(name, text, 0o600)
    }

    /// Replaces a file in one step, so that a reader never sees half of it.
    fn replace(&self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let path = self.join(name);
        let fresh = path.with_added_extension("new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&fresh)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|error| unusable(&path, &error))
    }
}

/// Whether a node runs in this data directory now.
pub(crate) fn is_used(path: &Path) -> bool {
    let lock = File::open(path.join("lock"));
    lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
}

/// An address that a client on this machine can dial: the unspecified address is not one.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn in_use(path: &Path, holder: &str) -> String {
    let who = if holder.is_empty() {
        "another process".to_owned()
    } else {
        format!("process {holder}")
    };
    format!(
        "{}: {who} already runs a node in this data directory; stop it first, or name another directory with --data-dir",
        path.display()
    )
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    if path.is_file() && error.kind() == std::io::ErrorKind::AlreadyExists {
        let path = path.display();
        let words = format!("{path} is a file; name a directory with --data-dir");
        return Failure::Data(words);
    }
    let remedy = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "free space on this disk, or name another directory with --data-dir"
        }
        _ => "make it writable for this user, or name another directory with --data-dir",
    };
    Failure::Data(format!("{}: {error}; {remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_second_opener_is_refused_and_told_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_used(directory.path()));
        let held = DataDirectory::open(directory.path()).unwrap();
        assert!(is_used(directory.path()));
        let refused = DataDirectory::open(directory.path()).err().unwrap();
        assert!(
            matches!(&refused, Failure::InUse(told) if told.contains(&std::process::id().to_string()))
        );
        drop(held);
        assert!(!is_used(directory.path()));
        DataDirectory::open(directory.path()).unwrap();
    }

    #[test]
    fn a_store_that_is_gone_is_noticed_by_what_is_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path()).unwrap();
        assert_eq!(directory.left_behind(), None);
        // Images may be imported before a node ever ran.
        std::fs::create_dir(folder.path().join("images")).unwrap();
        assert_eq!(directory.left_behind(), None);
        std::fs::create_dir(folder.path().join("pki")).unwrap();
        assert_eq!(directory.left_behind(), Some("pki"));
        std::fs::create_dir(folder.path().join("store")).unwrap();
        assert_eq!(directory.left_behind(), None);
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataDirectory::open(file.path()).err().unwrap();
        assert!(
            matches!(&refused, Failure::Data(told) if told.ends_with("is a file; name a directory with --data-dir"))
        );
    }
}
