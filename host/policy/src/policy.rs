//! A compiled policy: whom it concerns, when, what is asked, and what a missing answer means.

mod compile;
mod filter;
mod hooks;
mod selector;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use crate::attributes::Attributes;
use crate::expression::Condition;
use crate::fault::{FailurePolicy, Unavailable};
use crate::hook::{Asked, Step};
use crate::key::ObjectKey;
use crate::plugin::{Binding, Hook, Plugin, Unanswered};
use crate::template::Answer;
use crate::verdict::{Approval, Denial, HeaderOperation};

pub(crate) use compile::Compiler;
pub use filter::{BodyVerdict, Change, Exchange, Filter, HeadVerdict, Reply};
pub(crate) use selector::Selector;

/// For the request and for the response.
type Operations = (Vec<HeaderOperation>, Vec<HeaderOperation>);

/// On which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// At the destination, before the pod sees the request.
    Inbound,
    /// At the source, before an endpoint is chosen.
    Outbound,
}

/// Whether verdicts bite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They are recorded and change nothing.
    Shadow,
}

/// Whom a policy concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Everything in the policy's namespace; in the root namespace, the whole mesh.
    Everything,
    /// Everything in a namespace.
    Namespace(String),
    /// A service.
    Service(String),
    /// What comes through a gateway.
    Gateway(String),
    /// Pods with these labels.
    Workloads(Selector),
}

/// A policy, checked against the attributes and its plugins' types, ready to be asked.
#[derive(Debug)]
pub struct CompiledPolicy {
    pub(crate) key: ObjectKey,
    pub(crate) label: Arc<str>,
    pub(crate) targets: Vec<Target>,
    pub(crate) direction: Direction,
    pub(crate) condition: Option<Condition>,
    /// Questions of the check.
    pub(crate) actions: Vec<Action>,
    /// Actions with a hook.
    pub(crate) steps: Vec<Step>,
    pub(crate) mode: Mode,
    pub(crate) failure: Option<FailurePolicy>,
}

/// What to do about a plugin that is not there.
pub(crate) enum Missing {
    /// It is a fault of the policy.
    Fault(String),
    /// The policy is put in force all the same, and each call goes by its failure policy.
    Unavailable(Unavailable),
}

/// One question of a policy.
#[derive(Debug)]
pub(crate) enum Action {
    /// Ask a plugin.
    Ask(Box<Binding>),
    /// The plugin could not be loaded: every call goes by the failure policy.
    Unavailable {
        plugin: Arc<str>,
        missing: Unavailable,
    },
}

