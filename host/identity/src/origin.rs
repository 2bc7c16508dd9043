//! TLS towards servers outside: whose certificates are believed, under which names, and what is shown to them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::configuration::{parts, provider, roots};
use crate::{Credential, IdentityError};

/// What a connection to a server outside is made with.
#[derive(Debug)]
pub struct Origin {
    /// Whose certificates are believed.
    pub believe: Believe,
    /// Subject alternative names (DNS, IP or URI) of which the server must have one; empty asks for the server name of the handshake.
    pub names: Vec<String>,
    /// What is shown to the server.
    pub credential: Option<Credential>,
    /// Protocols that are offered, the first preferred.
    pub alpn: Vec<Vec<u8>>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Believe {
    /// Those of the authorities that the machine trusts.
    System,
    /// Those of these authorities, in PEM.
    Pem(String),
    /// All; only the handshake's signature is checked.
    Anyone,
}

/// A configuration for connections to servers outside that the machine's own authorities vouch for; no certificate is shown.
///
/// # Errors
/// As [`origin_config`].
pub fn system_config(alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, IdentityError> {
    origin_config(&Origin {
        believe: Believe::System,
        names: Vec::new(),
        credential: None,
        alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
    })
}

/// A configuration for connections to a server outside.
///
/// # Errors
/// [`IdentityError::Material`] when a certificate or key cannot be read, or the machine trusts nobody.
pub fn origin_config(origin: &Origin) -> Result<Arc<ClientConfig>, IdentityError> {
    let bad = |error: Error| IdentityError::material("client credential", error);
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(origin)?);
    let mut config = match &origin.credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let (chain, key) = parts(credential)?;
            builder.with_client_auth_cert(chain, key).map_err(bad)?
        }
    };
    config.alpn_protocols.clone_from(&origin.alpn);
    Ok(Arc::new(config))
}

fn verifier(origin: &Origin) -> Result<Arc<dyn ServerCertVerifier>, IdentityError> {
    let provider = provider();
    let roots = match &origin.believe {
        Believe::Anyone => {
            let named = None;
            return Ok(Arc::new(Named { provider, named }));
        }
        Believe::Pem(pem) => roots(pem.as_bytes())?,
        Believe::System => system_roots()?,
    };
    if origin.names.is_empty() {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build();
        return Ok(verifier.map_err(|error| IdentityError::material("authorities", error))?);
    }
    let named = Some((roots, origin.names.clone()));
    Ok(Arc::new(Named { provider, named }))
}

fn system_roots() -> Result<RootCertStore, IdentityError> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_usable, _ignored) = store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let reason = "the machine has no certificates of authorities: install ca-certificates, or name a file in `caCertificates`";
        return Err(IdentityError::material("system authorities", reason));
    }
    Ok(store)
}

/// Verifies a chain and one of several names, or nothing but the handshake's signature.
#[derive(Debug)]
struct Named {
    provider: Arc<CryptoProvider>,
    named: Option<(RootCertStore, Vec<String>)>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some((roots, names)) = &self.named {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let parsed = ParsedCertificate::try_from(end_entity)?;
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &parsed,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
            if !has_one_of(end_entity, names) {
                return Err(CertificateError::NotValidForName.into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Whether a certificate carries one of the names, compared whole as Istio's `subjectAltNames` are.
pub(crate) fn has_one_of(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return false;
    };
    let wanted = |text: &str| names.iter().any(|name| name == text);
    let mut all = alternatives.value.general_names.iter();
    all.any(|name| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) => wanted(text),
        GeneralName::IPAddress(bytes) => address(bytes).is_some_and(|text| wanted(&text)),
        _ => false,
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    let six = || <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    four.or_else(|_| six()).ok()
}
