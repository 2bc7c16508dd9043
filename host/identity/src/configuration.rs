//! The only TLS configurations of the product: TLS 1.2 and 1.3, one trust root, client certificates verified.

use crate::{Credential, IdentityError};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use std::sync::Arc;

/// A server that shows `credential`, and verifies a client's certificate against the authority when there is one.
/// ALPN offers HTTP/2, then HTTP/1.1.
///
/// # Errors
/// [`IdentityError::Material`] when a certificate or key cannot be read.
pub fn server_config(
    authority_pem: &str,
    credential: &Credential,
) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
    served(
        authority_pem,
        credential,
        ClientCertVerifierBuilder::allow_unauthenticated,
    )
}

/// The same, to which only clients with a certificate of the authority come.
///
/// # Errors
/// As [`server_config`].
pub fn mutual_config(
    authority_pem: &str,
    credential: &Credential,
) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
    served(authority_pem, credential, std::convert::identity)
}

fn served(
    authority_pem: &str,
    credential: &Credential,
    clients: impl FnOnce(ClientCertVerifierBuilder) -> ClientCertVerifierBuilder,
) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
    let bad = |error: rustls::Error| IdentityError::material("server credential", error);
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots(authority_pem.as_bytes())?),
        provider(),
    );
    let verifier = clients(verifier)
        .build()
        .map_err(|error| IdentityError::material("authority", error))?;
    let (chain, key) = parts(credential)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(bad)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client that trusts the authority only, and shows `credential` when it has one.
///
/// # Errors
/// [`IdentityError::Material`] when a certificate or key cannot be read.
pub fn client_config(
    authority_pem: &str,
    credential: Option<&Credential>,
) -> Result<Arc<rustls::ClientConfig>, IdentityError> {
    let bad = |error: rustls::Error| IdentityError::material("client credential", error);
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .with_root_certificates(roots(authority_pem.as_bytes())?);
    let mut config = match credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let (chain, key) = parts(credential)?;
            builder.with_client_auth_cert(chain, key).map_err(bad)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The same client for HTTP/1.1 only, on whose connections the protocol can change.
#[must_use]
pub fn without_http2(config: &rustls::ClientConfig) -> Arc<rustls::ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn roots(authority_pem: &[u8]) -> Result<RootCertStore, IdentityError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority_pem) {
        let certificate =
            certificate.map_err(|error| IdentityError::material("authority", error))?;
        store
            .add(certificate)
            .map_err(|error| IdentityError::material("authority", error))?;
    }
    if store.is_empty() {
        return Err(IdentityError::material(
            "authority",
            "no PEM certificate found",
        ));
    }
    Ok(store)
}

/// Lists of revoked certificates.
pub(crate) fn lists(
    pem: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, IdentityError> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| IdentityError::material("revocation list", error))?;
    match lists.is_empty() {
        true => Err(IdentityError::material(
            "revocation list",
            "no PEM list (X509 CRL) found",
        )),
        false => Ok(lists),
    }
}

pub(crate) fn parts(
    credential: &Credential,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), IdentityError> {
    let chain = CertificateDer::pem_slice_iter(credential.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::material("certificate", error))?;
    let key = PrivateKeyDer::from_pem_slice(credential.key_pem.as_bytes())
        .map_err(|error| IdentityError::material("private key", error))?;
    Ok((chain, key))
}
