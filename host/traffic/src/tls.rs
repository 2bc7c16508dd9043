//! How servers of gateways do TLS: as objects write it, and as it is served.

use std::fmt;
use std::sync::Arc;

/// How a server does TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Who proves what.
    pub mode: TlsMode,
    /// The server's certificates, in order of preference. Empty for [`TlsMode::Passthrough`].
    pub certificates: Vec<Named<KeyPair>>,
    /// What client certificates are checked against, where they are asked for.
    pub authorities: Option<Named<Arc<[u8]>>>,
    /// Lists of revoked certificates, PEM: who is on one is refused, and who is on none that counts.
    pub revoked: Option<Arc<[u8]>>,
    /// Which of the clients are taken whose certificates are good.
    pub taken: Taken,
    /// Names of the cipher suites of TLS 1.2 that are spoken; empty is every secure one.
    pub ciphers: Vec<Arc<str>>,
    /// The least version; `None` is TLS 1.2.
    pub least: Option<TlsVersion>,
    /// The greatest version; `None` is TLS 1.3.
    pub greatest: Option<TlsVersion>,
}

/// Who proves what in a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Nothing here: the encrypted connection goes on to the destination.
    Passthrough,
    /// The server.
    Simple,
    /// The server, and the client must.
    Mutual,
    /// The server, and the client may.
    OptionalMutual,
}

/// A version of TLS that can be spoken; older ones are not secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

/// Something out of a Secret. `None` if the Secret or what it should hold is missing, which a finding says; the last good value
/// stays in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// The Secret, `namespace/name`.
    pub secret: Arc<str>,
    /// What it holds.
    pub value: Option<T>,
}

/// A certificate chain and its key, both PEM, as a Secret holds them.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, then those that lead to its authority.
    pub chain: Arc<[u8]>,
    /// The private key.
    pub key: Arc<[u8]>,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(secret)")
    }
}

/// Which clients are taken among those whose certificates are good; where all is empty, every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Subject alternative names, of which a certificate must carry one.
    pub names: Vec<Arc<str>>,
    /// SHA-256 of certificates (hexadecimal, colons allowed).
    pub certificates: Vec<Arc<str>>,
    /// SHA-256 of public keys (base64). A certificate must be known by its own hash or by that of its key.
    pub keys: Vec<Arc<str>>,
}

/// TLS as a gateway object writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSpec {
    /// Who proves what.
    pub mode: TlsMode,
    /// The Secrets with the certificates.
    pub credentials: Vec<Credential>,
    /// Secrets with certificates of authorities, the first that exists counts. Without any, the first credential holds them.
    pub authorities: Vec<Credential>,
    /// Authorities that stand in no Secret: these count.
    pub given: Option<Named<Arc<[u8]>>>,
    /// Which clients are taken.
    pub taken: Taken,
    /// Cipher suites of TLS 1.2.
    pub ciphers: Vec<Arc<str>>,
    /// The least version.
    pub least: Option<TlsVersion>,
    /// The greatest version.
    pub greatest: Option<TlsVersion>,
}

/// A Secret that a field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub field: String,
}

impl TlsSpec {
    /// TLS of this mode with these certificates, and nothing else that is out of the ordinary.
    pub fn new(mode: TlsMode, credentials: Vec<Credential>) -> Self {
        Self {
            mode,
            credentials,
            authorities: Vec::new(),
            given: None,
            taken: Taken::default(),
            ciphers: Vec::new(),
            least: None,
            greatest: None,
        }
    }
}

impl Credential {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
