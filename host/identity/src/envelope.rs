//! Envelopes: bytes that only holders of a key read. Each has a data key of its own, which the key encrypts (AES-GCM for both),
//! so that the key itself is used for short random values only. What an envelope belongs to is authenticated: moved to another
//! place it does not open.
//!
//! `osier:enc:aesgcm:v1:` name `:` nonce, data key and tag, nonce, bytes and tag.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// What every envelope begins with.
const MARK: &[u8] = b"osier:enc:aesgcm:v1:";
/// The longest name of a key.
const LONGEST: usize = 128;
const DATA_KEY: usize = 32;
const TAG: usize = 16;
/// The data key with its nonce and tag.
const WRAPPED: usize = NONCE_LEN + DATA_KEY + TAG;

/// A key has no use as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its name.
    #[error("key {0:?}: a name has 1 to 128 characters and no colon")]
    Name(String),
    /// Its length.
    #[error(
        "key {name:?} has {bytes} bytes: AES takes 16 or 32, such as `head -c 32 /dev/urandom | base64` makes"
    )]
    Length {
        /// Which key.
        name: String,
        /// How long it is.
        bytes: usize,
    },
    /// Two have one name.
    #[error("key {0:?} is there twice: give each a name of its own")]
    Twice(String),
}

/// An envelope does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It names a key that is not there.
    #[error("it is encrypted with the key {0:?}, which is not among those given")]
    Unknown(String),
    /// The key of that name is another one, or the bytes are not what was written.
    #[error(
        "it does not open with the key {0:?}: another key has that name now, or it was changed"
    )]
    Wrong(String),
    /// It is cut short.
    #[error("it is no whole envelope")]
    Broken,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Keys by name: the first one seals, all of them open.
pub struct KeyRing {
    keys: Vec<(String, LessSafeKey)>,
    random: SystemRandom,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.keys.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

impl KeyRing {
    /// The keys, the one that seals first.
    ///
    /// # Errors
    /// When a name or a key cannot be used.
    pub fn new(keys: Vec<(String, Vec<u8>)>) -> Result<Self, KeyError> {
        let mut ring = Self {
            keys: Vec::new(),
            random: SystemRandom::new(),
        };
        for (name, secret) in keys {
            if name.is_empty() || name.len() > LONGEST || name.contains(':') {
                return Err(KeyError::Name(name));
            }
            if ring.keys.iter().any(|(known, _)| *known == name) {
                return Err(KeyError::Twice(name));
            }
            let key = key(&secret).ok_or_else(|| KeyError::Length {
                name: name.clone(),
                bytes: secret.len(),
            })?;
            ring.keys.push((name, key));
        }
        Ok(ring)
    }

    /// The name of the key that seals.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.keys.first().map(|(name, _)| name.as_str())
    }

    /// Seals bytes that belong to a place. Without a key they stay as they are.
    ///
    /// # Errors
    /// [`EnvelopeError::Random`].
    pub fn seal(&self, place: &str, bytes: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let Some((name, wrapping)) = self.keys.first() else {
            return Ok(bytes.to_vec());
        };
        let mut data_key = vec![0; DATA_KEY];
        let filled = self.random.fill(&mut data_key);
        filled.map_err(|_| EnvelopeError::Random)?;
        let sealing = key(&data_key).ok_or(EnvelopeError::Broken)?;
        let head = head(name);
        let mut envelope = head.clone();
        envelope.extend(self.sealed(wrapping, &[&head, place.as_bytes()].concat(), data_key)?);
        envelope.extend(self.sealed(&sealing, place.as_bytes(), bytes.to_vec())?);
        Ok(envelope)
    }

