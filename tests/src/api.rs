//! Plain calls to a node's API with the client certificate of its kubeconfig, for what kubectl is too slow or too polite for.

use crate::http::Answer;
use crate::node::Node;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use osier_identity::{Credential, client_config};
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One kept connection to the API.
pub struct Api {
    sender: SendRequest<Full<Bytes>>,
}

/// One connection with many streams, for calls that take long.
#[derive(Clone)]
pub struct Streams {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Streams {
    /// Connects as the kubeconfig's user.
    pub async fn open(node: &Node) -> Result<Self> {
        let (authority, credential) = user(node)?;
        let config = client_config(&authority, Some(&credential))?;
        let stream = connected(node, config).await?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            authority: node.address("api")?,
        })
    }

    /// Asks; the body of the answer is read by the caller.
    pub async fn get(&self, path: &str) -> Result<http::Response<hyper::body::Incoming>> {
        let url = format!("https://{}{path}", self.authority);
        let request = Request::get(url)
            .header("accept", "application/json")
            .body(Full::default())?;
        let mut sender = self.sender.clone();
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }
}

/// The authority and the user of a node's kubeconfig.
fn user(node: &Node) -> Result<(String, Credential)> {
    let text = std::fs::read_to_string(node.kubeconfig())?;
    let config: Value = serde_saphyr::from_str(&text).context("kubeconfig")?;
    let cluster = &config["clusters"][0]["cluster"];
    let user = &config["users"][0]["user"];
    let credential = Credential {
        certificate_pem: field(user, "client-certificate-data")?,
        key_pem: field(user, "client-key-data")?,
    };
    Ok((field(cluster, "certificate-authority-data")?, credential))
}

async fn connected(
    node: &Node,
    config: std::sync::Arc<rustls::ClientConfig>,
) -> Result<TlsStream<TcpStream>> {
    let address = node.address("api")?;
    let host = address
        .rsplit_once(':')
        .map_or(address.as_str(), |(host, _)| host)
        .to_owned();
    let stream = TcpStream::connect(&address)
        .await
        .with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    let connecting = TlsConnector::from(config).connect(ServerName::try_from(host)?, stream);
    Ok(connecting.await?)
}

impl Api {
    /// Connects as the kubeconfig's user.
    pub async fn open(node: &Node) -> Result<Self> {
        let (authority, credential) = user(node)?;
        let stream = connected(node, http1_only(&authority, &credential)?).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends one request and reads the whole answer; 30 seconds at most.
    pub async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.send_as(
            method,
            path,
            "application/json",
            body.map(Value::to_string).unwrap_or_default(),
        )
        .await
    }

    /// The same with a content type and a body as text.
    pub async fn send_as(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(Full::from(body))?;
        self.ask(request).await
    }

    /// Gets in a form of the answer that is not plain JSON.
    pub async fn accepting(&mut self, path: &str, accept: &str) -> Result<Answer> {
        let request = Request::get(path)
            .header("host", "localhost")
            .header("accept", accept)
            .body(Full::default())?;
        self.ask(request).await
    }

    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let exchange = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(Duration::from_secs(30), exchange)
            .await
            .context("no answer within 30 s")?
    }
}

fn http1_only(
    authority: &str,
    credential: &Credential,
) -> Result<std::sync::Arc<rustls::ClientConfig>> {
    let mut config = (*client_config(authority, Some(credential))?).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(std::sync::Arc::new(config))
}

fn field(value: &Value, name: &str) -> Result<String> {
    let encoded = value[name]
        .as_str()
        .with_context(|| format!("the kubeconfig has no {name}"))?;
    Ok(String::from_utf8(STANDARD.decode(encoded)?)?)
}
