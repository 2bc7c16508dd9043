//! Calls to other services, and documents that the host keeps fresh. Grant the origin in the Plugin object:
//! `spec.grants.http: [https://limits.example]`.
//!
//! A call waits for its answer, and with it the request that the plugin is asked about: what changes seldom is better read as a
//! [`Document`], for which nobody waits.

use std::time::Duration;

use crate::bindings::host::osier::policy::http as host;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The origin is not in the plugin's grants.
    NotGranted,
    /// The request is none.
    Invalid,
    /// There was no answer in time.
    Timeout,
    /// There is no way there now, or the document could not be fetched.
    Unavailable,
    /// A body has more than a mebibyte.
    TooLarge,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Error::NotGranted => "the origin is not granted; add it to spec.grants.http",
            Error::Invalid => {
                "the request is none; its URL must be absolute and its headers sendable"
            }
            Error::Timeout => "there was no answer in time",
            Error::Unavailable => "the service does not answer",
            Error::TooLarge => "a body has more than a mebibyte",
        })
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NotGranted => Error::NotGranted,
            host::Error::Invalid => Error::Invalid,
            host::Error::Timeout => Error::Timeout,
            host::Error::Unavailable => Error::Unavailable,
            host::Error::TooLarge => Error::TooLarge,
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request(host::Request);

impl Request {
    /// A request without headers and body, to an absolute URL.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self(host::Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
        })
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// With a body, of at most a mebibyte.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// With another time than a second until the answer is whole; at most ten seconds.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.0.timeout = Some(nanoseconds(time));
        self
    }

    /// Sends it, and waits for the whole answer.
    pub fn send(&self) -> Result<Response, Error> {
        let answer = host::send(&self.0)?;
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A document that the host fetches again and again, once for all instances.
#[derive(Clone, Debug)]
pub struct Document {
    url: String,
    freshness: host::Freshness,
}

impl Document {
    /// The document at a URL: fetched again after `refresh` (at least a second), and `ttl` after it was fetched last not given out any more
    /// (none: good for ever).
    #[must_use]
    pub fn new(url: impl Into<String>, refresh: Duration, ttl: Option<Duration>) -> Self {
        Self {
            url: url.into(),
            freshness: host::Freshness {
                refresh: nanoseconds(refresh),
                ttl: ttl.map_or(0, nanoseconds),
            },
        }
    }

    /// Its bytes and their revision, if that is another than the one `known`; zero is known to nobody.
    pub fn newer_than(&self, known: u64) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let found = host::read_document(&self.url, self.freshness, known)?;
        Ok(found.body.map(|body| (found.revision, body)))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
