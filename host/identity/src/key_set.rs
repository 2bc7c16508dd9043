//! The keys of somebody who signs tokens: a JSON Web Key Set (RFC 7517), and what it verifies (RFC 7518, RFC 8037).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::Value;

use crate::IdentityError;
use crate::web_token::{TokenFault, WebToken};

/// Keys of one set that are looked at; issuers have a handful.
const MOST: usize = 64;

/// Public keys that verify tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Places of keys by their name.
    named: HashMap<Box<str>, Vec<usize>>,
    /// Places of keys without one.
    nameless: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// The only algorithm that it is for, if it says so.
    alg: Option<Box<str>>,
    public: Public,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a set. Keys that are not for verifying, or of a kind that is not known, are passed over (RFC 7517, 5).
    ///
    /// # Errors
    /// [`IdentityError::Material`] when the text is no set, or holds no key that verifies.
    pub fn read(text: &str) -> Result<Self, IdentityError> {
        let bad = |reason: &str| IdentityError::material("key set", reason);
        let read: Value =
            serde_json::from_str(text).map_err(|error| bad(&format!("it is not JSON: {error}")))?;
        let all = read["keys"].as_array();
        let all = all.ok_or(bad("it has no list `keys`; expected {\"keys\": [..]}"))?;
        let mut set = Self::default();
        for key in all.iter().take(MOST) {
            set.add(key);
        }
        if set.keys.is_empty() {
            let reason = "it holds no key that verifies signatures: expected RSA of 2048 to 8192 bits, EC with P-256 or P-384, or OKP with Ed25519";
            return Err(bad(reason));
        }
        Ok(set)
    }

    fn add(&mut self, read: &Value) {
        let Some(key) = key(read) else {
            return;
        };
        let place = self.keys.len();
        self.keys.push(key);
        match read["kid"].as_str() {
            Some(kid) => self.named.entry(kid.into()).or_default().push(place),
            None => self.nameless.push(place),
        }
    }

    /// Whether one of the keys signed a token. The key that it names is found at once; where it names none, all that fit are tried.
    ///
    /// # Errors
    /// [`TokenFault::Key`] when none is for it, [`TokenFault::Signature`] when none signed it.
    pub fn verify(&self, token: &WebToken<'_>) -> Result<(), TokenFault> {
        let mut fits = false;
        let mut signed = |place: &usize| {
            let answer = self.keys.get(*place).and_then(|key| key.verifies(token));
            fits |= answer.is_some();
            answer == Some(true)
        };
        let verified = match &token.kid {
            Some(kid) => {
                let named = self.named.get(kid.as_str()).into_iter().flatten();
                named.chain(&self.nameless).any(&mut signed)
            }
            None => (0..self.keys.len()).any(|place| signed(&place)),
        };
        match (verified, fits) {
            (true, _) => Ok(()),
            (false, true) => Err(TokenFault::Signature),
            (false, false) => Err(TokenFault::Key {
                alg: token.alg.clone(),
                kid: token.kid.clone().unwrap_or_else(|| "-".to_owned()),
            }),
        }
    }
}

impl Key {
    /// Whether it signed a token; `None` if it is not for the token's algorithm. What algorithm a key is for is its own to say, never
    /// the token's alone.
    fn verifies(&self, token: &WebToken<'_>) -> Option<bool> {
        if self.alg.as_deref().is_some_and(|own| *own != *token.alg) {
            return None;
        }
        let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        let verified = match (&self.public, token.alg.as_str()) {
            (Public::Rsa { n, e }, alg) => {
                RsaPublicKeyComponents { n, e }.verify(rsa(alg)?, message, signature)
            }
            (Public::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Public::P384(point), "ES384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (Public::Ed25519(point), "EdDSA" | "Ed25519") => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            _ => return None,
        };
        Some(verified.is_ok())
    }
}

fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A key, if it is one that verifies.
fn key(read: &Value) -> Option<Key> {
    if read["use"].as_str().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(read[name].as_str()?).ok();
    let number = |name: &str| {
        let bytes = bytes(name)?;
        // ring wants no leading zeros, which some issuers write.
        let first = bytes.iter().position(|byte| *byte != 0)?;
        Some(bytes[first..].to_vec())
    };
    // An uncompressed point: 4, x, y.
    let point = |width: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == width && y.len() == width).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    let public = match (read["kty"].as_str()?, read["crv"].as_str()) {
        ("RSA", _) => {
            let (n, e) = (number("n")?, number("e")?);
            if !(256..=1024).contains(&n.len()) {
                return None;
            }
            Public::Rsa { n, e }
        }
        ("EC", Some("P-256")) => Public::P256(point(32)?),
        ("EC", Some("P-384")) => Public::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
        _ => return None,
    };
    let alg = read["alg"].as_str().map(Into::into);
    Some(Key { alg, public })
}

#[cfg(test)]
mod tests;
