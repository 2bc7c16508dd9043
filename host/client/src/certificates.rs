//! Asks for a certificate by a CertificateSigningRequest and waits until it is signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::Object;
use osier_api::resources::CERTIFICATE_SIGNING_REQUESTS;
use serde_json::json;

use crate::client::Client;
use crate::error::ClientError;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest<'a> {
    /// Who is to sign.
    pub signer: &'a str,
    /// What the object's name begins with.
    pub prefix: &'a str,
    /// The request (PKCS#10, PEM).
    pub request_pem: &'a str,
    /// How long the certificate is to hold; as long as the signer likes if absent.
    pub seconds: Option<u64>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The API did not take the request, or could not be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It was refused.
    #[error("certificate request {name} was refused: {reason}")]
    Denied {
        /// The request.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nobody signed it.
    #[error(
        "certificate request {name} was not signed within {seconds} s; `kubectl get csr {name}` shows it"
    )]
    Late {
        /// The request.
        name: String,
        /// How long was waited.
        seconds: u64,
    },
    /// What was signed is no text.
    #[error("certificate request {name} was answered with what is no PEM text")]
    Unreadable {
        /// The request.
        name: String,
    },
}

/// A request is looked at this often, and given up after the second time.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// The certificate (PEM) for a request.
///
/// # Errors
/// See [`CertificateError`].
pub async fn obtain_certificate(
    client: &Client,
    wanted: &CertificateRequest<'_>,
) -> Result<String, CertificateError> {
    let mut object = Object::new(&CERTIFICATE_SIGNING_REQUESTS, "", "");
    object.set(&["metadata"], json!({"generateName": wanted.prefix}));
    let mut spec = json!({
        "request": STANDARD.encode(wanted.request_pem),
        "signerName": wanted.signer,
        "usages": ["digital signature", "client auth"],
    });
    if let Some(seconds) = wanted.seconds {
        spec["expirationSeconds"] = seconds.into();
    }
    object.set(&["spec"], spec);
    let created = client
        .create(&CERTIFICATE_SIGNING_REQUESTS, &object)
        .await?;
    let name = created.name().to_owned();
    let signed = tokio::time::timeout(PATIENCE, signed(client, &name)).await;
    signed.unwrap_or(Err(CertificateError::Late {
        name,
        seconds: PATIENCE.as_secs(),
    }))
}

async fn signed(client: &Client, name: &str) -> Result<String, CertificateError> {
    loop {
        let object = client.get(&CERTIFICATE_SIGNING_REQUESTS, "", name).await?;
        let certificate = object.text(&["status", "certificate"]);
        if !certificate.is_empty() {
            let decoded = STANDARD.decode(certificate).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let name = name.to_owned();
            return text.ok_or(CertificateError::Unreadable { name });
        }
        if let Some(reason) = refused(&object) {
            let name = name.to_owned();
            return Err(CertificateError::Denied { name, reason });
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn refused(object: &Object) -> Option<String> {
    let conditions = object.get(&["status", "conditions"])?.as_array()?;
    let mut all = conditions.iter();
    let refusal = all.find(|one| one["type"] == "Denied" || one["type"] == "Failed")?;
    let words = |key: &str| refusal[key].as_str().unwrap_or_default();
    Some(match words("message") {
        "" => words("reason").to_owned(),
        message => message.to_owned(),
    })
}
