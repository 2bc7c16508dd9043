//! TLS of a server: its Secrets become certificates; what is missing is said.

use std::sync::Arc;

use crate::gateways::{Credential, TlsSpec};
use crate::listener::{KeyPair, Named, Tls, TlsMode};
use crate::secret::Secrets;
use osier_standing::{FindingKind, Findings};

/// The TLS of a server; `None` if it names no certificate, which its reader has said.
pub(super) fn resolve(spec: &TlsSpec, secrets: &Secrets, findings: &Findings) -> Option<Tls> {
    if spec.mode == TlsMode::Passthrough {
        return Some(tls(spec, Vec::new(), None));
    }
    if spec.credentials.is_empty() {
        return None;
    }
    let certificates = spec.credentials.iter();
    let certificates = certificates
        .map(|credential| certificate(credential, secrets, findings))
        .collect();
    let asks = matches!(spec.mode, TlsMode::Mutual | TlsMode::OptionalMutual);
    let authorities = asks.then(|| authorities(spec, secrets, findings));
    Some(tls(spec, certificates, authorities))
}

fn tls(
    spec: &TlsSpec,
    certificates: Vec<Named<KeyPair>>,
    authorities: Option<Named<Arc<[u8]>>>,
) -> Tls {
    Tls {
        mode: spec.mode,
        certificates,
        authorities,
        least: spec.least,
        greatest: spec.greatest,
    }
}

fn certificate(credential: &Credential, secrets: &Secrets, findings: &Findings) -> Named<KeyPair> {
    let key = credential.key();
    let value = match secrets.get(&key) {
        None => {
            let detail = format!(
                "Secret {key} does not exist; its last certificate stays in use, and without one no connection is taken"
            );
            findings.add(FindingKind::Reference, credential.field.as_str(), detail);
            None
        }
        Some(secret) => match &secret.pair {
            Ok(pair) => Some(pair.clone()),
            Err(lacks) => {
                let detail = format!("Secret {key} {lacks}; its last certificate stays in use");
                findings.add(FindingKind::Invalid, credential.field.as_str(), detail);
                None
            }
        },
    };
    Named {
        secret: key.into(),
        value,
    }
}

fn authorities(spec: &TlsSpec, secrets: &Secrets, findings: &Findings) -> Named<Arc<[u8]>> {
    if let Some(given) = &spec.given {
        return given.clone();
    }
    let candidates = spec.authorities.iter().chain(spec.credentials.first());
    let mut lacks = String::from("no Secret is named for it");
    for credential in candidates.clone() {
        let key = credential.key();
        match secrets.get(&key).map(|secret| &secret.authorities) {
            Some(Ok(found)) => {
                return Named {
                    secret: key.into(),
                    value: Some(Arc::clone(found)),
                };
            }
            Some(Err(lack)) => lacks = format!("Secret {key} {lack}"),
            None => lacks = format!("Secret {key} does not exist"),
        }
    }
    let first = candidates.clone().next();
    let field = first.map_or("spec", |credential| credential.field.as_str());
    let detail =
        format!("{lacks}; clients cannot be checked, so none is taken until there is an authority");
    findings.add(FindingKind::Reference, field, detail);
    Named {
        secret: first.map(Credential::key).unwrap_or_default().into(),
        value: None,
    }
}
