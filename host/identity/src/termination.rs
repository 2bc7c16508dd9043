//! TLS that ends at a gateway: certificates of people's own, chosen by server name, and client certificates where they are asked for.

use crate::clients::Clients;
use crate::configuration::provider;
use crate::{IdentityError, subject};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use std::sync::Arc;

/// Sessions that a configuration remembers for resumption.
const SESSIONS: usize = 4_096;

/// A certificate chain whose key is at hand.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Arc<[String]>,
}

impl Certificate {
    /// Reads a PEM chain and its PEM key.
    ///
    /// # Errors
    /// [`IdentityError::Material`] when one cannot be read, or the key is not that of the chain's first certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let bad = |error: rustls::Error| IdentityError::material("certificate", error);
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| IdentityError::material("certificate", error))?;
        let first = chain
            .first()
            .ok_or_else(|| IdentityError::material("certificate", "no PEM certificate found"))?;
        let names = subject(first)?.names.into();
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| IdentityError::material("private key", error))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(bad)?;
        Ok(Self {
            key: Arc::new(key),
            names,
        })
    }

    /// Whether it was issued for this name, in full or by a wildcard of one label (RFC 9525, 6.3).
    fn is_for(&self, name: &str) -> bool {
        let rest = name.split_once('.').map(|(_, rest)| rest);
        self.names.iter().any(|own| {
            own.eq_ignore_ascii_case(name)
                || own
                    .strip_prefix("*.")
                    .is_some_and(|own| rest.is_some_and(|rest| own.eq_ignore_ascii_case(rest)))
        })
    }

    fn signs(&self, hello: &ClientHello<'_>) -> bool {
        let schemes = hello.signature_schemes();
        self.key.key.choose_scheme(schemes).is_some()
    }
}

/// The versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2.
    Only12,
    /// 1.3.
    Only13,
}

/// How a server speaks.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// The versions of TLS.
    pub versions: Versions,
    /// The cipher suites of TLS 1.2, as OpenSSL names them; what [`unknown_ciphers`] tells of them is left out. Empty is every one.
    pub ciphers: &'a [Arc<str>],
    /// What ALPN offers.
    pub protocols: &'a [&'a [u8]],
}

/// A server that shows the first of `certificates` that was issued for the client's server name, or else the first.
///
/// # Errors
/// [`IdentityError::Material`] when the authorities, or what they revoked, cannot be read, or no cipher suite is left.
pub fn termination(
    certificates: Vec<Certificate>,
    clients: Clients<'_>,
    manner: Manner<'_>,
) -> Result<Arc<ServerConfig>, IdentityError> {
    let bad = |error: rustls::Error| IdentityError::material("TLS versions", error);
    let versions: &[&SupportedProtocolVersion] = match manner.versions {
        Versions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Versions::Only12 => &[&rustls::version::TLS12],
        Versions::Only13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(speaking(manner)?)
        .with_protocol_versions(versions)
        .map_err(bad)?;
    let builder = match clients.verifier()? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Shown(certificates)));
    config.alpn_protocols = manner.protocols.iter().map(|name| name.to_vec()).collect();
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}

/// The cipher suites of TLS 1.2 that can be spoken, by OpenSSL's names. Those of 1.3 are not chosen among, as in other proxies.
const CIPHERS: [(&str, CipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Says of each cipher suite that is named and cannot be spoken that it is not, and which can.
#[must_use]
pub fn unknown_ciphers(names: &[Arc<str>]) -> Vec<String> {
    let known = CIPHERS.map(|(name, _)| name).join(", ");
    let unknown = names.iter().filter(|name| suite(name).is_none());
    unknown
        .map(|name| format!("cipher suite {name} is not spoken, it is not secure or not known; these are: {known}"))
        .collect()
}

fn suite(name: &str) -> Option<CipherSuite> {
    let mut known = CIPHERS.iter();
    let found = known.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, suite)| *suite)
}

/// The suites that are named, and all of TLS 1.3.
fn speaking(manner: Manner<'_>) -> Result<Arc<CryptoProvider>, IdentityError> {
    if manner.ciphers.is_empty() {
        return Ok(provider());
    }
    let named: Vec<_> = manner
        .ciphers
        .iter()
        .filter_map(|name| suite(name))
        .collect();
    if named.is_empty() && manner.versions == Versions::Only12 {
        let reason = "none of them can be spoken";
        return Err(IdentityError::material("cipher suites", reason));
    }
    let mut speaking = (*provider()).clone();
    let newest = &rustls::version::TLS13;
    let speaks =
        |one: &SupportedCipherSuite| one.version() == newest || named.contains(&one.suite());
    speaking.cipher_suites.retain(speaks);
    Ok(Arc::new(speaking))
}

/// The certificates of one server.
#[derive(Debug)]
struct Shown(Vec<Certificate>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = || {
            self.0
                .iter()
                .filter(|certificate| certificate.signs(&hello))
        };
        let named = hello
            .server_name()
            .and_then(|name| usable().find(|certificate| certificate.is_for(name)));
        let shown = named.or_else(|| usable().next())?;
        Some(Arc::clone(&shown.key))
    }
}

/// The beginning of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// More bytes are needed.
    Incomplete,
    /// A whole ClientHello, with its server name in lower case if it has one.
    Complete(Option<Box<str>>),
    /// Not a ClientHello; the reason is for the log.
    Wrong(String),
}

/// Reads the ClientHello at the beginning of `bytes`.
#[must_use]
pub fn hello(mut bytes: &[u8]) -> Hello {
    let mut acceptor = Acceptor::default();
    loop {
        if bytes.is_empty() {
            return Hello::Incomplete;
        }
        if let Err(error) = acceptor.read_tls(&mut bytes) {
            return Hello::Wrong(error.to_string());
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let name = accepted
                    .client_hello()
                    .server_name()
                    .map(str::to_ascii_lowercase);
                return Hello::Complete(name.map(Into::into));
            }
            Err((error, _alert)) => return Hello::Wrong(error.to_string()),
        }
    }
}
