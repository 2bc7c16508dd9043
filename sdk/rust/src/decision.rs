//! What a check answers, built by method calls.

use std::time::Duration;

use crate::bindings::host::osier::policy::types::{
    self as wit, Approval, Denial, Header, HeaderOperation,
};

/// Yes with header operations, or no with an answer for the caller; either may say how long it holds.
#[derive(Clone, Debug)]
pub struct Decision {
    denied: Option<(u16, String, String)>,
    headers: Vec<(String, String)>,
    request: Vec<HeaderOperation>,
    response: Vec<HeaderOperation>,
    valid_for: Option<Duration>,
    valid_uses: Option<u32>,
}

impl Decision {
    fn new(denied: Option<(u16, String, String)>) -> Self {
        Self {
            denied,
            headers: Vec::new(),
            request: Vec::new(),
            response: Vec::new(),
            valid_for: None,
            valid_uses: None,
        }
    }

    /// The call passes.
    #[must_use]
    pub fn allow() -> Self {
        Self::new(None)
    }

    /// The call is answered with this HTTP status (400 to 599).
    #[must_use]
    pub fn deny(status: u16) -> Self {
        Self::new(Some((status, String::new(), String::new())))
    }

    /// True for a denial.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.denied.is_some()
    }

    /// The status of a denial.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.denied.as_ref().map(|denied| denied.0)
    }

    /// Why; for logs, never sent to the caller.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        if let Some(denied) = &mut self.denied {
            denied.1 = reason.into();
        }
        self
    }

    /// The body of a denial.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        if let Some(denied) = &mut self.denied {
            denied.2 = body.into();
        }
        self
    }

    /// A header of the response: the denial's, or the one that the called service gives.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a header of the request before it is sent on.
    #[must_use]
    pub fn request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request
            .push(HeaderOperation::Set(header(name.into(), value.into())));
        self
    }

    /// Removes a header of the request before it is sent on.
    #[must_use]
    pub fn without_request_header(mut self, name: impl Into<String>) -> Self {
        self.request.push(HeaderOperation::Remove(name.into()));
        self
    }

    /// Removes a header of the response.
    #[must_use]
    pub fn without_response_header(mut self, name: impl Into<String>) -> Self {
        self.response.push(HeaderOperation::Remove(name.into()));
        self
    }

    /// The same question may be answered from the host's cache for this long.
    #[must_use]
    pub fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }

    /// ... and at most this many times.
    #[must_use]
    pub fn valid_uses(mut self, uses: u32) -> Self {
        self.valid_uses = Some(uses);
        self
    }
}

pub(crate) fn header(name: String, value: String) -> Header {
    Header { name, value }
}

pub(crate) fn span(time: Duration) -> wit::Duration {
    wit::Duration {
        nanoseconds: i64::try_from(time.as_nanos()).unwrap_or(i64::MAX),
    }
}

impl From<Decision> for wit::Decision {
    fn from(own: Decision) -> Self {
        let valid_for = own.valid_for.map(span);
        let headers = own
            .headers
            .into_iter()
            .map(|(name, value)| header(name, value));
        let Some((status, reason, body)) = own.denied else {
            let mut response_headers = own.response;
            response_headers.extend(headers.map(HeaderOperation::Set));
            if own.request.is_empty() && response_headers.is_empty() && valid_for.is_none() {
                return wit::Decision::Allow;
            }
            return wit::Decision::AllowWith(Approval {
                request_headers: own.request,
                response_headers,
                valid_for,
                valid_uses: own.valid_uses,
            });
        };
        wit::Decision::Deny(Denial {
            status,
            reason,
            headers: headers.collect(),
            body,
            valid_for,
            valid_uses: own.valid_uses,
        })
    }
}