impl CompiledPolicy {
    /// Namespace and name of the object.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Plugins that it asks.
    pub fn plugins(&self) -> Vec<&Arc<Plugin>> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Ask(binding) => Some(binding.plugin()),
                Action::Unavailable { .. } => None,
            })
            .chain(self.steps.iter().filter_map(|step| match &step.asked {
                Asked::Plugin { plugin, .. } => Some(plugin),
                Asked::Unavailable { .. } => None,
            }))
            .collect()
    }

    /// True if it has an action with this hook.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.steps.iter().any(|step| step.hook == hook)
    }

    /// What a missing answer of a step means: the policy's own word counts before the plugin's.
    pub(crate) fn failure_of(&self, asked: &Asked) -> FailurePolicy {
        self.failure.unwrap_or(asked.failure_policy())
    }

    /// True if the policy's `match` holds; a step is asked only then.
    ///
    /// # Errors
    /// The expression cannot be computed: what that means is the failure policy's to say.
    pub(crate) fn applies<'a>(&'a self, attributes: &'a Attributes<'a>) -> Result<bool, String> {
        self.condition.as_ref().map_or(Ok(true), |condition| {
            condition
                .evaluate(attributes)
                .map_err(|error| format!("match cannot be computed: {error}"))
        })
    }

    /// Whether verdicts bite.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Asks every action in turn; the first refusal decides.
    pub(crate) fn check<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        if let Some(condition) = &self.condition {
            match condition.evaluate(attributes) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(_) if self.all_ignore() => return Ok(()),
                Err(error) => {
                    let reason = format!("match cannot be computed: {error}");
                    return self.concluded(Err(self.failed("".into(), reason)), approval);
                }
            }
        }
        for action in &self.actions {
            let outcome = match action {
                Action::Ask(binding) => self.ask(binding, attributes, approval),
                Action::Unavailable { plugin, missing } => {
                    self.unanswered(plugin, missing.failure, &missing.reason)
                }
            };
            self.concluded(outcome, approval)?;
        }
        Ok(())
    }

    /// In shadow mode a denial is only written down.
    fn concluded(
        &self,
        outcome: Result<(), Box<Denial>>,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        match (outcome, self.mode) {
            (Err(denial), Mode::Shadow) => {
                tracing::debug!(policy = %self.label, plugin = %denial.plugin, reason = %denial.reason, "shadow: would deny");
                approval.shadow.push(*denial);
                Ok(())
            }
            (outcome, _) => outcome,
        }
    }

    fn ask<'a>(
        &'a self,
        binding: &'a Binding,
        attributes: &'a Attributes<'a>,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        let plugin = binding.plugin();
        let answer = match binding.ask(attributes) {
            Ok(answer) => answer,
            Err(Unanswered(reason)) => {
                binding.verdicts.failed.inc();
                return self.unanswered(plugin.label(), plugin.failure_policy(), &reason);
            }
        };
        let answer = Arc::try_unwrap(answer).unwrap_or_else(|shared| (*shared).clone());
        match self.verdict(plugin, answer) {
            Ok((request, response)) => {
                binding.verdicts.allowed.inc();
                self.allowed(plugin, (request, response), approval);
                Ok(())
            }
            Err(denial) => {
                binding.verdicts.denied.inc();
                Err(denial)
            }
        }
    }

    /// Header operations of the request and of the response, or the denial.
    fn verdict(&self, plugin: &Plugin, answer: Answer) -> Result<Operations, Box<Denial>> {
        match answer {
            Answer::Allow {
                request, response, ..
            } => Ok((request, response)),
            Answer::Granted {
                amount: 1..,
                response,
            } => Ok((Vec::new(), response)),
            Answer::Granted { .. } => {
                Err(self.refused(plugin, "nothing was granted".into(), None, Vec::new()))
            }
            Answer::Refused {
                reason,
                retry_after,
                headers,
            } => Err(self.refused(plugin, reason, retry_after, headers)),
            Answer::Deny {
                status,
                reason,
                headers,
                body,
                ..
            } => Err(Box::new(Denial {
                status,
                headers,
                body: Bytes::from(body),
                policy: self.label.clone(),
                plugin: plugin.label().clone(),
                reason,
                failed: false,
            })),
        }
    }

    fn allowed(&self, plugin: &Plugin, (request, response): Operations, approval: &mut Approval) {
        if self.mode == Mode::Shadow {
            return;
        }
        approval.request_headers.extend(request);
        approval.response_headers.extend(response);
        approval
            .decided_by
            .push((self.label.clone(), plugin.label().clone()));
    }

    /// Quota's refusal: 429, and when to come back.
    fn refused(
        &self,
        plugin: &Plugin,
        reason: String,
        retry_after: Option<Duration>,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Box<Denial> {
        if let Some(time) = retry_after {
            // Whole seconds, rounded up: coming back early would only be refused again.
            let seconds = time.as_millis().div_ceil(1000).max(1);
            let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
            headers.push((header::RETRY_AFTER, seconds));
        }
        Box::new(Denial {
            status: 429,
            headers,
            body: Bytes::from_static(b"Too many requests.\n"),
            policy: self.label.clone(),
            plugin: plugin.label().clone(),
            reason,
            failed: false,
        })
    }

    /// A question without an answer: the policy's own word counts before the plugin's.
    fn unanswered(
        &self,
        plugin: &Arc<str>,
        own: FailurePolicy,
        reason: &str,
    ) -> Result<(), Box<Denial>> {
        match self.failure.unwrap_or(own) {
            FailurePolicy::Ignore => Ok(()),
            FailurePolicy::Fail => Err(self.failed(plugin.clone(), reason.to_owned())),
        }
    }

    /// True if no action would refuse a call for want of an answer.
    fn all_ignore(&self) -> bool {
        self.actions.iter().all(|action| {
            let own = match action {
                Action::Ask(binding) => binding.plugin().failure_policy(),
                Action::Unavailable { missing, .. } => missing.failure,
            };
            self.failure.unwrap_or(own) == FailurePolicy::Ignore
        })
    }

    /// No answer and the failure policy is Fail. The caller learns nothing of the inside.
    pub(crate) fn failed(&self, plugin: Arc<str>, reason: String) -> Box<Denial> {
        Box::new(Denial {
            status: 500,
            headers: Vec::new(),
            body: Bytes::from_static(b"A policy could not be decided.\n"),
            policy: self.label.clone(),
            plugin,
            reason,
            failed: true,
        })
    }
}
