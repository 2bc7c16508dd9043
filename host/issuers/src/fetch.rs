//! One key set from its issuer: bounded in time and size, over HTTP/1.1, and inside the mesh through its one door.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap, HeaderValue, LOCATION};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use hyper::client::conn::http1;
use osier_authentication::Wanted;
use osier_identity::{KeySet, system_config};
use osier_process::body::{self, Body};
use osier_process::dialled;
use osier_process::serve::Stream;
use osier_process::{Boxed, Tasks};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// An answer may have so many bytes; key sets have a few thousand.
const MOST: usize = 128 * 1024;
/// What is appended to an issuer where it describes itself.
const DESCRIPTION: &str = "/.well-known/openid-configuration";

/// The way to issuers that are services of the mesh.
pub trait Inside: Send + Sync {
    /// Asks for an absolute URI, if its host is known to the mesh.
    fn send(&self, uri: &Uri, headers: &HeaderMap) -> Option<Boxed<'static, Response<Body>>>;
}

/// A key set that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) jwks: String,
    /// How long the issuer says that it holds.
    pub(crate) holds: Option<Duration>,
}

/// What is needed to fetch.
pub(crate) struct Fetch {
    inside: Arc<dyn Inside>,
    tls: OnceCell<Arc<ClientConfig>>,
    tasks: Tasks,
}

impl Fetch {
    pub(crate) fn new(inside: Arc<dyn Inside>, tasks: Tasks) -> Self {
        Self {
            inside,
            tls: OnceCell::new(),
            tasks,
        }
    }

    /// Fetches a key set that verifies something.
    ///
    /// # Errors
    /// Why there is none, in words for people.
    pub(crate) async fn key_set(&self, wanted: &Wanted) -> Result<Fetched, String> {
        let fetching = self.fetched(wanted);
        let late = |_| format!("no answer after {} ms", wanted.timeout.as_millis());
        let fetched = tokio::time::timeout(wanted.timeout, fetching).await;
        let fetched = fetched.map_err(late)??;
        let read = KeySet::read(&fetched.jwks);
        read.map_err(|error| error.to_string())?;
        Ok(fetched)
    }

    async fn fetched(&self, wanted: &Wanted) -> Result<Fetched, String> {
        if !wanted.discovered {
            return self.get(&wanted.uri).await;
        }
        let description = self.get(&wanted.uri).await?;
        let uri = named(&wanted.uri, &description.jwks)?;
        let fetched = self.get(&uri).await;
        fetched.map_err(|reason| format!("{uri}: {reason}"))
    }

    async fn get(&self, uri: &str) -> Result<Fetched, String> {
        let uri: Uri = uri.parse().map_err(|_| format!("{uri} is no URL"))?;
        let accept = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
        let inside = match uri.scheme() == Some(&Scheme::HTTP) {
            true => self.inside.send(&uri, &headers),
            false => None,
        };
        let answer = match inside {
            Some(answer) => answer.await,
            None => self.outside(&uri, headers).await?,
        };
        if answer.status().is_redirection() {
            let to = answer.headers().get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).unwrap_or_default();
            return Err(format!("it redirects to {to:?}: name that in jwksUri"));
        }
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let holds = holds(answer.headers());
        let bytes = body::read(answer.into_body(), MOST).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        let jwks = String::from_utf8(bytes.to_vec());
        let jwks = jwks.map_err(|_| "its answer is no text".to_owned())?;
        Ok(Fetched { jwks, holds })
    }

    async fn outside(&self, uri: &Uri, headers: HeaderMap) -> Result<Response<Body>, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let mut sender = self.connect(uri).await?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(body::empty());
        *request.uri_mut() = path.parse().map_err(|_| format!("{path} is no path"))?;
        *request.headers_mut() = headers;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::try_from(host).map_err(|error| words(&error))?;
        request.headers_mut().insert(HOST, host);
        let answer = sender.send_request(request).await;
        Ok(answer
            .map_err(|error| words(&error))?
            .map(body::from_incoming))
    }

    async fn connect(&self, uri: &Uri) -> Result<http1::SendRequest<Body>, String> {
        let secure = uri.scheme() != Some(&Scheme::HTTP);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(|error| format!("{host}:{port} cannot be reached: {error}"))?;
        if !secure {
            return self.spoken(tcp).await;
        }
        let config = self.tls.get_or_try_init(trusted).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let tls = connecting.await.map_err(|error| format!("TLS: {error}"))?;
        self.spoken(tls).await
    }

    async fn spoken<S: Stream + 'static>(
        &self,
        stream: S,
    ) -> Result<http1::SendRequest<Body>, String> {
        let spoken = dialled::http1(stream, &self.tasks, "issuer-connection").await;
        spoken.map_err(|error| error.to_string())
    }
}

/// The machine's own authorities, read when they are first needed.
async fn trusted() -> Result<Arc<ClientConfig>, String> {
    system_config(&[b"http/1.1"]).map_err(|error| error.to_string())
}

/// Where an issuer's description says that its keys are (OpenID Connect Discovery 1.0, 3).
fn named(uri: &str, description: &str) -> Result<String, String> {
    let read: Value = serde_json::from_str(description)
        .map_err(|error| format!("its description is not JSON: {error}"))?;
    // Whoever describes another issuer could give it other keys.
    let issuer = read["issuer"].as_str().unwrap_or_default();
    let own = issuer.strip_suffix('/').unwrap_or(issuer);
    if uri.strip_suffix(DESCRIPTION) != Some(own) {
        return Err(format!("it describes another issuer, {issuer:?}"));
    }
    let keys = read["jwks_uri"].as_str().map(str::to_owned);
    keys.ok_or_else(|| "its description names no jwks_uri".to_owned())
}

/// `max-age` (RFC 9111, 5.2.2.1).
fn holds(headers: &HeaderMap) -> Option<Duration> {
    let control = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let mut directives = control.split(',').map(str::trim);
    let seconds = directives.find_map(|one| one.strip_prefix("max-age="))?;
    seconds
        .trim_matches('"')
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_description_speaks_for_its_own_issuer_only() {
        let uri = "https://id.example/.well-known/openid-configuration";
        let good = r#"{"issuer": "https://id.example/", "jwks_uri": "https://id.example/keys"}"#;
        assert_eq!(named(uri, good).unwrap(), "https://id.example/keys");
        for wrong in [
            r#"{"issuer": "https://evil.example", "jwks_uri": "https://evil.example/keys"}"#,
            r#"{"jwks_uri": "https://id.example/keys"}"#,
            r#"{"issuer": "https://id.example"}"#,
            "no json",
        ] {
            assert!(named(uri, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_says_how_long_it_holds() {
        for (control, wanted) in [
            ("max-age=60", Some(60)),
            ("public, max-age=5, must-revalidate", Some(5)),
            ("no-store", None),
            ("max-age=soon", None),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, control.parse().unwrap())]);
            assert_eq!(
                holds(&headers),
                wanted.map(Duration::from_secs),
                "{control}"
            );
        }
    }
}
