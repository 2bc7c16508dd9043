//! Signatures by `cosign sign --key`: an image beside the image, whose layers are what was signed.
//!
//! <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>. Only keys are known, no certificates of Fulcio and no
//! transparency log: a node that trusts a key needs no third party to be reachable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_identity::VerifyingKey;
use serde_json::Value;

use crate::error::Fault;
use crate::fetch::{blob, manifest};
use crate::reference::Reference;
use crate::session::Session;

/// Signatures of one image that are looked at.
const SIGNATURES: usize = 16;
/// Bytes of what was signed.
const PAYLOAD: u64 = 64 << 10;
/// The annotation that holds the signature.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Images whose name begins with `prefix` must be signed with `key`.
#[derive(Debug, Clone)]
pub struct RequiredKey {
    /// `HOST[/PATH]`, whole parts; empty for every image.
    pub prefix: String,
    /// Who must have signed.
    pub key: VerifyingKey,
}

impl RequiredKey {
    /// Whether the image is one of those.
    #[must_use]
    pub fn concerns(&self, reference: &Reference) -> bool {
        let name = format!("{}/{}", reference.registry, reference.repository);
        self.prefix.is_empty()
            || name
                .strip_prefix(self.prefix.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether the manifest with this digest is signed with every key that concerns it.
pub(crate) async fn check(
    session: &mut Session<'_>,
    keys: &[RequiredKey],
    digest: &str,
) -> Result<(), Fault> {
    for required in keys {
        if required.concerns(&session.reference) {
            let signed = signed(session, &required.key, digest).await;
            signed.map_err(|reason| Fault::Unsigned {
                prefix: match required.prefix.as_str() {
                    "" => "every image".to_owned(),
                    prefix => prefix.to_owned(),
                },
                reason,
            })?;
        }
    }
    Ok(())
}

/// Whether the manifest with this digest is signed with one of the keys, if there are any.
pub(crate) async fn by_any(
    session: &mut Session<'_>,
    keys: &[VerifyingKey],
    digest: &str,
) -> Result<(), Fault> {
    let mut reason = None;
    for key in keys {
        match signed(session, key, digest).await {
            Ok(()) => return Ok(()),
            Err(why) => reason = Some(why),
        }
    }
    reason.map_or(Ok(()), |reason| {
        let prefix = "this plugin (spec.verify.cosignKeys)".to_owned();
        Err(Fault::Unsigned { prefix, reason })
    })
}

async fn signed(session: &mut Session<'_>, key: &VerifyingKey, digest: &str) -> Result<(), String> {
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let text = match manifest(session, &tag).await {
        Ok(text) => text,
        Err(Fault::NotFound { .. }) => return Err(format!("there is no tag {tag}")),
        Err(fault) => return Err(fault.to_string()),
    };
    let signatures: Value = serde_json::from_slice(&text).unwrap_or_default();
    let layers = signatures["layers"].as_array().cloned().unwrap_or_default();
    for layer in layers.iter().take(SIGNATURES) {
        let (Some(payload), Some(signature)) = (
            layer["digest"].as_str(),
            layer["annotations"][ANNOTATION].as_str(),
        ) else {
            continue;
        };
        let payload = blob(session, ("the signature", PAYLOAD), payload)
            .await
            .map_err(|fault| fault.to_string())?;
        let Ok(signature) = STANDARD.decode(signature) else {
            continue;
        };
        if key.verifies(&payload, &signature) && names(&payload, digest) {
            return Ok(());
        }
    }
    Err(format!(
        "none of the {} signatures under the tag {tag} is of this key and this image",
        layers.len()
    ))
}

/// Whether what was signed is this image: a signature of another image is true as well.
fn names(payload: &[u8], digest: &str) -> bool {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    payload["critical"]["image"]["docker-manifest-digest"] == digest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_prefix_is_of_whole_parts() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIzy+USZcXDqKZqNiQ7FnSReJzAcW\nLvMg4JqyDkhT0sfvG5HOte0I90MHXeCPp+styJoPBZRurKfChT6vvDfzBA==\n-----END PUBLIC KEY-----\n";
        let key = VerifyingKey::parse(pem).unwrap();
        let concerns = |prefix: &str| {
            let required = RequiredKey {
                prefix: prefix.into(),
                key: key.clone(),
            };
            required.concerns(&Reference::parse("ghcr.io/shop/web:1").unwrap())
        };
        for yes in [
            "",
            "ghcr.io",
            "ghcr.io/shop",
            "ghcr.io/shop/",
            "ghcr.io/shop/web",
        ] {
            assert!(concerns(yes), "{yes}");
        }
        for no in ["ghcr.i", "ghcr.io/sho", "other.io"] {
            assert!(!concerns(no), "{no}");
        }
    }
}
