//! Secrets with certificates: `kubernetes.io/tls` (`tls.crt`, `tls.key`, `ca.crt`, `ca.crl`) and Istio's generic form (`cert`, `key`, `cacert`, `crl`).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::Object;

use crate::tls::KeyPair;

/// What a Secret holds for TLS, or what it lacks, for a person. Whether certificate and key are well-formed is found out by who uses them.
#[derive(Debug, PartialEq, Eq)]
pub struct TlsSecret {
    /// A certificate and its key.
    pub pair: Result<KeyPair, String>,
    /// Certificates of authorities.
    pub authorities: Result<Arc<[u8]>, String>,
    /// Lists of revoked certificates, if it has any; empty if they cannot be decoded.
    pub revoked: Option<Arc<[u8]>>,
}

/// The Secrets that are named, by `namespace/name`.
#[derive(Debug, Default)]
pub struct Secrets(HashMap<Box<str>, Arc<TlsSecret>>);

impl Secrets {
    /// What the Secret `namespace/name` holds.
    pub fn get(&self, key: &str) -> Option<&TlsSecret> {
        self.0.get(key).map(|secret| &**secret)
    }
}

impl FromIterator<(Box<str>, Arc<TlsSecret>)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Arc<TlsSecret>)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

/// Reads one Secret.
pub fn read(secret: &Object) -> TlsSecret {
    let chain = either(secret, ["tls.crt", "cert"]);
    let key = either(secret, ["tls.key", "key"]);
    TlsSecret {
        pair: chain.and_then(|chain| Ok(KeyPair { chain, key: key? })),
        authorities: either(secret, ["ca.crt", "cacert"]),
        revoked: revoked(secret),
    }
}

fn revoked(secret: &Object) -> Option<Arc<[u8]>> {
    const NAMES: [&str; 2] = ["ca.crl", "crl"];
    let mut names = NAMES.iter();
    names.find(|name| secret.get(&["data", name]).is_some())?;
    Some(either(secret, NAMES).unwrap_or_default())
}

fn either(secret: &Object, names: [&str; 2]) -> Result<Arc<[u8]>, String> {
    let found = names
        .iter()
        .find_map(|name| Some((name, secret.get(&["data", name])?)));
    let Some((name, value)) = found else {
        return Err(format!("has neither {:?} nor {:?}", names[0], names[1]));
    };
    let bytes = value
        .as_str()
        .and_then(|text| STANDARD.decode(text.trim()).ok());
    match bytes {
        Some(bytes) if !bytes.is_empty() => Ok(bytes.into()),
        _ => Err(format!("holds nothing that can be read as {name:?}")),
    }
}
