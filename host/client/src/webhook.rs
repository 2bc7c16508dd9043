//! Questions to programs outside that people register with the API server: one request on a connection of its own, over TLS.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request};
use hyper::client::conn::http1;
use osier_identity::{Believe, Origin, origin_config};
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_process::dialled;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Questions under way at the same time; more wait, within their own timeout.
const AT_ONCE: usize = 64;
/// TLS configurations that are kept, by the authorities that they believe.
const KEPT: usize = 16;
/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;

/// One question.
pub struct Question {
    /// `host:port`, of which the first that answers is asked.
    pub addresses: Vec<String>,
    /// Whose name the certificate must have.
    pub server_name: String,
    /// What stands in `Host`.
    pub host: String,
    /// The path, with its slash.
    pub path: String,
    /// The authorities that are believed, in PEM; those of the machine without them.
    pub authorities: Option<String>,
    /// JSON.
    pub body: Bytes,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Asks them.
pub struct Questions {
    tasks: Tasks,
    permits: Semaphore,
    configurations: Mutex<VecDeque<(Option<String>, Arc<ClientConfig>)>>,
}

impl Questions {
    /// Connections end with the tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            permits: Semaphore::new(AT_ONCE),
            configurations: Mutex::default(),
        }
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// In words for the caller, why there is none: also of an answer that is no 2xx.
    pub async fn ask(&self, question: Question) -> Result<Bytes, String> {
        let late = || {
            let seconds = question.timeout.as_secs();
            format!("context deadline exceeded: no answer within {seconds} s")
        };
        let asked = tokio::time::timeout(question.timeout, self.answer(&question)).await;
        asked.unwrap_or_else(|_| Err(late()))
    }

    async fn answer(&self, question: &Question) -> Result<Bytes, String> {
        let _permit = self.permits.acquire().await.map_err(words)?;
        let mut sender = self.connect(question).await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&question.path)
            .header(HOST, &question.host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body::full(question.body.clone()));
        let answer = sender.send_request(request.map_err(words)?).await;
        let answer = answer.map_err(words)?;
        let status = answer.status();
        let read = body::read(body::from_incoming(answer.into_body()), LARGEST).await;
        let bytes = read.map_err(words)?;
        if status.is_success() {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        Err(format!("the server answered {status}: {}", said.trim()))
    }

    async fn connect(&self, question: &Question) -> Result<http1::SendRequest<Body>, String> {
        let name = ServerName::try_from(question.server_name.clone()).map_err(words)?;
        let connector = TlsConnector::from(self.configuration(&question.authorities)?);
        let mut failure = "there is no address to ask".to_owned();
        for address in &question.addresses {
            let tcp = match TcpStream::connect(address).await {
                Ok(tcp) => tcp,
                Err(error) => {
                    failure = format!("dial tcp {address}: {error}");
                    continue;
                }
            };
            tcp.set_nodelay(true).map_err(words)?;
            let tls = connector.connect(name.clone(), tcp).await.map_err(words)?;
            let spoken = dialled::http1(tls, &self.tasks, "webhook-connection").await;
            return spoken.map_err(words);
        }
        Err(failure)
    }

    fn configuration(&self, authorities: &Option<String>) -> Result<Arc<ClientConfig>, String> {
        let mut kept = self.configurations.lock();
        if let Some((_, known)) = kept.iter().find(|(of, _)| of == authorities) {
            return Ok(Arc::clone(known));
        }
        let believe = match authorities {
            Some(pem) => Believe::Pem(pem.clone()),
            None => Believe::System,
        };
        let made = origin_config(&Origin {
            believe,
            revoked: None,
            names: Vec::new(),
            credential: None,
            alpn: vec![b"http/1.1".to_vec()],
        });
        let made = made.map_err(words)?;
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((authorities.clone(), Arc::clone(&made)));
        Ok(made)
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
