//! TLS of a server: its Secrets become certificates; what is missing is said.

use std::sync::Arc;

use crate::secret::Secrets;
use crate::tls::{Credential, KeyPair, Named, Tls, TlsMode, TlsSpec};
use osier_standing::{FindingKind, Findings};

/// The TLS of a server; `None` if it names no certificate, which its reader has said.
pub fn resolve(spec: &TlsSpec, secrets: &Secrets, findings: &Findings) -> Option<Tls> {
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
    let believed = asks.then(|| authorities(spec, secrets, findings));
    Some(tls(spec, certificates, believed))
}

fn tls(spec: &TlsSpec, certificates: Vec<Named<KeyPair>>, believed: Option<Believed>) -> Tls {
    let (authorities, revoked) = believed.unzip();
    Tls {
        mode: spec.mode,
        certificates,
        authorities,
        revoked: revoked.flatten(),
        taken: spec.taken.clone(),
        ciphers: spec.ciphers.clone(),
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

/// Authorities, and the lists of what they revoked, which stand beside them.
type Believed = (Named<Arc<[u8]>>, Option<Arc<[u8]>>);

fn authorities(spec: &TlsSpec, secrets: &Secrets, findings: &Findings) -> Believed {
    if let Some(given) = &spec.given {
        return (given.clone(), None);
    }
    let candidates = spec.authorities.iter().chain(spec.credentials.first());
    let mut lacks = String::from("no Secret is named for it");
    for credential in candidates.clone() {
        let key = credential.key();
        let secret = secrets.get(&key);
        match secret.map(|secret| (&secret.authorities, &secret.revoked)) {
            Some((Ok(found), revoked)) => {
                let named = Named {
                    secret: key.into(),
                    value: Some(Arc::clone(found)),
                };
                return (named, revoked.clone());
            }
            Some((Err(lack), _)) => lacks = format!("Secret {key} {lack}"),
            None => lacks = format!("Secret {key} does not exist"),
        }
    }
    let first = candidates.clone().next();
    let field = first.map_or("spec", |credential| credential.field.as_str());
    let detail =
        format!("{lacks}; clients cannot be checked, so none is taken until there is an authority");
    findings.add(FindingKind::Reference, field, detail);
    let named = Named {
        secret: first.map(Credential::key).unwrap_or_default().into(),
        value: None,
    };
    (named, None)
}
