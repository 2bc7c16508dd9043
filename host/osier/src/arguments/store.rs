//! Arguments about where the objects of the API are kept.

use super::Connection;
use clap::{Args, Subcommand};
use osier_apiserver::{BadLocation, Location};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where `osier up` keeps objects, and how.
#[derive(Args, Debug, Default)]
pub(crate) struct Keeping {
    /// The store: `sled` or `redb` in the data directory, or an etcd that several control planes share, as `etcd://HOST[:PORT],...[/PREFIX]` [default: sled].
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<StoreName>,
    /// The certificate of etcd's authority, PEM; without it etcd is spoken to without TLS.
    #[arg(long, value_name = "FILE")]
    pub(crate) etcd_cafile: Option<PathBuf>,
    /// The certificate that etcd is shown, PEM.
    #[arg(long, value_name = "FILE", requires = "etcd_keyfile")]
    pub(crate) etcd_certfile: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "etcd_certfile")]
    pub(crate) etcd_keyfile: Option<PathBuf>,
    /// What is encrypted where it is stored, and with which keys: an EncryptionConfiguration (apiserver.config.k8s.io/v1) with providers `aesgcm` and `identity`.
    #[arg(long, value_name = "FILE")]
    pub(crate) encryption_provider_config: Option<PathBuf>,
    /// The keys of the cluster: its authority (ca.crt, ca.key) and the key of service account tokens (sa.key). Control planes that share a store need the same [default: DATA-DIR/pki].
    #[arg(long, value_name = "DIR")]
    pub(crate) cert_dir: Option<PathBuf>,
}

/// `osier store`.
#[derive(Args, Debug)]
pub(crate) struct Store {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

/// The subcommands of `osier store`.
#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// Save every object of a running node, as all stand at one moment.
    #[command(after_help = "Example:\n  osier store backup /backup/osier-$(date +%F)")]
    Backup(Backup),
    /// Make the store of a node that does not run anew from a backup.
    #[command(
        after_help = "Example:\n  osier store restore /backup/osier-2026-11-28 --data-dir /var/lib/osier"
    )]
    Restore(Restore),
}

/// `osier store backup`.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file to write; one of that name is replaced once the new one is whole.
    pub(crate) file: PathBuf,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier store restore`.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The node's directory, in which there is no store [default: ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The store to make: `sled` or `redb`, whichever the backup was made of.
    #[arg(long, value_name = "STORE", default_value = "sled")]
    pub(crate) store: StoreName,
}

/// The stores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum StoreName {
    /// sled 0.34, synced before every answer.
    Sled,
    /// redb 4.
    Redb,
    /// An etcd.
    Etcd(Location),
}

/// No store has this name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownStore {
    /// It is no word.
    #[error("there is no store called {0:?}: choose sled, redb, or an etcd as etcd://HOST[:PORT]")]
    Name(String),
    /// It is no etcd.
    #[error(transparent)]
    Location(#[from] BadLocation),
}

impl FromStr for StoreName {
    type Err = UnknownStore;

    fn from_str(text: &str) -> Result<Self, UnknownStore> {
        match text {
            "sled" => Ok(Self::Sled),
            "redb" => Ok(Self::Redb),
            text if text.starts_with("etcd:") => Ok(Self::Etcd(text.parse()?)),
            text => Err(UnknownStore::Name(text.to_owned())),
        }
    }
}

impl TryFrom<String> for StoreName {
    type Error = UnknownStore;

    fn try_from(text: String) -> Result<Self, UnknownStore> {
        text.parse()
    }
}

impl From<StoreName> for String {
    fn from(name: StoreName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sled => formatter.write_str("sled"),
            Self::Redb => formatter.write_str("redb"),
            Self::Etcd(location) => location.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_store_is_read_and_written_the_same() {
        for text in ["sled", "redb", "etcd://a:1,b:2/osier-two"] {
            assert_eq!(text.parse::<StoreName>().unwrap().to_string(), text);
        }
        let told = "mysql".parse::<StoreName>().unwrap_err().to_string();
        assert!(
            told.contains("mysql") && told.contains("etcd://HOST"),
            "{told}"
        );
    }
}
