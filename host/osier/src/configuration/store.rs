//! Where objects are kept: what was said of it, and the TLS to reach it.

use super::{Faults, File, encryption};
use crate::arguments::{Keeping, StoreName};
use anyhow::Context as _;
use osier_apiserver::{ClientConfig, Sealing, StoreKind, StorePlace};
use osier_identity::Credential;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where objects and the cluster's keys are.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    /// The store.
    pub(crate) store: StoreName,
    /// Whom etcd is of; none for plain connections.
    pub(crate) etcd_cafile: Option<PathBuf>,
    /// What etcd is shown.
    pub(crate) etcd_certfile: Option<PathBuf>,
    /// Its key.
    pub(crate) etcd_keyfile: Option<PathBuf>,
    /// What is encrypted; nothing if absent.
    pub(crate) encryption_provider_config: Option<PathBuf>,
    /// The keys of the cluster.
    pub(crate) cert_dir: PathBuf,
}

impl Stored {
    /// From the arguments, then the file.
    pub(super) fn of(
        given: &Keeping,
        file: &File,
        (data_dir, faults): (&Path, &mut Faults),
    ) -> Self {
        let chosen = |given: &Option<PathBuf>, file: &Option<PathBuf>| {
            given.clone().or_else(|| file.clone())
        };
        let store = given.store.clone().or_else(|| file.store.clone());
        let cert_dir = chosen(&given.cert_dir, &file.cert_dir);
        let stored = Self {
            store: store.unwrap_or(StoreName::Sled),
            etcd_cafile: chosen(&given.etcd_cafile, &file.etcd_cafile),
            etcd_certfile: chosen(&given.etcd_certfile, &file.etcd_certfile),
            etcd_keyfile: chosen(&given.etcd_keyfile, &file.etcd_keyfile),
            encryption_provider_config: chosen(
                &given.encryption_provider_config,
                &file.encryption_provider_config,
            ),
            cert_dir: cert_dir.unwrap_or_else(|| data_dir.join("pki")),
        };
        if stored.etcd_certfile.is_some() != stored.etcd_keyfile.is_some() {
            let fault =
                "--etcd-certfile and --etcd-keyfile: a certificate and its key come together";
            faults.0.push(fault.to_owned());
        }
        if stored.etcd_certfile.is_some() && stored.etcd_cafile.is_none() {
            let fault =
                "--etcd-cafile: needed beside --etcd-certfile, to know the etcd that is shown it";
            faults.0.push(fault.to_owned());
        }
        stored
    }

    /// Whether objects are in the data directory.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.store, StoreName::Etcd(_))
    }

    /// The store, with its files read.
    ///
    /// # Errors
    /// When a file cannot be read or is no certificate or key.
    pub(crate) fn place(&self, data_dir: &Path) -> anyhow::Result<StorePlace> {
        let local = |kind| StorePlace::Directory(data_dir.join("store"), kind);
        Ok(match &self.store {
            StoreName::Sled => local(StoreKind::Sled),
            StoreName::Redb => local(StoreKind::Redb),
            StoreName::Etcd(location) => StorePlace::Etcd(location.clone(), self.tls()?),
        })
    }

    /// What is encrypted where it is stored.
    ///
    /// # Errors
    /// When the file cannot be read, or asks for what is not there.
    pub(crate) fn sealing(&self) -> anyhow::Result<Sealing> {
        let Some(path) = &self.encryption_provider_config else {
            return Ok(Sealing::default());
        };
        let what = || format!("--encryption-provider-config {}", path.display());
        let text = std::fs::read_to_string(path).with_context(what)?;
        encryption::read(&text).with_context(what)
    }

    fn tls(&self) -> anyhow::Result<Option<Arc<ClientConfig>>> {
        let read = |flag: &str, path: &Path| {
            let text = std::fs::read_to_string(path);
            text.with_context(|| format!("--{flag} {}", path.display()))
        };
        let Some(authority) = &self.etcd_cafile else {
            return Ok(None);
        };
        let authority = read("etcd-cafile", authority)?;
        let credential = match (&self.etcd_certfile, &self.etcd_keyfile) {
            (Some(certificate), Some(key)) => Some(Credential {
                certificate_pem: read("etcd-certfile", certificate)?,
                key_pem: read("etcd-keyfile", key)?,
            }),
            _ => None,
        };
        let config = osier_identity::client_config(&authority, credential.as_ref());
        Ok(Some(config.context("--etcd-cafile and its like")?))
    }
}
