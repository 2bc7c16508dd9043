//! A TLS client of its own trust: what the suites ask gateways with, over HTTP/2 or HTTP/1.1 as the handshake agrees.

use crate::http::Answer;
use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use osier_identity::{Authority, Credential, Subject, client_config};
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No single exchange of a test may take longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Whom a client trusts, and who it is.
#[derive(Clone)]
pub struct Client {
    /// PEM of the authority.
    pub authority: String,
    /// Its own certificate.
    pub credential: Option<Credential>,
}

impl Client {
    /// A client without a certificate.
    pub fn trusting(authority: &Authority) -> Self {
        Self {
            authority: authority.certificate_pem().to_owned(),
            credential: None,
        }
    }

    /// Shakes hands over a stream.
    pub async fn handshake<S>(&self, stream: S, name: &str) -> Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = client_config(&self.authority, self.credential.as_ref())?;
        let name = ServerName::try_from(name.to_owned())?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        Ok(tokio::time::timeout(LIMIT, handshake).await??)
    }

    /// One GET over a connection of its own; the server's certificate comes with the answer.
    pub async fn get(&self, address: &str, url: &str) -> Result<(Answer, Vec<u8>)> {
        let url: http::Uri = url.parse()?;
        let host = url.host().context("a host")?.to_owned();
        self.get_through(address, &host, url).await
    }

    /// The same on a connection that was made for another server name.
    pub async fn get_through(
        &self,
        address: &str,
        name: &str,
        url: http::Uri,
    ) -> Result<(Answer, Vec<u8>)> {
        let stream = self
            .handshake(TcpStream::connect(address).await?, name)
            .await?;
        let session = stream.get_ref().1;
        let shown = session
            .peer_certificates()
            .and_then(<[_]>::first)
            .context("the server shows no certificate")?
            .to_vec();
        let two = session.alpn_protocol() == Some(b"h2");
        let answer = tokio::time::timeout(LIMIT, ask(stream, two, url)).await??;
        Ok((answer, shown))
    }
}

async fn ask(stream: TlsStream<TcpStream>, two: bool, url: http::Uri) -> Result<Answer> {
    let host = url.host().unwrap_or_default().to_owned();
    let response = if two {
        let request = Request::get(url).body(Full::<Bytes>::default())?;
        let executor = TokioExecutor::new();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path)
            .header("host", host)
            .body(Full::<Bytes>::default())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (head, body) = response.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

/// A certificate for a DNS name.
pub fn certificate(authority: &Authority, name: &str) -> Result<Credential> {
    Ok(authority.issue(&Subject {
        common_name: name.to_owned(),
        names: vec![name.to_owned()],
        ..Subject::default()
    })?)
}

/// The manifest of a Secret with these values, as people write it.
pub fn secret(name: &str, values: &[(&str, &str)]) -> String {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let data: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key}: {}", encode(value)))
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: Opaque\ndata: {{{}}}\n",
        data.join(", ")
    )
}
