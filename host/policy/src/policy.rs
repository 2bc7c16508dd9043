//! A compiled policy: whom it concerns, when, what is asked, and what a missing answer means.

mod answered;
mod attached;
mod compile;
mod filter;
mod generator;
mod headers;
mod hooks;
mod known;
mod middleware;
mod outputs;
mod rollout;
mod shadow;
mod stream;
mod targets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use osier_engine::plugin::hooks::Hook;

use crate::fault::{FailurePolicy, NO_ANSWER, NOT_THERE, Unavailable};
use crate::hook::{Asked, Step};
use crate::key::ObjectKey;
use crate::output::Output;
use crate::plugin::{Binding, Plugin, Reporting, Unanswered};
use crate::template::{EMPTY, Rehearsal};
use crate::verdict::{Approval, Decision, Denial, HeaderOperation, Outcome};
use osier_expressions::Attributes;
use osier_expressions::Condition;
use osier_expressions::EvaluationError;

pub use attached::Sought;
pub(crate) use compile::Compiler;
pub use filter::{BodyVerdict, Change, Exchange, Filter, HeadVerdict, Reply};
use generator::Generator;
use headers::HeaderRule;
use known::Known;
pub use middleware::{Carried, CarriedExchange, FilterMiddleware};
pub(crate) use osier_spec::Selector;
pub(crate) use rollout::Rollout;
pub use rollout::RolloutState;
pub use stream::{ChunkVerdict, FilterStream};

/// Whether the action at a place of a policy was charged for an earlier try of the same request.
pub(crate) type Charged<'c> = &'c dyn Fn(&str, usize) -> bool;

/// What a permission brings along: operations for the request and for the response, and what it tells.
type Permission = ([Vec<HeaderOperation>; 2], Option<Arc<Output>>);

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
    /// What an AuthorizationPolicy of the same name asks about, and nothing else.
    Authorization(String),
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
    /// Actions that generate attributes.
    pub(crate) generators: Vec<Generator>,
    /// What the policy itself changes in calls that its checks let pass: in the request, in the response.
    pub(crate) headers: [Vec<HeaderRule>; 2],
    pub(crate) mode: Mode,
    pub(crate) failure: Option<FailurePolicy>,
    /// Another version of the plugin, which gets a part of the calls.
    pub(crate) rollout: Option<Rollout>,
}

/// What to do about a plugin that is not there.
pub(crate) enum Missing {
    /// It is a fault of the policy.
    Fault(String),
    /// The policy is put in force all the same, and each call goes by its failure policy.
    Unavailable(Unavailable),
}

/// Where the output of an action is read: its first place among the extra attributes, and the names of its fields in order.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) first: u16,
    pub(crate) fields: Vec<String>,
}

