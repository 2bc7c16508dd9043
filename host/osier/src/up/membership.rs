//! How a machine becomes a member of a cluster, and stays one: a token buys a certificate, which buys the next one.

use super::directory::DataDirectory;
use crate::configuration::Joined;
use crate::exit::Failure;
use anyhow::{Context as _, anyhow};
use osier_client::{CertificateRequest, Client, Https, obtain_certificate};
use osier_identity::{Credential, Subject};
use osier_process::{Tasks, clock};
use std::sync::Arc;
use std::time::Duration;

/// Signs the certificates with which nodes speak to the API.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Files under `pki/`.
const AUTHORITY: &str = "pki/ca.crt";
const CERTIFICATE: &str = "pki/node.crt";
const KEY: &str = "pki/node.key";
/// A renewal that failed is tried again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// No wait is longer: clocks are set, machines sleep.
const LOOK: Duration = Duration::from_secs(3600);

/// What a member has.
pub(super) struct Membership {
    /// Whom it trusts, PEM.
    pub(super) authority_pem: String,
    /// What it shows.
    pub(super) credential: Credential,
}

impl Membership {
    /// The membership in the data directory, or a new one.
    pub(super) async fn open(
        settings: &Joined,
        data: &DataDirectory,
        tasks: &Tasks,
    ) -> Result<Self, Failure> {
        match Self::read(data) {
            Some(member) if member.left() > Duration::ZERO => Ok(member),
            _ => Ok(Self::join(settings, data, tasks).await?),
        }
    }

    fn read(data: &DataDirectory) -> Option<Self> {
        let file = |name: &str| std::fs::read_to_string(data.join(name)).ok();
        Some(Self {
            authority_pem: file(AUTHORITY)?,
            credential: Credential {
                certificate_pem: file(CERTIFICATE)?,
                key_pem: file(KEY)?,
            },
        })
    }

    /// How long the certificate holds from now.
    fn left(&self) -> Duration {
        let validity = osier_identity::validity(&self.credential.certificate_pem);
        let seconds = validity.map_or(0, |(_, end)| end - clock::now().as_second());
        Duration::from_secs(seconds.try_into().unwrap_or(0))
    }

    /// How long until two thirds of its life are over.
    fn renewal(&self) -> Duration {
        let validity = osier_identity::validity(&self.credential.certificate_pem);
        let (begin, end) = validity.unwrap_or_default();
        let due = begin + (end - begin) * 2 / 3 - clock::now().as_second();
        Duration::from_secs(due.try_into().unwrap_or(0))
    }

    async fn join(settings: &Joined, data: &DataDirectory, tasks: &Tasks) -> anyhow::Result<Self> {
        let (Some(token), Some(pin)) = (&settings.token, &settings.pin) else {
            return Err(anyhow!(
                "this machine has no certificate of the cluster yet: give --token and --ca-cert-hash; `osier token create` on the control plane prints the whole command"
            ));
        };
        let (config, found) = osier_identity::pinned_config(pin).context("--ca-cert-hash")?;
        let https = Https::new(&settings.server, config, tasks.clone())?.with_token(token);
        let client = Client::new(Arc::new(https));
        let what = || {
            format!(
                "node {} could not join {}",
                settings.node_name, settings.server
            )
        };
        let (credential, authority_pem) = async {
            let credential = certified(&client, &settings.node_name).await?;
            let authority = found
                .authority_pem()
                .context("the server showed no authority")?;
            anyhow::Ok((credential, authority.to_owned()))
        }
        .await
        .with_context(what)?;
        let member = Self {
            authority_pem,
            credential,
        };
        member.write(data)?;
        tracing::info!(
            node = settings.node_name,
            server = settings.server,
            "joined"
        );
        Ok(member)
    }

    fn write(&self, data: &DataDirectory) -> Result<(), Failure> {
        data.write_secret(AUTHORITY, &self.authority_pem)?;
        data.write_secret(KEY, &self.credential.key_pem)?;
        data.write_secret(CERTIFICATE, &self.credential.certificate_pem)
    }
}

/// A certificate for a key that was just made.
async fn certified(client: &Client, node: &str) -> anyhow::Result<Credential> {
    let request = osier_identity::request(&Subject {
        common_name: format!("system:node:{node}"),
        organizations: vec!["system:nodes".to_owned()],
        ..Subject::default()
    })?;
    let wanted = CertificateRequest {
        signer: SIGNER,
        prefix: "csr-node-",
        request_pem: &request.request_pem,
        seconds: None,
    };
    Ok(Credential {
        certificate_pem: obtain_certificate(client, &wanted).await?,
        key_pem: request.key_pem,
    })
}

/// Renews the certificate before it ends, until the tasks stop.
pub(super) async fn renew(
    mut member: Membership,
    (https, node): (Https, String),
    data: Arc<DataDirectory>,
) {
    let client = Client::new(Arc::new(https.clone()));
    loop {
        let due = member.renewal();
        if due > Duration::ZERO {
            tokio::time::sleep(due.min(LOOK)).await;
            continue;
        }
        match renewed(&client, &https, (&mut member, &node), &data).await {
            Ok(()) => tracing::info!(node, "the node's certificate was renewed"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    node,
                    "the node's certificate could not be renewed; it will be tried again"
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn renewed(
    client: &Client,
    https: &Https,
    (member, node): (&mut Membership, &str),
    data: &DataDirectory,
) -> anyhow::Result<()> {
    member.credential = certified(client, node).await?;
    let config = osier_identity::client_config(&member.authority_pem, Some(&member.credential))?;
    https.reconfigure(config).await;
    Ok(member.write(data)?)
}
