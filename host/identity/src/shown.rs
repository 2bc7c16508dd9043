//! A verified client certificate in the words of Envoy's `x-forwarded-client-cert`
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert>).

use crate::IdentityError;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// `Hash=…;Subject="…";URI=…;DNS=…` of a certificate that TLS has already verified.
///
/// # Errors
/// [`IdentityError::Material`] when the bytes are not an X.509 certificate.
pub fn forwarded_client_cert(certificate: &CertificateDer<'_>) -> Result<String, IdentityError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| IdentityError::material("peer certificate", error))?;
    let mut text = String::from("Hash=");
    for byte in Sha256::digest(certificate) {
        // Writing into a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text.push_str(";Subject=");
    quoted(&mut text, &distinguished_name(&parsed));
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            let (key, value) = match name {
                GeneralName::URI(uri) => (";URI=", *uri),
                GeneralName::DNSName(name) => (";DNS=", *name),
                _ => continue,
            };
            text.push_str(key);
            if value.contains([',', ';', '=', '"']) {
                quoted(&mut text, value);
            } else {
                text.push_str(value);
            }
        }
    }
    Ok(text)
}

fn quoted(text: &mut String, value: &str) {
    text.push('"');
    text.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
    text.push('"');
}

/// RFC 2253: the most specific part first.
fn distinguished_name(certificate: &X509Certificate<'_>) -> String {
    let attributes: Vec<_> = certificate.subject().iter_attributes().collect();
    let written = attributes.iter().rev().map(|attribute| {
        let oid = attribute.attr_type();
        let name = oid2abbrev(oid, oid_registry());
        let name = name.map_or_else(|_| oid.to_id_string(), ToOwned::to_owned);
        format!("{name}={}", attribute.as_str().unwrap_or_default())
    });
    written.collect::<Vec<_>>().join(",")
}
