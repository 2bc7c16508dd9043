//! Public keys (JWK, RFC 7517) and the signatures that they verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osier_plugin::serde::Deserialize;
use p256::ecdsa::signature::Verifier;
use rsa::{BoxedUint, pkcs1v15};
use sha2::{Sha256, Sha384, Sha512};

/// Shorter RSA keys are refused: RFC 7518, section 3.3.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// One key as `jwks.keys` holds it. Members that are not for verifying are nobody's fault.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", default)]
pub(crate) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A key that verifies.
pub(crate) struct Key {
    pub(crate) kid: Option<String>,
    /// The only algorithm that it is for, if it says so.
    alg: Option<String>,
    public: Public,
}

enum Public {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl Key {
    /// Reads a key; none if it is one for encrypting, which many sets hold too.
    pub(crate) fn read(jwk: Jwk) -> Result<Option<Self>, String> {
        if jwk
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return Ok(None);
        }
        let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes("n", &jwk.n)?, bytes("e", &jwk.e)?);
                let number = BoxedUint::from_be_slice_vartime;
                let key = rsa::PublicKey::new_with_size_limits(number(&n), number(&e), RSA_BITS);
                Public::Rsa(Box::new(key.map_err(|error| format!("n, e: {error}"))?))
            }
            ("EC", Some("P-256")) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = (bytes("x", &jwk.x)?, bytes("y", &jwk.y)?);
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
                Public::P256(Box::new(key.map_err(|_| "x, y: no point of P-256")?))
            }
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x", &jwk.x)?;
                let x = x.try_into().map_err(|_| "x: must have 32 bytes")?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&x);
                Public::Ed25519(Box::new(key.map_err(|_| "x: no point of Ed25519")?))
            }
            (kty, crv) => {
                return Err(format!(
                    "kty `{kty}`, crv `{}`: keys are RSA, EC with P-256, or OKP with Ed25519; a shared secret does not belong into a configuration",
                    crv.unwrap_or_default()
                ));
            }
        };
        Ok(Some(Self {
            kid: jwk.kid,
            alg: jwk.alg,
            public,
        }))
    }

    /// True if the signature is by this key. What algorithm it is for is the key's to say, never the token's alone.
    pub(crate) fn verifies(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        if self.alg.as_deref().is_some_and(|own| own != alg) {
            return false;
        }
        match (&self.public, alg) {
            (Public::Rsa(key), "RS256" | "RS384" | "RS512") => {
                let Ok(signature) = pkcs1v15::Signature::try_from(signature) else {
                    return false;
                };
                let key = (**key).clone();
                let verified = match alg {
                    "RS256" => {
                        pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message, &signature)
                    }
                    "RS384" => {
                        pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(message, &signature)
                    }
                    _ => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(message, &signature),
                };
                verified.is_ok()
            }
            (Public::P256(key), "ES256") => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            (Public::Ed25519(key), "EdDSA" | "Ed25519") => {
                ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            _ => false,
        }
    }
}

/// A member of a key.
fn bytes(name: &str, text: &Option<String>) -> Result<Vec<u8>, String> {
    let text = text
        .as_deref()
        .ok_or_else(|| format!("{name}: is required"))?;
    decode(text).ok_or_else(|| format!("{name}: must be base64url without padding"))
}

/// What base64url without padding stands for.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
