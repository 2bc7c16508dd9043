//! The filter hook: a message's head, and where the plugin asks for it its body, in; changes or an answer out.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use osier_engine::plugin::FunctionHandle;
pub use osier_engine::plugin::hooks::filter::Exchange;
use osier_engine::plugin::hooks::{self, Handles, filter as wire};

use super::{CompiledPolicy, Mode};
use crate::fault::FailurePolicy;
use crate::hook::{Asked, Step, header, name, texts, value};
use crate::plugin::Unanswered;
use crate::verdict::HeaderOperation;

/// A filter of a policy that concerns an exchange.
#[derive(Clone, Debug)]
pub struct Filter {
    policy: Arc<CompiledPolicy>,
    step: usize,
}

/// One change to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of a header.
    Header(HeaderOperation),
    /// Of the path with query.
    Path(PathAndQuery),
    /// Of the authority.
    Authority(Authority),
    /// Of the method.
    Method(Method),
    /// Of the status.
    Status(StatusCode),
}

/// An answer in place of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body.
    pub body: Bytes,
    /// `NAMESPACE/NAME` of the policy.
    pub policy: Arc<str>,
    /// `NAMESPACE/NAME` of the plugin.
    pub plugin: Arc<str>,
    /// Why, for logs; never sent to the caller.
    pub reason: String,
}

/// What becomes of a message when its head is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadVerdict {
    /// It goes on.
    Proceed(Vec<Change>),
    /// This is sent instead.
    Respond(Box<Reply>),
    /// The decision needs the body, of at most so many bytes.
    NeedBody(u64),
    /// It stays until the filter says otherwise. Only streams of proxy-wasm do that.
    Wait,
}

/// What becomes of a message when its body is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyVerdict {
    /// It goes on, with another body if there is one.
    Proceed(Vec<Change>, Option<Bytes>),
    /// This is sent instead.
    Respond(Box<Reply>),
}

/// What of a message may be changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Request,
    Response,
}

impl Filter {
    pub(crate) fn new(policy: Arc<CompiledPolicy>, step: usize) -> Self {
        Self { policy, step }
    }

    /// `NAMESPACE/NAME` of the policy and of the plugin.
    #[must_use]
    pub fn label(&self) -> (Arc<str>, Arc<str>) {
        let plugin = self.step().map(|step| step.asked.label().clone());
        (self.policy.label.clone(), plugin.unwrap_or_default())
    }

    /// True if it is called for responses.
    #[must_use]
    pub fn sees_responses(&self) -> bool {
        self.handles(|handles| handles.response).is_some()
    }

    /// True if it is called for trailers. In shadow mode nothing that comes so late is looked at.
    #[must_use]
    pub fn sees_trailers(&self) -> bool {
        self.policy.mode() == Mode::Enforce && self.handles(|handles| handles.trailers).is_some()
    }

    /// The head of a request has come.
    #[must_use]
    pub fn on_request(&self, exchange: &Exchange<'_>, headers: &HeaderMap) -> HeadVerdict {
        // A plugin that is not there stands in the way of requests, as a check would.
        let Some(step) = self.step() else {
            return HeadVerdict::Proceed(Vec::new());
        };
        let function = self.handles(|handles| handles.request);
        if function.is_none() && self.is_there() {
            return HeadVerdict::Proceed(Vec::new());
        }
        let headers = texts(headers);
        let answer = step.asked.ask(|plugin| {
            let (function, _) = function.ok_or_else(missing)?;
            plugin.call_typed(function, (*exchange, headers.as_slice()), 0)
        });
        self.head(step, answer.map(|(verdict,)| verdict), Message::Request)
    }

    /// The body that [`Filter::on_request`] asked for.
    #[must_use]
    pub fn on_request_body(
        &self,
        exchange: &Exchange<'_>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> BodyVerdict {
        let (Some(step), Some((_, function))) =
            (self.step(), self.handles(|handles| handles.request))
        else {
            return BodyVerdict::Proceed(Vec::new(), None);
        };
        let headers = texts(headers);
        let params = (*exchange, headers.as_slice(), body);
        let answer = step
            .asked
            .ask(|plugin| plugin.call_typed(function, params, room(body)));
        self.body(step, answer.map(|(verdict,)| verdict), Message::Request)
    }

