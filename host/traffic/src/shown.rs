//! What a gateway shows to the backends that it calls over TLS: a certificate and its key, out of a Secret.

use std::sync::Arc;

use osier_balancing as balancing;
use osier_standing::{FindingKind, Findings};

use crate::secret::Secrets;
use crate::tls::{Credential, KeyPair};

/// The certificate and key of the Secret that a gateway names for its backends. Where there are none that is a finding, and backends are
/// shown nothing.
pub fn shown(
    named: &Credential,
    secrets: &Secrets,
    findings: &Findings,
) -> Option<Arc<balancing::Credential>> {
    let key = named.key();
    let pair = match secrets.get(&key) {
        None => Err("does not exist"),
        Some(secret) => secret.pair.as_ref().map_err(String::as_str),
    };
    let found = pair.and_then(|pair| {
        pem(pair).ok_or("holds no certificate and key in PEM as \"tls.crt\" and \"tls.key\"")
    });
    found
        .map(Arc::new)
        .map_err(|lacks| {
            let detail = format!("Secret {key} {lacks}; backends are shown no certificate");
            findings.add(FindingKind::Reference, named.field.as_str(), detail);
        })
        .ok()
}

fn pem(pair: &KeyPair) -> Option<balancing::Credential> {
    let text = |bytes: &[u8], mark: &str| {
        let text = std::str::from_utf8(bytes).ok()?;
        text.contains(mark).then(|| Arc::<str>::from(text))
    };
    Some(balancing::Credential::Pem {
        certificate: text(&pair.chain, "-----BEGIN CERTIFICATE-----")?,
        key: text(&pair.key, "PRIVATE KEY-----")?,
    })
}
