//! Public keys that signatures of images are checked with.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use crate::IdentityError;

/// A public key on the curve P-256, as `cosign generate-key-pair` makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

impl VerifyingKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`IdentityError::Material`] when it is something else, or a key of another kind.
    pub fn parse(pem: &str) -> Result<Self, IdentityError> {
        let bad = |reason: &str| IdentityError::material("public key", reason);
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|_| bad("it is not PEM; expected -----BEGIN PUBLIC KEY-----"))?;
        let (_, key) = SubjectPublicKeyInfo::from_der(&pem.contents)
            .map_err(|_| bad("it holds no public key; name cosign.pub, not cosign.key"))?;
        let point = key.subject_public_key.data.into_owned();
        // An uncompressed point: 4, x, y.
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(bad(
                "it is not a key on the curve P-256; make one with `cosign generate-key-pair`",
            ));
        }
        Ok(Self(point))
    }

    /// Whether `signature` (ECDSA with SHA-256, ASN.1) of `message` was made with this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_the_key_that_signed_verifies() {
        let pair = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (mine, other) = (pair(), pair());
        let signature = rcgen::SigningKey::sign(&mine, b"message").unwrap();
        let key = VerifyingKey::parse(&mine.public_key_pem()).unwrap();
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"massage", &signature));
        let key = VerifyingKey::parse(&other.public_key_pem()).unwrap();
        assert!(!key.verifies(b"message", &signature));
        assert!(
            VerifyingKey::parse("x")
                .unwrap_err()
                .to_string()
                .contains("PEM")
        );
        assert!(VerifyingKey::parse(&mine.serialize_pem()).is_err());
    }
}
