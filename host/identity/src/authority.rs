//! The cluster's own certificate authority: one key pair on disk that signs every identity.

use crate::request::params;
use crate::{IdentityError, Subject};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData,
};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

const AUTHORITY_LIFE: Duration = Duration::days(3650);
const CREDENTIAL_LIFE: Duration = Duration::days(365);
/// Certificates begin a little in the past, for peers whose clock is behind.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Credential {
    /// The certificate, for everybody to see.
    pub certificate_pem: String,
    /// The private key (PKCS#8).
    pub key_pem: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("key_pem", &"(secret)")
            .finish_non_exhaustive()
    }
}

/// The key that signs. `ca.crt` and `ca.key` lie in its directory; the key is readable by the owner only.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the authority in `directory`, or makes one when neither of its files is there.
    ///
    /// # Errors
    /// [`IdentityError::File`] when the directory cannot be used; [`IdentityError::Authority`] when one file is
    /// missing or the two do not belong together: a new authority is never made over an old one.
    pub fn open(directory: &Path) -> Result<Self, IdentityError> {
        let files = Files::new(directory);
        match (files.certificate.exists(), files.key.exists()) {
            (false, false) => Self::create(directory, &files),
            (true, true) => Self::load(&files),
            (true, false) => Err(IdentityError::Authority {
                path: files.key,
                reason: "is missing".to_owned(),
            }),
            (false, true) => Err(IdentityError::Authority {
                path: files.certificate,
                reason: "is missing".to_owned(),
            }),
        }
    }

    /// The authority's own certificate, which peers trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Issues a certificate with a new key for one year.
    ///
    /// # Errors
    /// [`IdentityError::Material`] when a name of the subject cannot stand in a certificate.
    pub fn issue(&self, subject: &Subject) -> Result<Credential, IdentityError> {
        let bad = |error| IdentityError::material("certificate to issue", error);
        let mut params = params(subject)?;
        validity(&mut params, CREDENTIAL_LIFE);
        let key = KeyPair::generate().map_err(bad)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(bad)?;
        Ok(Credential {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Certifies the key of a request for `life`, and that its owner is `subject`: what the request itself says of its owner is
    /// for the caller to judge, never taken over.
    ///
    /// # Errors
    /// [`IdentityError::Material`] when the request cannot be read or its signature is wrong.
    pub fn certify(
        &self,
        request_pem: &str,
        subject: &Subject,
        life: std::time::Duration,
    ) -> Result<String, IdentityError> {
        let bad = |error| IdentityError::material("certificate request", error);
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).map_err(bad)?;
        request.params = params(subject)?;
        let life = Duration::try_from(life).unwrap_or(CREDENTIAL_LIFE);
        validity(&mut request.params, life.min(CREDENTIAL_LIFE));
        Ok(request.signed_by(&self.issuer).map_err(bad)?.pem())
    }

    fn create(directory: &Path, files: &Files) -> Result<Self, IdentityError> {
        let bad = |error| IdentityError::material("certificate authority", error);
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "osier-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        validity(&mut params, AUTHORITY_LIFE);
        let key = KeyPair::generate().map_err(bad)?;
        let certificate_pem = params.self_signed(&key).map_err(bad)?.pem();
        make(directory)?;
        // The key first: a crash between the two leaves a key without certificate, which `open` reports.
        write(&files.key, &key.serialize_pem(), 0o600)?;
        write(&files.certificate, &certificate_pem, 0o644)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem,
        })
    }

    fn load(files: &Files) -> Result<Self, IdentityError> {
        let certificate_pem = read(&files.certificate)?;
        let wrong = |path: &Path| {
            let path = path.to_path_buf();
            move |error: rcgen::Error| IdentityError::Authority {
                path,
                reason: error.to_string(),
            }
        };
        let key = KeyPair::from_pem(&read(&files.key)?).map_err(wrong(&files.key))?;
        if !certifies(&certificate_pem, &key) {
            let reason = "does not belong to the private key beside it".to_owned();
            return Err(IdentityError::Authority {
                path: files.certificate.clone(),
                reason,
            });
        }
        let issuer =
            Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(wrong(&files.certificate))?;
        Ok(Self {
            certificate_pem,
            issuer,
        })
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(directory: &Path) -> Self {
        Self {
            certificate: directory.join("ca.crt"),
            key: directory.join("ca.key"),
        }
    }
}

fn validity(params: &mut CertificateParams, life: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + life;
}

fn certifies(certificate_pem: &str, key: &KeyPair) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()) else {
        return false;
    };
    pem.parse_x509()
        .is_ok_and(|parsed| parsed.public_key().raw == key.subject_public_key_info())
}

fn file(path: &Path, error: &std::io::Error) -> IdentityError {
    let remedy = "make the data directory readable and writable for this user, or name another with --data-dir";
    IdentityError::File {
        path: path.to_path_buf(),
        reason: error.to_string(),
        remedy,
    }
}

/// Makes the directory of keys.
pub(crate) fn make(directory: &Path) -> Result<(), IdentityError> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|error| file(directory, &error))
}

pub(crate) fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|error| file(path, &error))
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let mut opened = opened.map_err(|error| file(path, &error))?;
    opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_all())
        .map_err(|error| file(path, &error))
}
