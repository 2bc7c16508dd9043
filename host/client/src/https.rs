//! The transport over the wire: one HTTP/2 connection over TLS, shared by all requests, made again
//! when it breaks. Pings find a dead peer, so that a watch never hangs on a cable that was cut.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use osier_identity::{Credential, client_config};
use osier_process::body::{self, Body};
use osier_process::{Boxed, Tasks};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::TransportError;
use crate::kubeconfig::Kubeconfig;
use crate::transport::Transport;

/// A connection must stand after this long.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer must have begun after this long; a watch answers at once and then streams.
const ANSWER: Duration = Duration::from_secs(60);
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A transport to an API server that listens with TLS.
pub struct Https {
    shared: Arc<Shared>,
}

struct Shared {
    authority: Authority,
    config: parking_lot::Mutex<Arc<ClientConfig>>,
    /// Sent with every request, for who has no certificate yet.
    authorization: Option<HeaderValue>,
    connection: Mutex<Option<SendRequest<Body>>>,
    tasks: Tasks,
}

impl Clone for Https {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Https")
            .field("server", &self.shared.authority)
            .finish_non_exhaustive()
    }
}

impl Https {
    /// A transport to `server` (`https://host:port`); connects when first used.
    pub fn new(
        server: &str,
        config: Arc<ClientConfig>,
        tasks: Tasks,
    ) -> Result<Self, TransportError> {
        let refuse = |reason: &str| TransportError::Connect {
            server: server.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = server
            .parse()
            .map_err(|_| refuse("the server is not a URL"))?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(refuse("the server's URL must start with https://"));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| refuse("the server's URL names no host"))?;
        let shared = Shared {
            authority: authority.clone(),
            config: parking_lot::Mutex::new(config),
            authorization: None,
            connection: Mutex::new(None),
            tasks,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The same, with a token in every request.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        let shared = Arc::try_unwrap(self.shared).map(|shared| Shared {
            authorization: HeaderValue::try_from(format!("Bearer {token}")).ok(),
            ..shared
        });
        Self {
            shared: shared.map_or_else(|shared| shared, Arc::new),
        }
    }

    /// Connections from now on are made with this configuration, such as one with a newer certificate; requests under way end on
    /// the one before.
    pub async fn reconfigure(&self, config: Arc<ClientConfig>) {
        *self.shared.config.lock() = config;
        self.shared.connection.lock().await.take();
    }

    /// A transport to the server of a kubeconfig, as its user.
    pub fn from_kubeconfig(kubeconfig: &Kubeconfig, tasks: Tasks) -> Result<Self, TransportError> {
        let credential = kubeconfig
            .certificate
            .as_ref()
            .map(|(certificate, key)| Credential {
                certificate_pem: certificate.clone(),
                key_pem: key.clone(),
            });
        let config = client_config(&kubeconfig.authority_pem, credential.as_ref());
        let config = config.map_err(|error| TransportError::Connect {
            server: kubeconfig.server.clone(),
            reason: error.to_string(),
        })?;
        Self::new(&kubeconfig.server, config, tasks)
    }
}

impl Transport for Https {
    fn send(
        &self,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, TransportError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.send(request).await })
    }
}

impl Shared {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let request = self.address(request)?;
        let mut connection = self.connection().await?;
        let answer = tokio::time::timeout(ANSWER, connection.send_request(request)).await;
        let answer = answer.map_err(|_| TransportError::Timeout {
            server: self.authority.to_string(),
            seconds: ANSWER.as_secs(),
        })?;
        let answer = answer.map_err(|error| self.broken(&error))?;
        Ok(answer.map(body::from_incoming))
    }

    /// HTTP/2 wants scheme and authority in the request.
    fn address(&self, request: Request<Body>) -> Result<Request<Body>, TransportError> {
        let (mut head, body) = request.into_parts();
        let mut parts = head.uri.into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts
            .path_and_query
            .get_or_insert(PathAndQuery::from_static("/"));
        head.uri = Uri::from_parts(parts).map_err(|error| self.broken(&error))?;
        if let Some(token) = &self.authorization {
            head.headers.insert(AUTHORIZATION, token.clone());
        }
        Ok(Request::from_parts(head, body))
    }

    /// The standing connection, or a new one. The lock makes callers share one attempt.
    async fn connection(&self) -> Result<SendRequest<Body>, TransportError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connected = tokio::time::timeout(CONNECT, self.connect()).await;
        let connection = connected.map_err(|_| self.unreachable("no answer within 5 s"))??;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, TransportError> {
        let host = self.authority.host().trim_matches(['[', ']']);
        let port = self.authority.port_u16().unwrap_or(443);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| self.unreachable(&error))?;
        // Requests are small and wait for their answers: Nagle's delay would be all of the latency.
        tcp.set_nodelay(true)
            .map_err(|error| self.unreachable(&error))?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| self.unreachable(&error))?;
        let config = Arc::clone(&*self.config.lock());
        let tls = TlsConnector::from(config).connect(name, tcp).await;
        let tls = tls.map_err(|error| self.unreachable(&error))?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .adaptive_window(true)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let stopping = self.tasks.stopping();
        self.tasks.spawn("api-connection", async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "the connection to the API ended");
                },
                () = stopping.cancelled() => {}
            }
        });
        Ok(sender)
    }

    fn unreachable(&self, reason: &(impl std::fmt::Display + ?Sized)) -> TransportError {
        TransportError::Connect {
            server: self.authority.to_string(),
            reason: reason.to_string(),
        }
    }

    fn broken(&self, reason: &impl std::fmt::Display) -> TransportError {
        TransportError::Broken {
            server: self.authority.to_string(),
            reason: reason.to_string(),
        }
    }
}