    /// The head of a response has come.
    #[must_use]
    pub fn on_response(
        &self,
        exchange: &Exchange<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> HeadVerdict {
        let (Some(step), Some((function, _))) =
            (self.step(), self.handles(|handles| handles.response))
        else {
            return HeadVerdict::Proceed(Vec::new());
        };
        let headers = texts(headers);
        let params = (*exchange, status.as_u16(), headers.as_slice());
        let answer = step
            .asked
            .ask(|plugin| plugin.call_typed(function, params, 0));
        self.head(step, answer.map(|(verdict,)| verdict), Message::Response)
    }

    /// The body that [`Filter::on_response`] asked for.
    #[must_use]
    pub fn on_response_body(
        &self,
        exchange: &Exchange<'_>,
        (status, headers): (StatusCode, &HeaderMap),
        body: &[u8],
    ) -> BodyVerdict {
        let (Some(step), Some((_, function))) =
            (self.step(), self.handles(|handles| handles.response))
        else {
            return BodyVerdict::Proceed(Vec::new(), None);
        };
        let headers = texts(headers);
        let params = (*exchange, status.as_u16(), headers.as_slice(), body);
        let answer = step
            .asked
            .ask(|plugin| plugin.call_typed(function, params, room(body)));
        self.body(step, answer.map(|(verdict,)| verdict), Message::Response)
    }

    /// Trailers have come: what is to be changed.
    ///
    /// # Errors
    /// There was no answer and the failure policy is Fail: the message must not end as if it were whole.
    pub fn on_trailers(
        &self,
        exchange: &Exchange<'_>,
        response: bool,
        trailers: &HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        let (Some(step), Some((of_request, of_response))) =
            (self.step(), self.handles(|handles| handles.trailers))
        else {
            return Ok(Vec::new());
        };
        let function: FunctionHandle = if response { of_response } else { of_request };
        let trailers = texts(trailers);
        let answer = step
            .asked
            .ask(|plugin| plugin.call_typed(function, (*exchange, trailers.as_slice()), 0));
        let operations = answer
            .and_then(|(operations,): (Vec<hooks::HeaderOperation>,)| {
                operations
                    .into_iter()
                    .map(header)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|what| step.asked.misanswered(what))
            })
            .inspect(|_| step.asked.count(true));
        match operations {
            Ok(operations) => Ok(operations),
            Err(_) if self.policy.failure_of(&step.asked) == FailurePolicy::Ignore => {
                Ok(Vec::new())
            }
            Err(Unanswered(reason)) => Err(reason),
        }
    }

    fn step(&self) -> Option<&Step> {
        self.policy.steps.get(self.step)
    }

    fn is_there(&self) -> bool {
        self.step()
            .is_some_and(|step| matches!(step.asked, Asked::Plugin { .. }))
    }

    fn handles<T>(&self, of: impl FnOnce(&Handles) -> Option<T>) -> Option<T> {
        match &self.step()?.asked {
            Asked::Plugin { plugin, .. } => of(plugin.hooks()),
            Asked::Unavailable { .. } => None,
        }
    }

    fn head(
        &self,
        step: &Step,
        answer: Result<wire::HeadVerdict, Unanswered>,
        message: Message,
    ) -> HeadVerdict {
        let verdict = answer.and_then(|verdict| {
            match verdict {
                wire::HeadVerdict::Proceed(operations) => {
                    changes(operations, message).map(HeadVerdict::Proceed)
                }
                wire::HeadVerdict::Respond(response) => self
                    .reply(step, response)
                    .map(|reply| HeadVerdict::Respond(Box::new(reply))),
                wire::HeadVerdict::NeedBody(limit) => Ok(HeadVerdict::NeedBody(limit)),
            }
            .map_err(|what| step.asked.misanswered(what))
        });
        let verdict = match verdict {
            Ok(verdict) => {
                step.asked
                    .count(!matches!(verdict, HeadVerdict::Respond(_)));
                verdict
            }
            Err(Unanswered(reason)) => match self.policy.failure_of(&step.asked) {
                FailurePolicy::Ignore => HeadVerdict::Proceed(Vec::new()),
                FailurePolicy::Fail => HeadVerdict::Respond(Box::new(self.failed(step, reason))),
            },
        };
        match (self.policy.mode(), verdict) {
            (Mode::Enforce, verdict) => verdict,
            (Mode::Shadow, verdict) => {
                if let HeadVerdict::Respond(reply) = &verdict {
                    tracing::debug!(policy = %reply.policy, plugin = %reply.plugin, status = %reply.status, reason = %reply.reason, "shadow: would respond");
                }
                HeadVerdict::Proceed(Vec::new())
            }
        }
    }

