//! Tokens of service accounts: JSON Web Tokens (RFC 7519) signed with one key of the cluster (ES256, RFC 7518).
//!
//! What the claims mean, and whether they are still true, is for the caller to say; here is only whether this cluster
//! signed them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::IdentityError;
use crate::authority::{make, read, write};

/// The file of the key, in PKCS#8.
const FILE: &str = "sa.key";
/// A token longer than this is not looked at.
const LONGEST: usize = 16 * 1024;

/// The key that signs the tokens of service accounts.
pub struct TokenKey {
    key: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TokenKey {
    /// Opens the key in `directory`, or makes one when there is none.
    ///
    /// # Errors
    /// [`IdentityError::File`] when the directory cannot be used, [`IdentityError::Material`] when the file is no key.
    pub fn open(directory: &Path) -> Result<Self, IdentityError> {
        let path = directory.join(FILE);
        let bad =
            |error| IdentityError::material("the key of service account tokens (sa.key)", error);
        let pair = if path.exists() {
            KeyPair::from_pem(&read(&path)?).map_err(bad)?
        } else {
            make(directory)?;
            let pair = KeyPair::generate().map_err(bad)?;
            write(&path, &pair.serialize_pem(), 0o600)?;
            pair
        };
        Self::of(&pair.serialize_der())
    }

    fn of(document: &[u8]) -> Result<Self, IdentityError> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &random);
        let key = key
            .map_err(|error| IdentityError::material("the key of service account tokens", error))?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(key.public_key().as_ref()));
        Ok(Self { key, random, id })
    }

    /// The claims as a signed token.
    ///
    /// # Errors
    /// [`IdentityError::Material`] when the system has no randomness to sign with.
    pub fn sign(&self, claims: &Value) -> Result<String, IdentityError> {
        let header = json!({"alg": "ES256", "kid": self.id, "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|error| IdentityError::material("a token to sign", error))?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(format!("{signed}.{signature}"))
    }

    /// The claims of a token that this key signed; `None` for any other text.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // The algorithm is ours to choose, never the token's.
        if header["alg"] != "ES256" {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        public.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// The public key as a JSON Web Key Set (RFC 7517), with which others can check tokens.
    #[must_use]
    pub fn key_set(&self) -> Value {
        // An uncompressed point: one byte, then both coordinates.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.id,
            "x": coordinate(x), "y": coordinate(y),
        }]})
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_the_key_that_signed_it_only() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = TokenKey::open(one.path()).unwrap();
        let claims = json!({"sub": "system:serviceaccount:n:a"});
        let token = key.sign(&claims).unwrap();
        assert_eq!(key.verify(&token).map(Value::Object), Some(claims.clone()));
        let again = TokenKey::open(one.path()).unwrap();
        assert_eq!(
            again.verify(&token).map(Value::Object),
            Some(claims),
            "the key is kept"
        );
        assert_eq!(again.key_set(), key.key_set());
        let other = TokenKey::open(two.path()).unwrap();
        assert_eq!(other.verify(&token), None);
    }

    #[test]
    fn others_check_tokens_with_the_key_set() {
        let folder = tempfile::tempdir().unwrap();
        let key = TokenKey::open(folder.path()).unwrap();
        let token = key.sign(&json!({"sub": "a"})).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let found = &key.key_set()["keys"][0];
        let header = signed.split('.').next().unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header["kid"], found["kid"]);
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(found[name].as_str().unwrap());
        let mut point = vec![4];
        point.extend(coordinate("x").unwrap());
        point.extend(coordinate("y").unwrap());
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn what_is_changed_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let key = TokenKey::open(folder.path()).unwrap();
        let token = key.sign(&json!({"sub": "a"})).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let none = encoded(json!({"alg": "none"}));
        let forged = [
            format!("{}.{}.{}", parts[0], encoded(json!({"sub": "b"})), parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
            "a.b.c".to_owned(),
            "x".repeat(LONGEST + 1),
        ];
        for text in forged {
            assert_eq!(key.verify(&text), None, "{text:.40}");
        }
    }
}
