//! One member of the cluster: an HTTP/2 connection, plain or over TLS, shared by all calls and made again when it breaks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use osier_process::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::client::Grpc;

use crate::error::EtcdError;

/// A connection must stand after this long.
const CONNECT: Duration = Duration::from_secs(2);
/// etcd ends connections that are pinged more often than every five seconds (`--grpc-keepalive-min-time`).
const PING_EVERY: Duration = Duration::from_secs(6);
const PONG_WITHIN: Duration = Duration::from_secs(4);
/// What may be on its way of one call, and of all. They are fixed: measuring for better ones takes pings too.
const WINDOW: u32 = 4 << 20;
const WINDOWS: u32 = 16 << 20;
/// The largest answer that is taken: a page of a list, or changes that came at once.
const LARGEST: usize = 512 << 20;

/// A member and the connection to it.
pub(crate) struct Member {
    authority: Authority,
    tls: Option<Arc<ClientConfig>>,
    connection: Mutex<Option<Channel>>,
    tasks: Tasks,
}

/// What gRPC speaks over.
#[derive(Clone)]
pub(crate) struct Channel(SendRequest<tonic::body::Body>);

type Answered = Pin<Box<dyn Future<Output = hyper::Result<http::Response<Incoming>>> + Send>>;

impl tower_service::Service<http::Request<tonic::body::Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Answered;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Answered {
        Box::pin(self.0.send_request(request))
    }
}

impl Member {
    /// A member that is connected to when it is first asked.
    pub(crate) fn new(authority: Authority, tls: Option<Arc<ClientConfig>>, tasks: Tasks) -> Self {
        Self {
            authority,
            tls,
            connection: Mutex::new(None),
            tasks,
        }
    }

    /// Host and port.
    pub(crate) fn name(&self) -> &str {
        self.authority.as_str()
    }

    /// The standing connection, or a new one. The lock makes callers share one attempt.
    pub(crate) async fn grpc(&self) -> Result<Grpc<Channel>, EtcdError> {
        let mut slot = self.connection.lock().await;
        let standing = slot.as_ref().filter(|channel| !channel.0.is_closed());
        let channel = match standing {
            Some(channel) => channel.clone(),
            None => {
                let connected = tokio::time::timeout(CONNECT, self.connect()).await;
                let late =
                    || self.unreached(&format!("no connection after {} s", CONNECT.as_secs()));
                let channel = connected.map_err(|_| late())??;
                slot.insert(channel).clone()
            }
        };
        let scheme = match self.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        };
        let origin = Uri::builder()
            .scheme(scheme)
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|error| self.unreached(&error))?;
        let mut grpc = Grpc::with_origin(channel, origin).max_decoding_message_size(LARGEST);
        grpc.ready().await.map_err(|error| self.unreached(&error))?;
        Ok(grpc)
    }

    async fn connect(&self) -> Result<Channel, EtcdError> {
        let host = self.authority.host().trim_matches(['[', ']']);
        let port = self.authority.port_u16().unwrap_or_default();
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| self.unreached(&error))?;
        // Requests are small and wait for their answers: Nagle's delay would be all of the latency.
        tcp.set_nodelay(true)
            .map_err(|error| self.unreached(&error))?;
        let Some(config) = &self.tls else {
            return self.speak(tcp).await;
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| self.unreached(&error))?;
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        self.speak(tls.await.map_err(|error| self.unreached(&error))?)
            .await
    }

    async fn speak<S>(&self, stream: S) -> Result<Channel, EtcdError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreached(&error))?;
        let (stopping, member) = (self.tasks.stopping(), self.authority.clone());
        self.tasks.spawn("etcd-connection", async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, %member, "the connection to a member of etcd ended");
                },
                () = stopping.cancelled() => {}
            }
        });
        Ok(Channel(sender))
    }

    fn unreached(&self, reason: &(impl std::fmt::Display + ?Sized)) -> EtcdError {
        EtcdError::Unreached(format!("{}: {reason}", self.authority))
    }
}