    fn sealed(
        &self,
        key: &LessSafeKey,
        place: &[u8],
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let mut nonce = [0; NONCE_LEN];
        let filled = self.random.fill(&mut nonce);
        filled.map_err(|_| EnvelopeError::Random)?;
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, Aad::from(place), &mut bytes)
            .map_err(|_| EnvelopeError::Broken)?;
        Ok([&nonce[..], &bytes].concat())
    }

    /// The bytes of an envelope that belongs to a place; what is no envelope is returned as it is.
    ///
    /// # Errors
    /// When no key opens it.
    pub fn open(&self, place: &str, envelope: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let Some(name) = sealed_with(envelope) else {
            return Ok(envelope.to_vec());
        };
        let wrapping = self.keys.iter().find(|(known, _)| known == name);
        let (_, wrapping) = wrapping.ok_or_else(|| EnvelopeError::Unknown(name.to_owned()))?;
        let wrong = || EnvelopeError::Wrong(name.to_owned());
        let head = head(name);
        let rest = envelope.get(head.len()..).unwrap_or_default();
        let (wrapped, sealed) = rest
            .split_at_checked(WRAPPED)
            .ok_or(EnvelopeError::Broken)?;
        let data_key = opened(wrapping, &[&head, place.as_bytes()].concat(), wrapped);
        let sealing = data_key.and_then(|bytes| key(&bytes)).ok_or_else(wrong)?;
        opened(&sealing, place.as_bytes(), sealed).ok_or_else(wrong)
    }
}

/// The name of the key with which bytes are sealed; `None` for bytes that are no envelope.
#[must_use]
pub fn sealed_with(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(MARK)?;
    let end = rest
        .iter()
        .take(LONGEST + 1)
        .position(|byte| *byte == b':')?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn head(name: &str) -> Vec<u8> {
    [MARK, name.as_bytes(), b":"].concat()
}

fn key(secret: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match secret.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return None,
    };
    UnboundKey::new(algorithm, secret)
        .ok()
        .map(LessSafeKey::new)
}

fn opened(key: &LessSafeKey, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = bytes.to_vec();
    let length = key
        .open_in_place(nonce, Aad::from(place), &mut bytes)
        .ok()?
        .len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ring(keys: &[(&str, u8)]) -> KeyRing {
        let keys = keys
            .iter()
            .map(|(name, byte)| ((*name).to_owned(), vec![*byte; 32]));
        KeyRing::new(keys.collect()).unwrap()
    }

    #[test]
    fn an_envelope_opens_with_its_key_at_its_place_only() {
        let one = ring(&[("k1", 1)]);
        let sealed = one.seal("a", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(
            sealed,
            one.seal("a", b"hunter2").unwrap(),
            "each is another"
        );
        assert_eq!(sealed_with(&sealed), Some("k1"));
        assert_eq!(one.open("a", &sealed).unwrap(), b"hunter2");
        let wrong = EnvelopeError::Wrong("k1".into());
        assert_eq!(one.open("b", &sealed), Err(wrong.clone()));
        assert_eq!(ring(&[("k1", 2)]).open("a", &sealed), Err(wrong.clone()));
        let unknown = EnvelopeError::Unknown("k1".into());
        assert_eq!(ring(&[("k2", 1)]).open("a", &sealed), Err(unknown));
        let rotated = ring(&[("k2", 2), ("k1", 1)]);
        assert_eq!(rotated.open("a", &sealed).unwrap(), b"hunter2");
        assert_eq!(sealed_with(&rotated.seal("a", b"x").unwrap()), Some("k2"));
        for byte in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            // Without its mark it is no envelope, and none is what it was.
            assert_ne!(
                one.open("a", &changed).ok(),
                Some(b"hunter2".to_vec()),
                "{byte}"
            );
            let cut = one.open("a", &sealed[..byte]);
            assert_ne!(cut.ok(), Some(b"hunter2".to_vec()), "{byte}");
        }
    }

    #[test]
    fn without_a_key_bytes_stay_as_they_are() {
        let none = ring(&[]);
        assert_eq!(none.seal("a", b"plain").unwrap(), b"plain");
        assert_eq!(ring(&[("k1", 1)]).open("a", b"plain").unwrap(), b"plain");
        assert_eq!(sealed_with(b"{}"), None);
    }

    #[test]
    fn keys_of_no_use_are_told() {
        let new = |name: &str, bytes| KeyRing::new(vec![(name.to_owned(), vec![0; bytes])]);
        assert_eq!(new("a:b", 32).unwrap_err(), KeyError::Name("a:b".into()));
        assert!(new("a", 24).unwrap_err().to_string().contains("24 bytes"));
        let twice = vec![("a".to_owned(), vec![0; 16]), ("a".to_owned(), vec![1; 32])];
        assert_eq!(
            KeyRing::new(twice).unwrap_err(),
            KeyError::Twice("a".into())
        );
    }
}
