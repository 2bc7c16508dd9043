//! One request to one host: a connection, TLS unless the host may go without, and the bounds in time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use http::{Request, Response, Uri};
use hyper::client::conn::http1;
use osier_identity::system_config;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_process::dialled;
use osier_process::serve::Stream;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::Fault;

/// A connection must stand after this long.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer must have begun after this long. An upload is answered when it is stored.
const ANSWER: Duration = Duration::from_secs(120);
/// The next bytes of an answer must come within this time.
const STALL: Duration = Duration::from_secs(30);

/// How hosts are reached.
pub(crate) struct Wire {
    /// Hosts that are spoken to without TLS, because a person named them.
    pub(crate) insecure: BTreeSet<String>,
    pub(crate) tls: OnceCell<Arc<ClientConfig>>,
    pub(crate) tasks: Tasks,
}

impl Wire {
    /// The URL of a path on a host.
    pub(crate) fn url(&self, host: &str, path: &str) -> Result<Uri, Fault> {
        let scheme = if self.insecure.contains(host) {
            "http"
        } else {
            "https"
        };
        // Docker Hub's API has another name than its images.
        let host = if host == "docker.io" {
            "registry-1.docker.io"
        } else {
            host
        };
        let url = format!("{scheme}://{host}{path}");
        url.parse()
            .map_err(|_| Fault::Broken(format!("{url} is not a URL")))
    }

    /// Sends a request with an absolute URL.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let uri = request.uri().clone();
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let reached = tokio::time::timeout(CONNECT, self.connect(&uri, host)).await;
        let mut sender = reached.map_err(|_| Fault::Unreachable {
            registry: host.to_owned(),
            reason: format!("no connection after {} s", CONNECT.as_secs()),
        })??;
        let (mut head, body) = request.into_parts();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path
            .parse()
            .map_err(|_| Fault::Broken(format!("{path} is not a path")))?;
        head.headers.insert(
            http::header::HOST,
            host.parse()
                .map_err(|_| Fault::Broken(format!("{host} is not a host")))?,
        );
        let sent = sender.send_request(Request::from_parts(head, body));
        let answer = tokio::time::timeout(ANSWER, sent)
            .await
            .map_err(|_| Fault::Timeout {
                seconds: ANSWER.as_secs(),
            })?;
        let answer = answer.map_err(|error| Fault::Broken(error.to_string()))?;
        Ok(answer.map(body::from_incoming))
    }

    async fn connect(&self, uri: &Uri, registry: &str) -> Result<http1::SendRequest<Body>, Fault> {
        let secure = uri.scheme() != Some(&Scheme::HTTP);
        if !secure && !self.insecure.contains(registry) {
            return Err(Fault::Tls {
                registry: registry.to_owned(),
                reason: "it leads to plain HTTP".to_owned(),
            });
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(|error| Fault::Unreachable {
            registry: registry.to_owned(),
            reason: error.to_string(),
        })?;
        if !secure {
            return self.spoken(tcp).await;
        }
        let failed = |reason: String| Fault::Tls {
            registry: registry.to_owned(),
            reason,
        };
        let config = self.tls.get_or_try_init(trusted).await.map_err(failed)?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let tls = connecting
            .await
            .map_err(|error| failed(error.to_string()))?;
        self.spoken(tls).await
    }

    async fn spoken<S: Stream + 'static>(
        &self,
        stream: S,
    ) -> Result<http1::SendRequest<Body>, Fault> {
        let spoken = dialled::http1(stream, &self.tasks, "registry-connection").await;
        spoken.map_err(|error| Fault::Broken(error.to_string()))
    }
}

/// The machine's own authorities, read when they are first needed.
async fn trusted() -> Result<Arc<ClientConfig>, String> {
    system_config(&[b"http/1.1"]).map_err(|error| error.to_string())
}

/// The bytes of an answer, at most `limit`, each part within its time. `seen` hears how many there are.
pub(crate) async fn read(
    mut body: Body,
    (what, limit): (&'static str, u64),
    seen: &(dyn Fn(u64) + Sync),
) -> Result<bytes::Bytes, Fault> {
    use http_body_util::BodyExt as _;
    let mut whole = bytes::BytesMut::new();
    loop {
        let frame = tokio::time::timeout(STALL, body.frame()).await;
        let frame = frame.map_err(|_| Fault::Timeout {
            seconds: STALL.as_secs(),
        })?;
        let Some(frame) = frame else {
            return Ok(whole.freeze());
        };
        let frame = frame.map_err(|error| Fault::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if (whole.len() + data.len()) as u64 > limit {
            return Err(Fault::TooLarge { what, limit });
        }
        whole.extend_from_slice(&data);
        seen(whole.len() as u64);
    }
}
