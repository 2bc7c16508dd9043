//! The keys of an issuer: written into the configuration, or fetched by the host from where the issuer keeps them.

use std::cell::RefCell;
use std::time::Duration;

use osier_plugin::http::{Document, Error};
use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json;

use crate::keys::{Jwk, Key};

/// How often keys are fetched: a new one is known after so long.
const REFRESH: Duration = Duration::from_secs(60);
/// How long they are believed after they were fetched last.
const TTL: Duration = Duration::from_secs(3600);

/// A set of keys (RFC 7517, 5).
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde")]
pub(crate) struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    /// Those that verify signatures; the error begins with the place of a wrong one.
    pub(crate) fn read(self) -> Result<Vec<Key>, String> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for (at, jwk) in self.keys.into_iter().enumerate() {
            keys.extend(Key::read(jwk).map_err(|why| format!("[{at}]: {why}"))?);
        }
        match keys.is_empty() {
            true => Err(": holds no key that verifies signatures".into()),
            false => Ok(keys),
        }
    }
}

/// The keys of an issuer.
pub(crate) enum Keys {
    Written(Vec<Key>),
    Fetched(Fetched),
}

/// Keys at a URL.
pub(crate) struct Fetched {
    document: Document,
    /// The revision that was read last, and its keys.
    read: RefCell<(u64, Vec<Key>)>,
}

impl Keys {
    /// Keys at a URL. They are fetched now, so that the first token finds them; if that fails, the host tries on.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let fetched = Fetched {
            document: Document::new(url, REFRESH, Some(TTL)),
            read: RefCell::default(),
        };
        match fetched.refresh() {
            Err(error @ (Error::NotGranted | Error::Invalid)) => Err(format!("{url}: {error}")),
            _ => Ok(Self::Fetched(fetched)),
        }
    }

    /// Whether any key fits.
    pub(crate) fn any(&self, fits: impl Fn(&Key) -> bool) -> Result<bool, String> {
        match self {
            Self::Written(keys) => Ok(keys.iter().any(fits)),
            Self::Fetched(fetched) => {
                let fresh = fetched.refresh();
                fresh.map_err(|error| format!("its keys cannot be had: {error}"))?;
                Ok(fetched.read.borrow().1.iter().any(fits))
            }
        }
    }
}

impl Fetched {
    /// Reads newer keys, if there are any. Those that cannot be read leave the ones before in force.
    fn refresh(&self) -> Result<(), Error> {
        let mut read = self.read.borrow_mut();
        let Some((revision, bytes)) = self.document.newer_than(read.0)? else {
            return Ok(());
        };
        read.0 = revision;
        let keys = serde_json::from_slice::<Jwks>(&bytes).ok();
        if let Some(Ok(keys)) = keys.map(Jwks::read) {
            read.1 = keys;
        }
        Ok(())
    }
}
