//! A component of wasi:http as a filter: it is handed the request, and later the answer to what it sent on. In shadow mode it is handed the head
//! alone, beside the request, which goes on at once.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use osier_engine::{CallError, Onward, Passage};
use osier_process::Boxed;
use osier_process::body::Body;

use super::{CompiledPolicy, Mode, Reply};
use crate::fault::FailurePolicy;
use crate::hook::Asked;
use crate::plugin::{Plugin, Unanswered};

/// A middleware of a policy that concerns an exchange.
#[derive(Clone)]
pub struct FilterMiddleware(pub(super) Arc<Inner>);

pub(super) struct Inner {
    policy: Arc<CompiledPolicy>,
    step: usize,
    pub(super) plugin: Arc<Plugin>,
}

/// What became of a request.
pub enum Carried {
    /// It goes on, as the middleware made it; the answer goes back through the exchange.
    On(Request<Body>, Box<CarriedExchange>),
    /// It goes on as it came: the middleware failed, and the failure policy is Ignore.
    Passed(Request<Body>),
    /// The middleware answers itself.
    Answer(Response<Body>),
    /// This is sent instead: there was no answer.
    Respond(Box<Reply>),
}

/// An exchange that waits for the answer to what a middleware sent on. Dropping it ends the guest.
pub struct CarriedExchange {
    filter: FilterMiddleware,
    passage: Passage,
}

impl FilterMiddleware {
    /// The middleware of a step that asks one.
    pub(crate) fn new(policy: &Arc<CompiledPolicy>, step: usize) -> Option<Self> {
        let Asked::Plugin { plugin, .. } = &policy.steps.get(step)?.asked else {
            return None;
        };
        plugin.middleware()?;
        Some(Self(Arc::new(Inner {
            policy: Arc::clone(policy),
            step,
            plugin: Arc::clone(plugin),
        })))
    }

    /// `NAMESPACE/NAME` of the policy and of the plugin.
    #[must_use]
    pub fn label(&self) -> (Arc<str>, Arc<str>) {
        (self.0.policy.label.clone(), self.0.plugin.label().clone())
    }

    /// Hands it a request. Bounded in time.
    #[must_use]
    pub fn carry(&self, request: Request<Body>) -> Boxed<'static, Carried> {
        let own = self.clone();
        if self.0.policy.mode() == Mode::Shadow {
            self.shadow(&request);
            return Box::pin(std::future::ready(Carried::Passed(request)));
        }
        Box::pin(async move {
            let Some(middleware) = own.0.plugin.middleware() else {
                return Carried::Passed(request);
            };
            let began = Instant::now();
            let mut passage = middleware.begin(request);
            let onward = passage.onward().await;
            own.0.plugin.carried(began.elapsed());
            own.0
                .count(!matches!(onward, Ok(Onward::Answer(_)) | Err(_)));
            match onward {
                Ok(Onward::Next(request)) => {
                    let filter = own.clone();
                    Carried::On(request, Box::new(CarriedExchange { filter, passage }))
                }
                Ok(Onward::Answer(response)) => Carried::Answer(response),
                Err(lost) => match own.0.lost(*lost) {
                    Ok(request) => Carried::Passed(request),
                    Err(reply) => Carried::Respond(reply),
                },
            }
        })
    }
}

impl CarriedExchange {
    /// Hands the middleware the answer to what it sent on; what it makes of it. Bounded in time.
    ///
    /// # Errors
    /// This is sent instead: there was no answer.
    #[must_use]
    pub fn back(
        self,
        response: Response<Body>,
    ) -> Boxed<'static, Result<Response<Body>, Box<Reply>>> {
        Box::pin(async move {
            let made = self.passage.back(response).await;
            made.or_else(|lost| self.filter.0.lost(*lost))
        })
    }
}

impl Inner {
    pub(super) fn count(&self, passed: bool) {
        if let Some(step) = self.policy.steps.get(self.step) {
            step.asked.count(passed);
        }
    }

    /// No answer: the message as it came if nobody has touched it and the failure policy is Ignore.
    fn lost<M>(&self, (error, whole): (CallError, Option<M>)) -> Result<M, Box<Reply>> {
        let reason = self.unanswered(&error);
        let step = self.policy.steps.get(self.step);
        let failure = step.map(|step| self.policy.failure_of(&step.asked));
        whole
            .filter(|_| failure == Some(FailurePolicy::Ignore))
            .ok_or_else(|| Box::new(self.failed(reason)))
    }

    /// Counts that there was no answer.
    pub(super) fn unanswered(&self, error: &CallError) -> String {
        let step = self.policy.steps.get(self.step);
        let asked = step.map(|step| {
            step.asked
                .ask(|plugin| Err::<(), _>(plugin.uncarried(error)))
        });
        match asked {
            Some(Err(Unanswered(reason))) => reason,
            _ => error.to_string(),
        }
    }

    fn failed(&self, reason: String) -> Reply {
        Reply {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: Vec::new(),
            body: Bytes::from_static(b"A filter gave no answer.\n"),
            policy: self.policy.label.clone(),
            plugin: self.plugin.label().clone(),
            reason,
        }
    }
}
