//! Trust before there is any: a server is believed because an authority with a known key signed its certificate.
//!
//! The pin is what kubeadm calls a discovery token CA certificate hash: `sha256:` and the hash of the authority's
//! SubjectPublicKeyInfo (<https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-join/>).

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::IdentityError;
use crate::configuration::provider;

/// The pin of an authority.
///
/// # Errors
/// [`IdentityError::Material`] when it is not a certificate.
pub fn pin(authority_pem: &str) -> Result<String, IdentityError> {
    let bad = |error: &dyn std::fmt::Display| IdentityError::material("authority", error);
    let first = CertificateDer::from_pem_slice(authority_pem.as_bytes());
    let first = first.map_err(|error| bad(&error))?;
    pin_of(&first).ok_or_else(|| bad(&"not a certificate"))
}

fn pin_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut pin = "sha256:".to_owned();
    for byte in Sha256::digest(parsed.public_key().raw) {
        // Writing to a text never fails.
        let _written = write!(pin, "{byte:02x}");
    }
    Some(pin)
}

/// The authority that a pinned handshake found.
#[derive(Clone, Debug, Default)]
pub struct Found(Arc<OnceLock<String>>);

impl Found {
    /// Its certificate, PEM, once a handshake succeeded.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// A client that believes a server whose chain ends in an authority with this pin.
///
/// # Errors
/// [`IdentityError::Material`] when the pin is not one.
pub fn pinned_config(pin: &str) -> Result<(Arc<ClientConfig>, Found), IdentityError> {
    let digits = pin.strip_prefix("sha256:").unwrap_or_default();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let reason = format!("{pin:?} is not `sha256:` and 64 hexadecimal digits");
        return Err(IdentityError::material("CA certificate hash", reason));
    }
    let found = Found::default();
    let verifier = Pinned {
        pin: pin.to_ascii_lowercase(),
        found: found.clone(),
    };
    let bad = |error: Error| IdentityError::material("client configuration", error);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((Arc::new(config), found))
}

#[derive(Debug)]
struct Pinned {
    pin: String,
    found: Found,
}

impl Pinned {
    /// The rules of an ordinary handshake, with the pinned authority as the only root.
    fn verifier(&self, authority: &CertificateDer<'_>) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let general = |error: &dyn std::fmt::Display| Error::General(error.to_string());
        let mut store = rustls::RootCertStore::empty();
        store.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| general(&error))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut shown = intermediates.iter();
        let authority = shown
            .find(|shown| pin_of(shown).as_deref() == Some(&*self.pin))
            .ok_or(CertificateError::UnknownIssuer)?;
        let verified = self.verifier(authority)?.verify_server_cert(
            end_entity,
            &[],
            server_name,
            ocsp_response,
            now,
        )?;
        let _first_wins = self.found.0.set(pem(authority));
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}
