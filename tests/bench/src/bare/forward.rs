//! The reverse proxy of hyper and nothing else: no routes, no policy, no metrics, no log, no limits, no timeouts.

use anyhow::{Context, Result};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The ports of the backends.
pub(crate) struct Backends {
    pub(crate) backend: u16,
    pub(crate) calls: u16,
}

/// A backend, and how it is spoken to.
#[derive(Clone)]
struct Way {
    client: Client<HttpConnector, Incoming>,
    backend: Authority,
    version: Version,
}

impl Way {
    fn to(port: u16, version: Version) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        Ok(Self {
            client: builder
                .http2_only(version == Version::HTTP_2)
                .build(connector),
            backend: format!("127.0.0.1:{port}").parse()?,
            version,
        })
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Proxy {
    requests: Way,
    calls: Way,
}

/// Listens on all ports and forwards to the backends until it is killed.
pub(crate) async fn run(
    backends: Backends,
    (plain, raw): (u16, u16),
    secure: (u16, TlsAcceptor),
) -> Result<()> {
    let proxy = Proxy {
        requests: Way::to(backends.backend, Version::HTTP_11)?,
        calls: Way::to(backends.calls, Version::HTTP_2)?,
    };
    tokio::try_join!(
        accept(plain, None, &proxy),
        accept(secure.0, Some(secure.1), &proxy),
        carry(raw, backends.backend)
    )?;
    Ok(())
}

/// Carries each connection to one of the backend.
async fn carry(port: u16, backend: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (mut near, _) = listener.accept().await?;
        near.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut far = TcpStream::connect(("127.0.0.1", backend)).await?;
            far.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}

async fn accept(port: u16, tls: Option<TlsAcceptor>, proxy: &Proxy) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(proxy.clone().open(stream, tls.clone()));
    }
}

impl Proxy {
    /// A connection that breaks is the client's to tell.
    async fn open(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        match tls {
            None => self.serve(stream).await,
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.serve(stream).await;
                }
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| self.clone().forward(request));
        let builder = auto::Builder::new(TokioExecutor::new());
        let _ended = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn forward(self, mut request: Request<Incoming>) -> Result<Response<Incoming>, Error> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        let path = parts.path_and_query.take();
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        parts.scheme = Some(Scheme::HTTP);
        let is_call = |path: &PathAndQuery| path.as_str().starts_with("/bench.");
        let way = match &parts.path_and_query {
            Some(path) if is_call(path) => self.calls,
            _ => self.requests,
        };
        parts.authority = Some(way.backend);
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.version_mut() = way.version;
        way.client.request(request).await
    }
}

/// Shows this certificate; agrees to HTTP/2 or HTTP/1.1.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)?.collect();
    let key = PrivateKeyDer::from_pem_file(key).context("the key")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
