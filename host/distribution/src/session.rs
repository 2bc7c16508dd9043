//! The requests about one image: authorized when the registry asks for it, redirected where it sends us.

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use osier_process::body::{self, Body};
use serde_json::Value;

use crate::Progress;
use crate::challenge::Challenge;
use crate::credentials::Credentials;
use crate::error::Fault;
use crate::exchange::{Wire, read};
use crate::reference::Reference;

const REDIRECTS: usize = 5;
/// Bytes of a token's document, or of a registry's words about an error.
const WORDS: u64 = 64 << 10;
/// Bytes of a part of an upload: progress is told this often.
const PART: usize = 64 << 10;

/// A conversation with one registry about one repository.
pub(crate) struct Session<'a> {
    wire: &'a Wire,
    pub(crate) reference: Reference,
    basic: Option<String>,
    authorization: Option<String>,
    actions: &'static str,
}

/// One request.
pub(crate) struct Ask {
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) accept: Option<&'static str>,
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) progress: Option<Progress>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        wire: &'a Wire,
        reference: Reference,
        credentials: &Credentials,
        actions: &'static str,
    ) -> Self {
        let basic = credentials.basic(&reference.registry);
        Self {
            wire,
            reference,
            basic,
            authorization: None,
            actions,
        }
    }

    /// The URL of a path of the repository.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, Fault> {
        let (registry, repository) = (&self.reference.registry, &self.reference.repository);
        self.wire.url(registry, &format!("/v2/{repository}/{path}"))
    }

    /// Asks for what `path` names.
    pub(crate) fn get(&self, what: &'static str, path: &str) -> Result<Ask, Fault> {
        Ok(Ask {
            what,
            method: Method::GET,
            url: self.url(path)?,
            accept: None,
            body: None,
            progress: None,
        })
    }

    /// Sends it, proves who we are if asked, and follows redirects. Every other answer than success is a fault.
    pub(crate) async fn send(&mut self, ask: &Ask) -> Result<Response<Body>, Fault> {
        let mut answer = self.once(ask, &ask.url).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let challenge = challenge(&answer);
            drop(answer);
            self.authorize(challenge).await?;
            answer = self.once(ask, &ask.url).await?;
        }
        for _ in 0..REDIRECTS {
            let Some(location) = redirect(&answer) else {
                break;
            };
            let url = absolute(&ask.url, location)?;
            answer = self.once(ask, &url).await?;
        }
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refused(ask.what, status, answer).await),
        }
    }

    async fn once(&self, ask: &Ask, url: &Uri) -> Result<Response<Body>, Fault> {
        let mut request = Request::builder().method(&ask.method).uri(url);
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        let same = url.authority() == ask.url.authority();
        if let Some(authorization) = self.authorization.as_ref().filter(|_| same) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match &ask.body {
            None => body::empty(),
            Some((kind, bytes)) => {
                request = request
                    .header(CONTENT_TYPE, *kind)
                    .header(CONTENT_LENGTH, bytes.len());
                upload(bytes.clone(), ask.progress.clone())
            }
        };
        let request = request
            .body(body)
            .map_err(|error| Fault::Broken(error.to_string()))?;
        self.wire.send(request).await
    }

    async fn authorize(&mut self, challenge: Option<Challenge>) -> Result<(), Fault> {
        match challenge {
            Some(Challenge::Basic) => {
                self.authorization = Some(self.basic.clone().ok_or_else(|| self.unknown(401))?);
                Ok(())
            }
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let token = self.token(&realm, service, scope).await?;
                self.authorization = Some(format!("Bearer {token}"));
                Ok(())
            }
            None => Err(self.unknown(401)),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<String, Fault> {
        let url = self.token_url(realm, service, scope);
        let mut request = Request::get(&url);
        if let Some(basic) = &self.basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let request = request.body(body::empty()).map_err(|_| {
            Fault::Broken(format!(
                "the registry's token service {realm:?} is not a URL"
            ))
        })?;
        let answer = self.wire.send(request).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.unknown(status.as_u16()));
        }
        let text = read(answer.into_body(), ("the token", WORDS), &|_| ()).await?;
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = document["token"]
            .as_str()
            .or_else(|| document["access_token"].as_str());
        token
            .map(str::to_owned)
            .ok_or_else(|| Fault::Broken(format!("the token service {realm} gave no token")))
    }

    fn token_url(&self, realm: &str, service: Option<String>, scope: Option<String>) -> String {
        let default = format!("repository:{}:{}", self.reference.repository, self.actions);
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(service) = service {
            query.append_pair("service", &service);
        }
        query.append_pair("scope", &scope.unwrap_or(default));
        let mark = if realm.contains('?') { '&' } else { '?' };
        format!("{realm}{mark}{}", query.finish())
    }

    fn unknown(&self, code: u16) -> Fault {
        let with = if self.basic.is_some() {
            "these credentials"
        } else {
            "requests without credentials"
        };
        Fault::Unauthorized { with, code }
    }

    async fn refused(
        &self,
        what: &'static str,
        status: StatusCode,
        answer: Response<Body>,
    ) -> Fault {
        let text = read(answer.into_body(), ("the answer", WORDS), &|_| ()).await;
        let reason = words(&text.unwrap_or_default());
        match status.as_u16() {
            code @ (401 | 403) => self.unknown(code),
            404 => Fault::NotFound {
                reason: if reason.is_empty() {
                    "404 Not Found".to_owned()
                } else {
                    reason
                },
            },
            code => Fault::Answer {
                what,
                code,
                reason: if reason.is_empty() {
                    reason
                } else {
                    format!(": {reason}")
                },
            },
        }
    }
}

/// The registry's own words: `{"errors":[{"code","message"}]}`.
fn words(text: &[u8]) -> String {
    let document: Value = serde_json::from_slice(text).unwrap_or_default();
    let errors = document["errors"].as_array().cloned().unwrap_or_default();
    let each = errors.iter().take(3).map(|error| {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        format!("{} ({})", text("message"), text("code"))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The first challenge that is known here.
fn challenge(refused: &Response<Body>) -> Option<Challenge> {
    let headers = refused.headers().get_all(WWW_AUTHENTICATE).iter();
    headers
        .filter_map(|header| Challenge::parse(header.to_str().ok()?))
        .next()
}

fn redirect(answer: &Response<Body>) -> Option<&str> {
    answer.status().is_redirection().then_some(())?;
    answer.headers().get(LOCATION)?.to_str().ok()
}

/// A `Location`, which may be relative to what was asked.
pub(crate) fn absolute(asked: &Uri, location: &str) -> Result<Uri, Fault> {
    let bad = || {
        Fault::Broken(format!(
            "the registry leads to {location:?}, which is not a URL"
        ))
    };
    let uri: Uri = location.parse().map_err(|_| bad())?;
    if uri.authority().is_some() {
        return Ok(uri);
    }
    let mut parts = asked.clone().into_parts();
    parts.path_and_query = uri.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| bad())
}

/// A body that tells how much of it was taken.
fn upload(bytes: Bytes, progress: Option<Progress>) -> Body {
    let Some(progress) = progress else {
        return body::full(bytes);
    };
    let total = bytes.len() as u64;
    let parts = futures::stream::unfold(bytes, move |mut rest| {
        let progress = progress.clone();
        async move {
            if rest.is_empty() {
                return None;
            }
            let part = rest.split_to(rest.len().min(PART));
            progress(total - rest.len() as u64, total);
            Some((Ok(part), rest))
        }
    });
    body::stream(parts)
}