/// One question of a policy.
#[derive(Debug)]
pub(crate) enum Action {
    /// Ask a plugin. What it tells has a place among the extra attributes of what is asked afterwards.
    Ask(Box<Binding>, Option<Told>),
    /// Tell a plugin when the call has ended.
    Tell(Arc<Reporting>),
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
                Action::Ask(binding, _) => Some(binding.plugin()),
                Action::Tell(reporting) => Some(reporting.plugin()),
                Action::Unavailable { .. } => None,
            })
            .chain(self.steps.iter().filter_map(|step| match &step.asked {
                Asked::Plugin { plugin, .. } => Some(plugin),
                Asked::Unavailable { .. } => None,
            }))
            .chain(self.generators.iter().filter_map(Generator::plugin))
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

    /// True if it asks before a call passes.
    pub(crate) fn asks(&self) -> bool {
        self.actions
            .iter()
            .any(|action| !matches!(action, Action::Tell(_)))
            || self.headers.iter().any(|rules| !rules.is_empty())
    }

    /// True if it adds to what is known of calls.
    pub(crate) fn generates(&self) -> bool {
        !self.generators.is_empty()
    }

    /// True if it tells of calls that have ended.
    pub(crate) fn tells(&self) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::Tell(_)))
    }

    /// Asks every action in turn; the first refusal decides.
    pub(crate) fn check<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        approval: &mut Approval,
        charged: Charged<'_>,
    ) -> Result<(), Box<Denial>> {
        if let Some(condition) = &self.condition {
            match condition.evaluate(attributes) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    let reason = format!("match cannot be computed: {error}");
                    let failure = match self.all_ignore() {
                        true => FailurePolicy::Ignore,
                        false => FailurePolicy::Fail,
                    };
                    let decision = self.decision(&"".into(), &"".into());
                    return self.unanswered(decision, failure, reason, approval);
                }
            }
        }
        let mut known = Known::default();
        for (place, action) in self.actions.iter().enumerate() {
            match action {
                Action::Ask(binding, _) if binding.plugin().makes(attributes) => {}
                Action::Ask(binding, _) if binding.charges() && charged(&self.label, place) => {
                    let mut decision = self.decision(binding.plugin().label(), binding.template());
                    (decision.place, decision.cached) = (place, true);
                    approval.decisions.push(decision);
                }
                Action::Ask(binding, told) => {
                    let output = known.with(attributes, |attributes| {
                        self.ask((place, binding), attributes, approval)
                    })?;
                    if let Some(output) = output {
                        known.learn(output, told.as_ref(), binding.authenticates());
                    }
                }
                Action::Unavailable { plugin, missing } => {
                    let decision = self.decision(plugin, &"".into());
                    self.absent(decision, missing, approval)?;
                }
                Action::Tell(_) => {}
            }
        }
        known.with(attributes, |attributes| {
            self.change_headers(attributes, approval)
        })
    }

    /// The policy's own header operations.
    fn change_headers<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        let operations = |rules: &'a [HeaderRule]| -> Result<Vec<HeaderOperation>, String> {
            let all = rules.iter().map(|rule| rule.operation(attributes));
            all.filter_map(Result::transpose).collect()
        };
        let [request, response] = &self.headers;
        let changes = operations(request).and_then(|own| Ok((own, operations(response)?)));
        match changes {
            Ok(_) if self.mode == Mode::Shadow => Ok(()),
            Ok((request, response)) => {
                approval.request_headers.extend(request);
                approval.response_headers.extend(response);
                Ok(())
            }
            Err(reason) => {
                let failure = self.failure.unwrap_or_default();
                let decision = self.decision(&"".into(), &"headers".into());
                self.unanswered(decision, failure, reason, approval)
            }
        }
    }

    /// What [`PolicySet::rehearse`](crate::PolicySet::rehearse) does of one policy.
    pub(crate) fn rehearse<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        kept: &mut Rehearsal,
    ) -> Result<(), EvaluationError> {
        if let Some(condition) = &self.condition
            && !condition.evaluate(attributes)?
        {
            return Ok(());
        }
        kept.0.resize(kept.0.len().max(self.actions.len()), EMPTY);
        let mut places = self.actions.iter().zip(&mut kept.0);
        places.try_for_each(|(action, place)| match action {
            Action::Ask(binding, _) => binding.fill(attributes, place),
            _ => Ok(()),
        })
    }

    /// Tells of a call that has ended.
    pub(crate) fn report<'a>(&'a self, attributes: &'a Attributes<'a>) {
        let wanted = self
            .condition
            .as_ref()
            .map_or(Ok(true), |condition| condition.evaluate(attributes));
        for action in &self.actions {
            let Action::Tell(reporting) = action else {
                continue;
            };
            let early = reporting.settles() && attributes.connection.lives();
            if early || reporting.plugin().makes(attributes) {
                continue;
            }
            match &wanted {
                Ok(true) => reporting.record(attributes),
                Ok(false) => return,
                Err(error) => reporting.undecided(&self.label, error),
            }
        }
    }

    /// Of a question that is about to be asked.
    fn decision(&self, plugin: &Arc<str>, template: &Arc<str>) -> Decision {
        Decision {
            policy: self.label.clone(),
            plugin: plugin.clone(),
            template: template.clone(),
            place: 0,
            outcome: Outcome::Allowed,
            reason: String::new(),
            cached: false,
            began: None,
            took: Duration::ZERO,
            identity: None,
            generated: None,
        }
    }

    /// What the plugin tells, if it lets the call pass.
    fn ask<'a>(
        &'a self,
        (place, binding): (usize, &'a Binding),
        attributes: &'a Attributes<'a>,
        approval: &mut Approval,
    ) -> Result<Option<Arc<Output>>, Box<Denial>> {
        let began = Instant::now();
        let (binding, asked) = self.asked((place, binding), attributes);
        let plugin = binding.plugin();
        let mut decision = self.decision(plugin.label(), binding.template());
        decision.place = place;
        let asked = match asked {
            Ok(asked) => asked,
            Err(Unanswered(reason)) => {
                binding.verdicts.failed.inc();
                (decision.began, decision.took) = (Some(began), began.elapsed());
                let failure = self.failure.unwrap_or(plugin.failure_policy());
                self.unanswered(decision, failure, reason, approval)?;
                return Ok(None);
            }
        };
        (decision.cached, decision.began, decision.took) =
            (asked.cached, Some(asked.began), asked.took);
        let answer = Arc::try_unwrap(asked.answer).unwrap_or_else(|shared| (*shared).clone());
        match self.verdict(plugin, answer) {
            Ok((operations, output)) => {
                binding.verdicts.allowed.inc();
                // In shadow mode nothing changes for other policies, not even who is known to call.
                if binding.authenticates() && self.mode == Mode::Enforce {
                    decision.identity.clone_from(&output);
                }
                self.allowed(decision, operations, approval);
                Ok(output)
            }
            Err(denial) => {
                binding.verdicts.denied.inc();
                self.denied(decision, denial, approval)?;
                Ok(None)
            }
        }
    }

    /// A refusal; in shadow mode it is only written down.
    fn denied(
        &self,
        mut decision: Decision,
        denial: Box<Denial>,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        decision.reason.clone_from(&denial.reason);
        let shadow = self.mode == Mode::Shadow;
        decision.outcome = match (shadow, denial.failed) {
            (true, _) => Outcome::Shadowed,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Denied,
        };
        approval.decisions.push(decision);
        if shadow {
            tracing::debug!(policy = %self.label, plugin = %denial.plugin, reason = %denial.reason, "shadow: would deny");
            approval.shadow.push(*denial);
            return Ok(());
        }
        Err(denial)
    }

    fn allowed(
        &self,
        decision: Decision,
        [request, response]: [Vec<HeaderOperation>; 2],
        approval: &mut Approval,
    ) {
        approval.decisions.push(decision);
        if self.mode == Mode::Shadow {
            return;
        }
        approval.request_headers.extend(request);
        approval.response_headers.extend(response);
    }

    /// A question without an answer goes by the failure policy.
    fn unanswered(
        &self,
        mut decision: Decision,
        failure: FailurePolicy,
        reason: String,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        match failure {
            FailurePolicy::Ignore => {
                (decision.outcome, decision.reason) = (Outcome::Ignored, reason);
                approval.decisions.push(decision);
                Ok(())
            }
            FailurePolicy::Fail => {
                let denial = self.failed(decision.plugin.clone(), reason);
                self.denied(decision, denial, approval)
            }
        }
    }

    /// A question to a plugin that is not there goes by the failure policy too.
    pub(crate) fn absent(
        &self,
        decision: Decision,
        missing: &Unavailable,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        let failure = self.failure.unwrap_or(missing.failure);
        let gone = self.unanswered(decision, failure, missing.reason.clone(), approval);
        gone.map_err(|mut denial| {
            denial.status = NOT_THERE;
            denial
        })
    }

    /// True if no action would refuse a call for want of an answer.
    fn all_ignore(&self) -> bool {
        let mut own = self.actions.iter().filter_map(|action| match action {
            Action::Ask(binding, _) => Some(binding.plugin().failure_policy()),
            Action::Unavailable { missing, .. } => Some(missing.failure),
            Action::Tell(_) => None,
        });
        match self.failure {
            Some(failure) => failure == FailurePolicy::Ignore,
            // What the policy itself does to headers has nobody else's word.
            None if self.headers.iter().any(|rules| !rules.is_empty()) => false,
            None => own.all(|own| own == FailurePolicy::Ignore),
        }
    }

    /// No answer and the failure policy is Fail. The caller learns nothing of the inside.
    pub(crate) fn failed(&self, plugin: Arc<str>, reason: String) -> Box<Denial> {
        Box::new(Denial {
            status: NO_ANSWER,
            headers: Vec::new(),
            body: Bytes::from_static(b"A policy could not be decided.\n"),
            policy: self.label.clone(),
            plugin,
            reason,
            failed: true,
            decisions: Vec::new(),
        })
    }
}
