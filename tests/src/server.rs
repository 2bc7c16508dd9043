//! Servers outside the mesh, in the test's own process: what gateways and pods are sent to.

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use osier_identity::{Credential, mutual_config, server_config, subject};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A server that answers with what it was asked: version, host, path and body, and by whom, if a client shows its identity. Ends when it
/// is dropped.
pub struct Server {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    connections: Arc<AtomicUsize>,
    answers: Arc<Answers>,
    accepting: JoinHandle<()>,
}

/// Makes the body of an answer of a path and a body.
type Program = Box<dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync>;

/// What a server answers with, and how often it did.
#[derive(Default)]
struct Answers {
    requests: AtomicUsize,
    program: Option<Program>,
    /// 0 stands for 200.
    status: AtomicU16,
}

impl Server {
    /// A server of plain HTTP, of either version.
    pub async fn plain() -> Result<Self> {
        Self::start(None, Answers::default()).await
    }

    /// A server of plain HTTP whose answers a program makes of the path and the body.
    pub async fn making(
        makes: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Self> {
        let answers = Answers {
            program: Some(Box::new(makes)),
            ..Answers::default()
        };
        Self::start(None, answers).await
    }

    /// A server of HTTPS that shows this credential.
    pub async fn secure(authority_pem: &str, credential: &Credential) -> Result<Self> {
        let config = server_config(authority_pem, credential)?;
        Self::start(Some(TlsAcceptor::from(config)), Answers::default()).await
    }

    /// The same, which takes those only who show a certificate of the authority.
    pub async fn mutual(authority_pem: &str, credential: &Credential) -> Result<Self> {
        let config = mutual_config(authority_pem, credential)?;
        Self::start(Some(TlsAcceptor::from(config)), Answers::default()).await
    }

    /// A server of HTTPS whose answers a program makes of the path and the body.
    pub async fn program(
        (authority_pem, credential): (&str, &Credential),
        makes: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Self> {
        let config = server_config(authority_pem, credential)?;
        let answers = Answers {
            program: Some(Box::new(makes)),
            ..Answers::default()
        };
        Self::start(Some(TlsAcceptor::from(config)), answers).await
    }

    async fn start(tls: Option<TlsAcceptor>, answers: Answers) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let answers = Arc::new(answers);
        let given = answers.clone();
        let accepting = tokio::spawn(async move {
            // Its connections end with the server.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let (tls, answers) = (tls.clone(), given.clone());
                open.spawn(async move {
                    match tls {
                        None => serve(stream, answers, None).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let shown = stream.get_ref().1.peer_certificates();
                                let shown = shown.and_then(<[_]>::first);
                                let who = shown.and_then(|shown| subject(shown).ok()?.spiffe);
                                serve(stream, answers, who).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            port,
            connections,
            answers,
            accepting,
        })
    }

    /// From now on it answers with this status.
    pub fn answer_with(&self, status: u16) {
        self.answers.status.store(status, Ordering::SeqCst);
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.answers.requests.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What a server takes to answer: a suite waits for nothing, but what it calls may be slow.
pub async fn takes(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn serve<S>(stream: S, answers: Arc<Answers>, who: Option<String>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, answers.clone(), who.clone()));
    let builder = auto::Builder::new(TokioExecutor::new());
    // A connection that breaks is the client's to tell.
    let _ended = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Answers>,
    who: Option<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    answers.requests.fetch_add(1, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let named = head.headers.get("host").and_then(|host| host.to_str().ok());
    let host = named.or(head.uri.host()).unwrap_or_default().to_owned();
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let echo = || {
        let (path, text) = (head.uri.path(), String::from_utf8_lossy(&body));
        let who = who.map_or_else(String::new, |who| format!(" by {who}"));
        format!("{:?} {host} {path} {text}{who}", head.version).into_bytes()
    };
    let program = answers.program.as_ref();
    let made = program.map_or_else(echo, |makes| makes(head.uri.path(), &body));
    let mut response = Response::new(Full::from(made));
    if let Ok(status) = StatusCode::from_u16(answers.status.load(Ordering::SeqCst)) {
        *response.status_mut() = status;
    }
    Ok(response)
}
