//! Clients that prove themselves at a gateway: whose certificates are believed, and which of those are taken.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::IdentityError;
use crate::configuration::{lists, provider, roots};
use crate::origin::has_one_of;

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug)]
pub enum Clients<'a> {
    /// They are not asked.
    Anonymous,
    /// They may; what they show is verified.
    MayProve(Proof<'a>),
    /// They must.
    MustProve(Proof<'a>),
}

/// What a client's certificate is verified against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof<'a> {
    /// The authorities that are believed, PEM.
    pub authorities: &'a [u8],
    /// What they revoked, PEM. With it, whoever is on a list is refused, and whoever is on the list of no authority, too.
    pub revoked: Option<&'a [u8]>,
    /// Subject alternative names, of which one is needed unless there are none.
    pub names: &'a [Arc<str>],
    /// SHA-256 of certificates in hexadecimal digits, with or without colons.
    pub certificates: &'a [Arc<str>],
    /// SHA-256 of public keys in base64. Where certificates or keys are named, the client's must be one of them.
    pub keys: &'a [Arc<str>],
}

impl Clients<'_> {
    pub(crate) fn verifier(self) -> Result<Option<Arc<dyn ClientCertVerifier>>, IdentityError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::MayProve(proof) => verifier(proof, true).map(Some),
            Self::MustProve(proof) => verifier(proof, false).map(Some),
        }
    }
}

fn verifier(
    proof: Proof<'_>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    let authorities = Arc::new(roots(proof.authorities)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(authorities, provider());
    if let Some(pem) = proof.revoked {
        // A list that is over says nothing of who was revoked since.
        builder = builder
            .with_crls(lists(pem)?)
            .enforce_revocation_expiration();
    }
    if optional {
        builder = builder.allow_unauthenticated();
    }
    let believed = builder.build();
    let believed = believed.map_err(|error| IdentityError::material("authority", error))?;
    let known = Known::of(proof);
    Ok(match known.takes_all() {
        true => believed,
        false => Arc::new(Narrowed { believed, known }),
    })
}

/// Which certificates are taken.
#[derive(Debug)]
struct Known {
    names: Vec<String>,
    /// Hexadecimal, lower case, without colons.
    certificates: Vec<String>,
    keys: Vec<String>,
}

impl Known {
    fn of(proof: Proof<'_>) -> Self {
        let texts = |all: &[Arc<str>]| all.iter().map(|text| text.trim().to_owned()).collect();
        let plain = |text: &Arc<str>| text.replace([':', ' '], "").to_ascii_lowercase();
        Self {
            names: texts(proof.names),
            certificates: proof.certificates.iter().map(plain).collect(),
            keys: texts(proof.keys),
        }
    }

    fn takes_all(&self) -> bool {
        self.names.is_empty() && self.certificates.is_empty() && self.keys.is_empty()
    }

    fn takes(&self, shown: &CertificateDer<'_>) -> bool {
        let named = self.names.is_empty() || has_one_of(shown, &self.names);
        let any = self.certificates.is_empty() && self.keys.is_empty();
        named && (any || self.certificates.contains(&print(shown)) || self.has_key_of(shown))
    }

    fn has_key_of(&self, shown: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(shown) else {
            return false;
        };
        let hash = digest(&SHA256, certificate.public_key().raw);
        self.keys.contains(&STANDARD.encode(hash))
    }
}

fn print(certificate: &[u8]) -> String {
    let hash = digest(&SHA256, certificate);
    let digits = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Takes fewer than are believed.
#[derive(Debug)]
struct Narrowed {
    believed: Arc<dyn ClientCertVerifier>,
    known: Known,
}

impl ClientCertVerifier for Narrowed {
    fn offer_client_auth(&self) -> bool {
        self.believed.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.believed.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.believed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .believed
            .verify_client_cert(end_entity, intermediates, now)?;
        match self.known.takes(end_entity) {
            true => Ok(verified),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.believed
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.believed.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::tests::Site;
    use rcgen::Certificate;

    fn takes(proof: Proof<'_>, client: &Certificate) -> bool {
        let verifier = Clients::MustProve(proof).verifier().unwrap().unwrap();
        let now = UnixTime::now();
        verifier.verify_client_cert(client.der(), &[], now).is_ok()
    }

    #[test]
    fn who_is_on_a_list_is_refused_and_a_list_that_is_over_lets_nobody_pass() {
        let site = Site::open();
        let pem = site.authority.pem();
        let (good, bad) = (site.leaf(7, "good"), site.leaf(8, "bad"));
        let proof = |revoked| Proof {
            authorities: pem.as_bytes(),
            revoked,
            ..Proof::default()
        };
        assert!(takes(proof(None), &good) && takes(proof(None), &bad));
        let list = site.revoked(8, 4000);
        assert!(takes(proof(Some(list.as_bytes())), &good));
        assert!(!takes(proof(Some(list.as_bytes())), &bad));
        let over = site.revoked(8, 2025);
        assert!(!takes(proof(Some(over.as_bytes())), &good));
        let unread = Clients::MustProve(proof(Some(b"none"))).verifier();
        assert!(unread.unwrap_err().to_string().contains("X509 CRL"));
    }

    #[test]
    fn names_and_hashes_choose_among_the_believed() {
        let site = Site::open();
        let pem = site.authority.pem();
        let (one, other) = (site.leaf(1, "one.example"), site.leaf(2, "other.example"));
        let (names, hash) = (["one.example".into()], [print(one.der()).into()]);
        let (_, parsed) = X509Certificate::from_der(one.der()).unwrap();
        let keys = [STANDARD
            .encode(digest(&SHA256, parsed.public_key().raw))
            .into()];
        let proof = Proof {
            authorities: pem.as_bytes(),
            ..Proof::default()
        };
        for proof in [
            Proof {
                names: &names,
                ..proof
            },
            Proof {
                certificates: &hash,
                ..proof
            },
            Proof {
                keys: &keys,
                ..proof
            },
        ] {
            assert!(takes(proof, &one) && !takes(proof, &other), "{proof:?}");
        }
    }
}
