//! The hook `filter`: traits for what a plugin filters, and the words it answers with.
//!
//! ```
//! use osier_plugin::filter::{Changes, Exchange, HeadVerdict, Headers, Reply, RequestFilter};
//! use osier_plugin::{NoConfig, Plugin};
//!
//! struct NoRobots;
//!
//! impl Plugin for NoRobots {
//!     type Config = NoConfig;
//!     fn configure(_: NoConfig) -> Result<Self, String> { Ok(Self) }
//! }
//!
//! impl RequestFilter for NoRobots {
//!     fn on_request(&self, exchange: &Exchange, headers: Headers<'_>) -> HeadVerdict {
//!         match headers.get("user-agent") {
//!             Some(agent) if agent.contains("bot") => HeadVerdict::Respond(Reply::new(403).because("a robot")),
//!             _ => HeadVerdict::Proceed(Changes::none().set("x-line", format!("{} {}", exchange.method, exchange.path))),
//!         }
//!     }
//! }
//!
//! osier_plugin::export!(NoRobots: request_filter);
//! ```

use crate::bindings::filters::osier::filter::types as wit;
use crate::bindings::host::osier::policy::types::{Header, HeaderOperation};
use crate::decision::header;
use crate::template::Plugin;

pub use wit::Exchange;

/// Headers of a message, in order; names are lower-case.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub &'a [Header]);

impl<'a> Headers<'a> {
    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let (headers, name) = (self.0, name.to_ascii_lowercase());
        headers
            .iter()
            .filter(move |header| header.name == name)
            .map(|header| header.value.as_str())
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.all("cookie")
            .flat_map(|cookies| cookies.split(';'))
            .find_map(|cookie| {
                let (own, value) = cookie.trim().split_once('=')?;
                (own == name).then_some(value)
            })
    }
}

/// Changes to a message.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    operations: Vec<wit::Operation>,
    body: Option<Vec<u8>>,
}

impl Changes {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    fn with(mut self, operation: wit::Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Replaces every value of a header.
    #[must_use]
    pub fn set(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = header(name.into(), value.into());
        self.with(wit::Operation::Header(HeaderOperation::Set(header)))
    }

    /// Adds a value to a header.
    #[must_use]
    pub fn append(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = header(name.into(), value.into());
        self.with(wit::Operation::Header(HeaderOperation::Append(header)))
    }

    /// Removes a header.
    #[must_use]
    pub fn remove(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with(wit::Operation::Header(HeaderOperation::Remove(name)))
    }

    /// Replaces the path with query (requests).
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        self.with(wit::Operation::Path(path.into()))
    }

    /// Replaces the authority (requests).
    #[must_use]
    pub fn authority(self, authority: impl Into<String>) -> Self {
        self.with(wit::Operation::Authority(authority.into()))
    }

    /// Replaces the method (requests).
    #[must_use]
    pub fn method(self, method: impl Into<String>) -> Self {
        self.with(wit::Operation::Method(method.into()))
    }

    /// Replaces the status (responses).
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.with(wit::Operation::Status(status))
    }

    /// Replaces the body. Only a filter that asked for the body may.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// An answer in place of the message.
#[derive(Clone, Debug)]
pub struct Reply(wit::Response);

impl Reply {
    /// An answer with this status, 200 to 599.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self(wit::Response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            reason: String::new(),
        })
    }

    /// Why, for logs; never sent.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// A header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push(header(name.into(), value.into()));
        self
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// The status, for tests.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }
}

/// What becomes of a message when its head is known.
#[derive(Clone, Debug)]
pub enum HeadVerdict {
    /// It goes on; its body streams by untouched.
    Proceed(Changes),
    /// This is sent instead.
    Respond(Reply),
    /// The decision needs the whole body, of at most so many bytes.
    NeedBody(u64),
}

/// What becomes of a message when its body is known.
#[derive(Clone, Debug)]
pub enum BodyVerdict {
    /// It goes on.
    Proceed(Changes),
    /// This is sent instead.
    Respond(Reply),
}

/// Filters requests (`osier:filter/request`).
pub trait RequestFilter: Plugin {
    /// The head has come.
    fn on_request(&self, exchange: &Exchange, headers: Headers<'_>) -> HeadVerdict;

    /// The body that was asked for; empty if there is none.
    fn on_request_body(
        &self,
        _exchange: &Exchange,
        _headers: Headers<'_>,
        _body: Vec<u8>,
    ) -> BodyVerdict {
        BodyVerdict::Proceed(Changes::none())
    }
}

/// Filters responses (`osier:filter/response`).
pub trait ResponseFilter: Plugin {
    /// The head has come.
    fn on_response(&self, exchange: &Exchange, status: u16, headers: Headers<'_>) -> HeadVerdict;

    /// The body that was asked for; empty if there is none.
    fn on_response_body(
        &self,
        _exchange: &Exchange,
        _status: u16,
        _headers: Headers<'_>,
        _body: Vec<u8>,
    ) -> BodyVerdict {
        BodyVerdict::Proceed(Changes::none())
    }
}

/// Filters trailers (`osier:filter/trailers`). Only header operations count.
pub trait TrailerFilter: Plugin {
    /// The trailers of a request have come.
    fn on_request_trailers(&self, _exchange: &Exchange, _trailers: Headers<'_>) -> Changes {
        Changes::none()
    }

    /// The trailers of a response have come.
    fn on_response_trailers(&self, _exchange: &Exchange, _trailers: Headers<'_>) -> Changes {
        Changes::none()
    }
}

impl Changes {
    /// The operations on headers.
    #[doc(hidden)]
    pub fn into_header_operations(self) -> Vec<HeaderOperation> {
        let header = |operation| match operation {
            wit::Operation::Header(operation) => Some(operation),
            _ => None,
        };
        self.operations.into_iter().filter_map(header).collect()
    }
}

impl From<HeadVerdict> for wit::HeadVerdict {
    fn from(own: HeadVerdict) -> Self {
        match own {
            HeadVerdict::Proceed(changes) => Self::Proceed(changes.operations),
            HeadVerdict::Respond(reply) => Self::Respond(reply.0),
            HeadVerdict::NeedBody(limit) => Self::NeedBody(limit),
        }
    }
}

impl From<BodyVerdict> for wit::BodyVerdict {
    fn from(own: BodyVerdict) -> Self {
        match own {
            BodyVerdict::Proceed(changes) => Self::Proceed(wit::Changes {
                operations: changes.operations,
                body: changes.body,
            }),
            BodyVerdict::Respond(reply) => Self::Respond(reply.0),
        }
    }
}
