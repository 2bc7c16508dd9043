//! TLS towards an upstream. The configurations are made in identity; here they are kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use osier_identity::{Believe, Credential, Origin, origin_config};
use osier_snapshot::{self as snapshot, Cluster, Origination, Revoked, Speaks, Trust};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::Failure;

/// What is shown to hosts that ask for a certificate, where their cluster says nothing of it; beside the request on its way to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The certificate and its key.
    pub credential: Arc<snapshot::Credential>,
    /// The authority of the mesh, PEM, if that is an identity there: what [`Trust::Mesh`] believes.
    pub authority: Option<Arc<str>>,
}

/// What of that counts for a cluster.
pub(crate) fn shown(cluster: &Cluster, beside: &Extensions) -> Option<Shown> {
    let tls = cluster.upstream.tls.as_ref()?;
    let shown = beside.get::<Shown>().filter(|_| tls.credential.is_none());
    shown.cloned()
}

/// How TLS is done by who shows this.
pub(crate) fn showing<'a>(tls: &'a Origination, shown: Option<&Shown>) -> Cow<'a, Origination> {
    let Some(shown) = shown else {
        return Cow::Borrowed(tls);
    };
    let trust = match (&tls.trust, &shown.authority) {
        (Trust::Mesh, Some(authority)) => Trust::Workloads(Arc::clone(authority)),
        (trust, _) => trust.clone(),
    };
    Cow::Owned(Origination {
        trust,
        credential: Some(snapshot::Credential::clone(&shown.credential)),
        ..tls.clone()
    })
}

/// Configurations that are kept.
const MOST: usize = 256;
/// How long one is used before its files are read again.
const FRESH: Duration = Duration::from_secs(60);

type Known = HashMap<(Origination, Speaks), (Arc<ClientConfig>, Instant)>;

/// The TLS configurations in use.
#[derive(Clone, Default)]
pub(crate) struct Secure {
    known: Arc<Mutex<Known>>,
}

impl Secure {
    /// Shakes hands; `host` is the name that the caller used. The caller bounds the time.
    pub(crate) async fn shake(
        &self,
        stream: TcpStream,
        tls: &Origination,
        speaks: Speaks,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let config = self.config(tls, speaks).await?;
        let name = tls.sni.as_deref().unwrap_or(host).trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| unusable(&format!("{name:?} is not a server name")))?;
        let shaken = TlsConnector::from(config).connect(name, stream).await;
        shaken.map_err(|error| unusable(&error.to_string()))
    }

    async fn config(
        &self,
        tls: &Origination,
        speaks: Speaks,
    ) -> Result<Arc<ClientConfig>, Failure> {
        let key = (tls.clone(), speaks);
        let known = self.known.lock().get(&key).cloned();
        if let Some((config, _)) = known.filter(|(_, since)| since.elapsed() < FRESH) {
            return Ok(config);
        }
        let origin = Origin {
            believe: believe(&tls.trust).await?,
            revoked: revoked(tls.revoked.as_ref()).await?,
            names: tls.names.iter().map(|name| name.to_string()).collect(),
            credential: credential(tls.credential.as_ref()).await?,
            alpn: alpn(speaks),
        };
        let config = origin_config(&origin).map_err(|error| unusable(&error.to_string()))?;
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (Arc::clone(&config), Instant::now()));
        Ok(config)
    }
}

async fn believe(trust: &Trust) -> Result<Believe, Failure> {
    Ok(match trust {
        Trust::System => Believe::System,
        Trust::File(path) => Believe::Pem(read(path).await?),
        Trust::Pem(pem) => Believe::Pem(pem.to_string()),
        Trust::Anyone => Believe::Anyone,
        Trust::Workloads(pem) => Believe::Workloads(pem.to_string()),
        Trust::Mesh => {
            return Err(unusable(
                "its DestinationRule asks for identities of the mesh (ISTIO_MUTUAL), and who calls has none here",
            ));
        }
        Trust::Nobody => {
            return Err(unusable(
                "its DestinationRule names credentials that are not there",
            ));
        }
    })
}

async fn revoked(lists: Option<&Revoked>) -> Result<Option<String>, Failure> {
    Ok(match lists {
        None => None,
        Some(Revoked::Pem(pem)) => Some(pem.to_string()),
        Some(Revoked::File(path)) => Some(read(path).await?),
    })
}

async fn credential(given: Option<&snapshot::Credential>) -> Result<Option<Credential>, Failure> {
    Ok(match given {
        None => None,
        Some(snapshot::Credential::Pem { certificate, key }) => Some(Credential {
            certificate_pem: certificate.to_string(),
            key_pem: key.to_string(),
        }),
        Some(snapshot::Credential::Files { certificate, key }) => Some(Credential {
            certificate_pem: read(certificate).await?,
            key_pem: read(key).await?,
        }),
    })
}

async fn read(path: &str) -> Result<String, Failure> {
    let text = tokio::fs::read_to_string(path).await;
    text.map_err(|error| unusable(&format!("{path}: {error}")))
}

fn alpn(speaks: Speaks) -> Vec<Vec<u8>> {
    let names: &[&[u8]] = match speaks {
        Speaks::Http1 => &[b"http/1.1"],
        Speaks::Http2 => &[b"h2"],
        Speaks::Negotiated => &[b"h2", b"http/1.1"],
    };
    names.iter().map(|name| name.to_vec()).collect()
}

fn unusable(reason: &str) -> Failure {
    Failure::Unreachable(format!("no TLS connection: {reason}").into())
}
