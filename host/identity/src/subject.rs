//! What a certificate says about its owner.

use crate::IdentityError;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

/// The owner of a certificate.
///
/// For the API, Kubernetes' reading holds: the common name is the user, the organizations are the groups
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// `CN`: the user, or the name of a node.
    pub common_name: String,
    /// `O`: the groups.
    pub organizations: Vec<String>,
    /// DNS names and IP addresses that a server answers to.
    pub names: Vec<String>,
    /// `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, for workloads.
    pub spiffe: Option<String>,
}

/// How the API server calls itself when it asks node agents, as kubeadm's clusters have it.
const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

impl Subject {
    /// The API server, as it asks node agents. Nobody else is ever certified by this name: requests for certificates are granted
    /// for names of nodes and for empty ones only.
    #[must_use]
    pub fn kubelet_client() -> Self {
        Self {
            common_name: KUBELET_CLIENT.to_owned(),
            ..Self::default()
        }
    }

    /// Whether the API server calls.
    #[must_use]
    pub fn is_kubelet_client(&self) -> bool {
        self.common_name == KUBELET_CLIENT
    }
}

/// From when to when a certificate holds, in seconds since 1970.
///
/// # Errors
/// [`IdentityError::Material`] when the PEM text is not an X.509 certificate.
pub fn validity(certificate_pem: &str) -> Result<(i64, i64), IdentityError> {
    let bad = |error: &dyn std::fmt::Display| IdentityError::material("certificate", error);
    let parsed = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes());
    let (_, pem) = parsed.map_err(|error| bad(&error))?;
    let certificate = pem.parse_x509().map_err(|error| bad(&error))?;
    let validity = certificate.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Reads the owner out of a certificate that TLS has already verified.
///
/// # Errors
/// [`IdentityError::Material`] when the bytes are not an X.509 certificate.
pub fn subject(certificate: &CertificateDer<'_>) -> Result<Subject, IdentityError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| IdentityError::material("peer certificate", error))?;
    let mut found = Subject {
        common_name: parsed
            .subject()
            .iter_common_name()
            .next()
            .map(text)
            .unwrap_or_default(),
        organizations: parsed.subject().iter_organization().map(text).collect(),
        ..Subject::default()
    };
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            match name {
                GeneralName::DNSName(name) => found.names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => found.names.extend(address(bytes)),
                GeneralName::URI(uri) if uri.starts_with("spiffe://") => {
                    found.spiffe = Some((*uri).to_owned())
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// An attribute of a name, empty if it is no text.
pub(crate) fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    attribute.as_str().unwrap_or("").to_owned()
}

pub(crate) fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
}
