//! Requests to be certified (PKCS#10, RFC 2986): made where the key lives, read and signed where the authority is.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use crate::subject::{address, text};
use crate::{IdentityError, Subject};

/// A request, and the key that it is about. The key never leaves whoever made it.
pub struct Request {
    /// The private key (PKCS#8, PEM).
    pub key_pem: String,
    /// The request (PEM).
    pub request_pem: String,
}

/// Makes a key and asks for a certificate that says this.
///
/// # Errors
/// [`IdentityError::Material`] when a name of the subject cannot stand in a certificate.
pub fn request(subject: &Subject) -> Result<Request, IdentityError> {
    let bad = |error: rcgen::Error| IdentityError::material("certificate request", error);
    let params = params(subject)?;
    let key = KeyPair::generate().map_err(bad)?;
    let request = params.serialize_request(&key).map_err(bad)?;
    Ok(Request {
        key_pem: key.serialize_pem(),
        request_pem: request.pem().map_err(bad)?,
    })
}

/// What a certificate for the subject says; valid for no time yet.
pub(crate) fn params(subject: &Subject) -> Result<CertificateParams, IdentityError> {
    let bad = |error| IdentityError::material("certificate subject", error);
    let mut params = CertificateParams::new(subject.names.clone()).map_err(bad)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let common_name = subject.common_name.as_str();
    if !common_name.is_empty() {
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, common_name);
    }
    for organization in &subject.organizations {
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, organization.as_str());
    }
    if let Some(spiffe) = &subject.spiffe {
        let uri = spiffe.as_str().try_into().map_err(bad)?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    usages(&mut params);
    Ok(params)
}

/// What every certificate may be used for: both ends of a connection show one.
fn usages(params: &mut CertificateParams) {
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
}

/// Reads whom a request is about. Its signature is verified: whoever made it has the key.
///
/// # Errors
/// [`IdentityError::Material`] when it cannot be read, or asks for what is never given (to be an authority).
pub fn requested(request_pem: &str) -> Result<Subject, IdentityError> {
    let bad = |error: &dyn std::fmt::Display| IdentityError::material("certificate request", error);
    // Verifies the signature, and knows which extensions there may be.
    let checked =
        CertificateSigningRequestParams::from_pem(request_pem).map_err(|error| bad(&error))?;
    if checked.params.is_ca != rcgen::IsCa::NoCa
        && checked.params.is_ca != rcgen::IsCa::ExplicitNoCa
    {
        return Err(bad(&"it asks to be an authority"));
    }
    let (_, pem) = parse_x509_pem(request_pem.as_bytes()).map_err(|error| bad(&error))?;
    let (_, parsed) =
        X509CertificationRequest::from_der(&pem.contents).map_err(|error| bad(&error))?;
    let name = &parsed.certification_request_info.subject;
    let mut found = Subject {
        common_name: name.iter_common_name().next().map(text).unwrap_or_default(),
        organizations: name.iter_organization().map(text).collect(),
        ..Subject::default()
    };
    for extension in parsed.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension {
            for name in &names.general_names {
                take(&mut found, name)?;
            }
        }
    }
    Ok(found)
}

fn take(found: &mut Subject, name: &GeneralName<'_>) -> Result<(), IdentityError> {
    let refuse = |what: String| {
        IdentityError::material("certificate request", format!("{what} is not certified"))
    };
    match name {
        GeneralName::DNSName(name) => found.names.push((*name).to_owned()),
        GeneralName::IPAddress(bytes) => found.names.extend(address(bytes)),
        GeneralName::URI(uri) if uri.starts_with("spiffe://") && found.spiffe.is_none() => {
            found.spiffe = Some((*uri).to_owned());
        }
        other => return Err(refuse(format!("{other}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Authority, validity};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::time::Duration;

    fn workload() -> Subject {
        Subject {
            names: vec!["b.nodes.osier.internal".to_owned()],
            spiffe: Some("spiffe://cluster.local/ns/shop/sa/web".to_owned()),
            ..Subject::default()
        }
    }

    #[test]
    fn a_request_says_what_was_asked_for() {
        for subject in [
            workload(),
            Subject {
                common_name: "system:node:b".to_owned(),
                organizations: vec!["system:nodes".to_owned()],
                ..Subject::default()
            },
        ] {
            let made = request(&subject).unwrap();
            assert_eq!(requested(&made.request_pem).unwrap(), subject);
        }
    }

    #[test]
    fn a_request_that_was_changed_or_asks_to_be_an_authority_is_refused() {
        let made = request(&workload()).unwrap();
        let (_, pem) = parse_x509_pem(made.request_pem.as_bytes()).unwrap();
        let mut bytes = pem.contents;
        let name = bytes.windows(3).position(|part| part == b"web").unwrap();
        bytes[name] = b'v';
        let changed = CertificateSigningRequestParams::from_der(&bytes.as_slice().into());
        assert!(changed.is_err());
        let mut params = params(&workload()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        assert!(
            requested(&pem)
                .unwrap_err()
                .to_string()
                .contains("authority")
        );
    }

    #[test]
    fn a_certificate_says_what_the_signer_says_for_as_long_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let asked = Subject {
            common_name: "admin".to_owned(),
            organizations: vec!["system:masters".to_owned()],
            ..Subject::default()
        };
        let made = request(&asked).unwrap();
        let life = Duration::from_secs(600);
        let signed = authority
            .certify(&made.request_pem, &workload(), life)
            .unwrap();
        let der = CertificateDer::from_pem_slice(signed.as_bytes()).unwrap();
        assert_eq!(crate::subject(&der).unwrap(), workload());
        let (begin, end) = validity(&signed).unwrap();
        assert_eq!(
            end - begin,
            600 + 300,
            "with room for clocks that are behind"
        );
    }
}
