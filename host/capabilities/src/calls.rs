//! Calls of plugins that are components (`osier:policy/http`): to the origins that are granted, bounded in time, bytes and number.

mod documents;
mod origin;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Request, Uri};
use osier_process::Tasks;
use std::sync::Arc;
use std::time::Duration;

use crate::callout::{Caller, CalloutAnswer, CalloutBounds, CalloutError, Callouts};
pub use documents::{Document, Freshness};
use documents::{Documents, Source};
use origin::Origin;

/// Bytes of a body, either way.
pub(crate) const MOST_BODY: usize = 1 << 20;
/// Time of a call that says nothing of it.
const USUAL: Duration = Duration::from_secs(1);
/// Time of any call.
const LONGEST: Duration = Duration::from_secs(10);

/// Calls of one plugin. They wait for their answers on the thread of the caller.
pub trait Outside: Send + Sync {
    /// Sends a request.
    ///
    /// # Errors
    /// See [`OutsideError`].
    fn send(&self, request: Outgoing) -> Result<Incoming, OutsideError>;

    /// A document that is kept fresh; without its body if it still has the revision that is known.
    ///
    /// # Errors
    /// See [`OutsideError`].
    fn document(
        &self,
        url: &str,
        freshness: Freshness,
        known: u64,
    ) -> Result<Document, OutsideError>;
}

/// `osier:policy/http.request`.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Until the answer is whole.
    pub timeout: Option<Duration>,
}

/// `osier:policy/http.response`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Status.
    pub status: u16,
    /// Headers that are text.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no answer (`osier:policy/http.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The origin is not in the plugin's grants.
    #[error("the origin is not granted")]
    NotGranted,
    /// The request is none.
    #[error("the request is none")]
    Invalid,
    /// There was no answer in time.
    #[error("there was no answer in time")]
    Timeout,
    /// There is no way there now.
    #[error("there is no answer")]
    Unavailable,
    /// A body is too large.
    #[error("a body is too large")]
    TooLarge,
}

impl OutsideError {
    /// True if it is nobody's mistake: the same call may be answered another time.
    #[must_use]
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::TooLarge)
    }
}

/// The calls that a Plugin object grants.
pub struct GrantedCalls {
    caller: Arc<Owner>,
    origins: Vec<Origin>,
    documents: Documents,
    tasks: Tasks,
}

/// Who calls, and how.
pub(crate) struct Owner {
    namespace: String,
    name: String,
    callouts: Arc<Callouts>,
}

impl GrantedCalls {
    /// Calls of the plugin to these origins, such as `https://limits.example:8443`; what is none is left out.
    #[must_use]
    pub fn new(
        caller: Caller<'_>,
        origins: &[String],
        callouts: &Arc<Callouts>,
        tasks: &Tasks,
    ) -> Self {
        let caller = Arc::new(Owner {
            namespace: caller.namespace.to_owned(),
            name: caller.name.to_owned(),
            callouts: Arc::clone(callouts),
        });
        Self {
            documents: Documents::new(Arc::clone(&caller), tasks.clone()),
            tasks: tasks.clone(),
            caller,
            origins: origins
                .iter()
                .filter_map(|text| Origin::read(text))
                .collect(),
        }
    }

    fn permitted(&self, url: &str) -> Result<Uri, OutsideError> {
        let uri: Uri = url.parse().map_err(|_| OutsideError::Invalid)?;
        let origin = Origin::of(&uri).ok_or(OutsideError::Invalid)?;
        let granted = self.origins.contains(&origin);
        granted.then_some(uri).ok_or(OutsideError::NotGranted)
    }
}

impl Owner {
    /// Sends one request; the error says in words what is told to the guest in one.
    async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<CalloutAnswer, OutsideError> {
        let way = self.callouts.way().ok_or(OutsideError::Unavailable)?;
        let bounds = CalloutBounds {
            timeout,
            body: MOST_BODY,
        };
        let caller = Caller {
            namespace: &self.namespace,
            name: &self.name,
        };
        let uri = request.uri().clone();
        let sent = tokio::time::timeout(timeout, way.send(caller, request, bounds)).await;
        let lost = match sent {
            Ok(Ok(answer)) if answer.own => {
                let said = String::from_utf8_lossy(&answer.body);
                tracing::debug!(plugin = self.name, namespace = self.namespace, %uri, status = %answer.status, "a call of a plugin did not arrive: {said}");
                OutsideError::Unavailable
            }
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(CalloutError::TooLarge(_))) => OutsideError::TooLarge,
            Ok(Err(CalloutError::Failed(reason))) => {
                tracing::debug!(plugin = self.name, namespace = self.namespace, %uri, "a call of a plugin has no answer: {reason}");
                OutsideError::Unavailable
            }
            Err(_) => OutsideError::Timeout,
        };
        Err(lost)
    }
}

impl Outside for GrantedCalls {
    fn send(&self, request: Outgoing) -> Result<Incoming, OutsideError> {
        let uri = self.permitted(&request.url)?;
        let timeout = request.timeout.unwrap_or(USUAL).min(LONGEST);
        let request = made(uri, request)?;
        // A task of its own: policies that see the call must not find this thread in the middle of a question.
        let caller = Arc::clone(&self.caller);
        let sent = async move { caller.send(request, timeout).await };
        let answer = self
            .caller
            .callouts
            .wait(|| self.tasks.spawn("plugin-call", sent));
        let answer = answer.and_then(Result::ok);
        answer.ok_or(OutsideError::Unavailable)?.map(told)
    }

    fn document(
        &self,
        url: &str,
        freshness: Freshness,
        known: u64,
    ) -> Result<Document, OutsideError> {
        let uri = self.permitted(url)?;
        let source = Source { uri, freshness };
        self.documents.read(source, known)
    }
}

/// A request out of its parts. What frames it is the host's.
fn made(uri: Uri, parts: Outgoing) -> Result<Request<Bytes>, OutsideError> {
    if parts.body.len() > MOST_BODY {
        return Err(OutsideError::TooLarge);
    }
    let mut request = Request::builder()
        .method(parts.method.as_str())
        .uri(uri)
        .body(Bytes::from(parts.body))
        .map_err(|_| OutsideError::Invalid)?;
    for (name, value) in parts.headers {
        let name: HeaderName = name.parse().map_err(|_| OutsideError::Invalid)?;
        let value = HeaderValue::from_str(&value).map_err(|_| OutsideError::Invalid)?;
        if ![CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            request.headers_mut().append(name, value);
        }
    }
    Ok(request)
}

fn told(answer: CalloutAnswer) -> Incoming {
    let headers = answer.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Incoming {
        status: answer.status.as_u16(),
        headers: headers.collect(),
        body: answer.body.to_vec(),
    }
}

#[cfg(test)]
mod tests;
