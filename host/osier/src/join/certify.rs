//! The data plane's certificates: asked for by CertificateSigningRequests, as everybody's are.

use osier_client::{CertificateRequest, Client, obtain_certificate};
use osier_identity::{Credential, Subject};
use osier_process::Boxed;
use osier_proxy::{Certified, Certify};

/// Signs certificates for calls between nodes.
const SIGNER: &str = "osier.dev/mesh";
/// Behind a node's name, what its certificates call it.
const DOMAIN: &str = "nodes.osier.internal";

/// Asks the API for certificates, as the node whose client it is.
pub(crate) struct ApiCertify {
    client: Client,
    node: String,
    authority_pem: String,
}

impl ApiCertify {
    /// As `node`, which trusts this authority.
    pub(crate) fn new(client: Client, node: &str, authority_pem: &str) -> Self {
        Self {
            client,
            node: node.to_owned(),
            authority_pem: authority_pem.to_owned(),
        }
    }
}

impl Certify for ApiCertify {
    fn certify(&self, spiffe: Option<&str>) -> Boxed<'static, Result<Certified, String>> {
        let subject = Subject {
            names: vec![format!("{}.{DOMAIN}", self.node)],
            spiffe: spiffe.map(ToOwned::to_owned),
            ..Subject::default()
        };
        let (client, authority_pem) = (self.client.clone(), self.authority_pem.clone());
        Box::pin(async move {
            let request = osier_identity::request(&subject).map_err(|error| error.to_string())?;
            let wanted = CertificateRequest {
                signer: SIGNER,
                prefix: "csr-mesh-",
                request_pem: &request.request_pem,
                seconds: None,
            };
            let certificate = obtain_certificate(&client, &wanted).await;
            Ok(Certified {
                authority_pem,
                credential: Credential {
                    certificate_pem: certificate.map_err(|error| error.to_string())?,
                    key_pem: request.key_pem,
                },
            })
        })
    }
}
