//! One request on a connection of its own, whose protocol may change with the answer: how the API server asks a node agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_process::dialled;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::TransportError;

/// A connection must stand after this long.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer must have begun after this long; a log that is followed begins at once.
const ANSWER: Duration = Duration::from_secs(30);

/// Asks servers that are called rarely, as one who is known to them.
pub struct Direct {
    config: Arc<ClientConfig>,
    tasks: Tasks,
}

impl Direct {
    /// Connections are made with this configuration, and end with the tasks.
    pub fn new(config: &ClientConfig, tasks: Tasks) -> Self {
        Self {
            config: osier_identity::without_http2(config),
            tasks,
        }
    }

    /// Asks the server of this name at this address. The connection lives as long as the answer's body, or as what follows a
    /// change of protocol.
    ///
    /// # Errors
    /// What kept the answer from beginning.
    pub async fn ask(
        &self,
        (address, name): (SocketAddr, &str),
        mut request: Request<Body>,
    ) -> Result<Response<Body>, TransportError> {
        let server = || format!("{name} ({address})");
        let late = |seconds: Duration| TransportError::Timeout {
            server: server(),
            seconds: seconds.as_secs(),
        };
        let broken = |error: hyper::Error| TransportError::Broken {
            server: server(),
            reason: error.to_string(),
        };
        let config = Arc::clone(&self.config);
        let connecting = connect((address, name), config, &self.tasks);
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let connected = connected.map_err(|_| late(CONNECT))?;
        let mut sender = connected.map_err(|reason| TransportError::Connect {
            server: server(),
            reason,
        })?;
        if let Ok(host) = HeaderValue::try_from(name) {
            request.headers_mut().insert(HOST, host);
        }
        let client = request.extensions_mut().remove::<OnUpgrade>();
        let answer = tokio::time::timeout(ANSWER, sender.send_request(request)).await;
        let answer = answer.map_err(|_| late(ANSWER))?.map_err(broken)?;
        let mut answer = answer.map(body::from_incoming);
        let changes = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if let Some(client) = client.filter(|_| changes) {
            self.join(client, hyper::upgrade::on(&mut answer));
        }
        Ok(answer)
    }

    /// Carries bytes between two connections that both change their protocol, until one ends.
    fn join(&self, client: OnUpgrade, server: OnUpgrade) {
        let stopping = self.tasks.stopping();
        let carried = async move {
            let both = async { tokio::try_join!(client, server) };
            let Ok(Ok((client, server))) = tokio::time::timeout(CONNECT, both).await else {
                return;
            };
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut server).await {
                tracing::debug!(%error, "streams to a node agent broke");
            }
        };
        self.tasks.spawn("node-streams", async move {
            tokio::select! {
                () = carried => {}
                () = stopping.cancelled() => {}
            }
        });
    }
}

async fn connect(
    (address, name): (SocketAddr, &str),
    config: Arc<ClientConfig>,
    tasks: &Tasks,
) -> Result<http1::SendRequest<Body>, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let tcp = TcpStream::connect(address).await;
    let tcp = tcp.map_err(|error| words(&error))?;
    tcp.set_nodelay(true).map_err(|error| words(&error))?;
    let name = ServerName::try_from(name.to_owned()).map_err(|error| words(&error))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await;
    let tls = tls.map_err(|error| words(&error))?;
    let spoken = dialled::http1(tls, tasks, "node-connection").await;
    spoken.map_err(|error| words(&error))
}
