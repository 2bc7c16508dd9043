//! TLS towards servers outside: whose certificates are believed, under which names, and what is shown to them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::configuration::{lists, parts, provider, roots};
use crate::{Credential, IdentityError};

/// What a connection to a server outside is made with.
#[derive(Debug)]
pub struct Origin {
    /// Whose certificates are believed.
    pub believe: Believe,
    /// What those revoked, PEM. With it, whoever is on a list is refused, and whoever is on the list of no authority, too.
    pub revoked: Option<String>,
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
    /// Those of this authority of a mesh, in PEM, which name workloads and no hosts: without names every one of them.
    Workloads(String),
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
        revoked: None,
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
        Believe::Anyone => return Ok(Arc::new(Unverified { provider })),
        Believe::Pem(pem) | Believe::Workloads(pem) => roots(pem.as_bytes())?,
        Believe::System => system_roots()?,
    };
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(pem) = &origin.revoked {
        // A list that is over says nothing of who was revoked since.
        builder = builder
            .with_crls(lists(pem.as_bytes())?)
            .enforce_revocation_expiration();
    }
    let believed = builder.build();
    let believed = believed.map_err(|error| IdentityError::material("authorities", error))?;
    let workloads = matches!(origin.believe, Believe::Workloads(_));
    if origin.names.is_empty() && !workloads {
        return Ok(believed);
    }
    let names = origin.names.clone();
    Ok(Arc::new(Named { believed, names }))
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

/// Verifies a chain, and another name than that of the handshake.
#[derive(Debug)]
struct Named {
    believed: Arc<WebPkiServerVerifier>,
    /// The certificate must have one of these; empty is whatever it has.
    names: Vec<String>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let believed = &self.believed;
        let verified =
            believed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Ok(_) => {}
            // The chain was good: the name comes last, and is not the one that counts.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        match self.names.is_empty() || has_one_of(end_entity, &self.names) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let believed = &self.believed;
        believed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let believed = &self.believed;
        believed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.believed.supported_verify_schemes()
    }
}

/// Verifies nothing but the handshake's signature.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::tests::Site;

    fn verified(origin: &Origin, shown: &[u8]) -> Result<(), Error> {
        let verifier = verifier(origin).unwrap();
        let (shown, name) = (CertificateDer::from(shown), "asked.example");
        let name = ServerName::try_from(name).unwrap();
        let result = verifier.verify_server_cert(&shown, &[], &name, &[], UnixTime::now());
        result.map(|_| ())
    }

    #[test]
    fn who_is_on_a_list_is_refused_whichever_name_counts() {
        let site = Site::open();
        let (good, bad) = (site.leaf(7, "other.example"), site.leaf(8, "other.example"));
        let asked = site.leaf(9, "asked.example");
        let origin = |names: &[&str], revoked: Option<String>| Origin {
            believe: Believe::Pem(site.authority.pem()),
            revoked,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            credential: None,
            alpn: Vec::new(),
        };
        let list = || Some(site.revoked(8, 4000));
        let other = ["other.example"];
        for revoked in [None, list()] {
            assert!(verified(&origin(&other, revoked.clone()), good.der()).is_ok());
            assert!(verified(&origin(&other, revoked.clone()), asked.der()).is_err());
            assert!(verified(&origin(&[], revoked.clone()), asked.der()).is_ok());
            assert!(verified(&origin(&[], revoked), good.der()).is_err());
        }
        assert!(verified(&origin(&other, None), bad.der()).is_ok());
        let refused = verified(&origin(&other, list()), bad.der()).unwrap_err();
        assert_eq!(refused, CertificateError::Revoked.into());
        // A list that is over lets nobody pass, and what is none makes no configuration.
        let over = origin(&other, Some(site.revoked(8, 2025)));
        assert!(verified(&over, good.der()).is_err());
        assert!(verifier(&origin(&other, Some("none".to_owned()))).is_err());
        // Workloads have no names of hosts.
        let workloads = |names: &[&str]| Origin {
            believe: Believe::Workloads(site.authority.pem()),
            ..origin(names, None)
        };
        assert!(verified(&workloads(&[]), good.der()).is_ok());
        assert!(verified(&workloads(&["asked.example"]), good.der()).is_err());
        // Another authority's certificate is not believed for its name.
        let stranger = Site::open().leaf(7, "other.example");
        assert!(verified(&origin(&other, None), stranger.der()).is_err());
    }
}