    fn body(
        &self,
        step: &Step,
        answer: Result<wire::BodyVerdict, Unanswered>,
        message: Message,
    ) -> BodyVerdict {
        let verdict = answer.and_then(|verdict| {
            match verdict {
                wire::BodyVerdict::Proceed(own) => changes(own.operations, message)
                    .map(|changes| BodyVerdict::Proceed(changes, own.body.map(Bytes::from))),
                wire::BodyVerdict::Respond(response) => self
                    .reply(step, response)
                    .map(|reply| BodyVerdict::Respond(Box::new(reply))),
            }
            .map_err(|what| step.asked.misanswered(what))
        });
        match verdict {
            Ok(verdict) => {
                step.asked
                    .count(!matches!(verdict, BodyVerdict::Respond(_)));
                verdict
            }
            Err(Unanswered(reason)) => match self.policy.failure_of(&step.asked) {
                FailurePolicy::Ignore => BodyVerdict::Proceed(Vec::new(), None),
                FailurePolicy::Fail => BodyVerdict::Respond(Box::new(self.failed(step, reason))),
            },
        }
    }

    fn reply(&self, step: &Step, response: wire::Response) -> Result<Reply, String> {
        let status = StatusCode::from_u16(response.status)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()))
            .ok_or_else(|| format!("{} is not a status to respond with", response.status))?;
        let headers = response
            .headers
            .into_iter()
            .map(|header| Ok((name(header.name)?, value(header.value)?)));
        Ok(Reply {
            status,
            headers: headers.collect::<Result<_, String>>()?,
            body: Bytes::from(response.body),
            policy: self.policy.label.clone(),
            plugin: step.asked.label().clone(),
            reason: response.reason,
        })
    }

    /// No answer and the failure policy is Fail. The caller learns nothing of the inside.
    fn failed(&self, step: &Step, reason: String) -> Reply {
        Reply {
            status: StatusCode::from_u16(step.asked.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: Vec::new(),
            body: Bytes::from_static(b"A filter gave no answer.\n"),
            policy: self.policy.label.clone(),
            plugin: step.asked.label().clone(),
            reason,
        }
    }
}

fn missing() -> Unanswered {
    Unanswered("the plugin does not filter requests".to_owned())
}

/// A plugin may give back a body somewhat larger than the one it got.
fn room(body: &[u8]) -> usize {
    body.len().saturating_mul(2)
}

fn changes(operations: Vec<wire::Operation>, message: Message) -> Result<Vec<Change>, String> {
    operations
        .into_iter()
        .map(|operation| change(operation, message))
        .collect()
}

fn change(operation: wire::Operation, message: Message) -> Result<Change, String> {
    let only = |wanted: Message, what: &str| {
        if message == wanted {
            Ok(())
        } else {
            Err(format!("this message has no {what} to change"))
        }
    };
    match operation {
        wire::Operation::Header(operation) => header(operation).map(Change::Header),
        wire::Operation::Path(path) => {
            only(Message::Request, "path")?;
            if !path.starts_with('/') {
                return Err(format!("the path {path:?} does not begin with /"));
            }
            path.parse()
                .map(Change::Path)
                .map_err(|_| format!("{path:?} is not a path"))
        }
        wire::Operation::Authority(authority) => {
            only(Message::Request, "authority")?;
            authority
                .parse()
                .map(Change::Authority)
                .map_err(|_| format!("{authority:?} is not a host"))
        }
        wire::Operation::Method(method) => {
            only(Message::Request, "method")?;
            Method::from_bytes(method.as_bytes())
                .ok()
                .filter(|method| *method != Method::CONNECT)
                .map(Change::Method)
                .ok_or_else(|| format!("{method:?} is not a method"))
        }
        wire::Operation::Status(status) => {
            only(Message::Response, "status")?;
            StatusCode::from_u16(status)
                .ok()
                .filter(|status| !status.is_informational())
                .map(Change::Status)
                .ok_or_else(|| format!("{status} is not a final status"))
        }
    }
}
