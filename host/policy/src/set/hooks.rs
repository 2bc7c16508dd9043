//! The hooks of all policies in force, in the order of the policies.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use osier_engine::plugin::hooks::Hook;

use super::{PolicySet, Scope, Side, generate};
use crate::fault::FailurePolicy;
use crate::hook::{
    Admission, Candidate, Choice, Endpoint, NodeView, Opinion, PodView, Rejection, Request, Review,
    Said, Step,
};
use crate::plugin::Unanswered;
use crate::policy::{CompiledPolicy, Direction, Filter, FilterMiddleware, FilterStream, Mode};
use crate::verdict::{Decision, Denial, Outcome};
use osier_expressions::Attributes;

/// A filter that concerns a call.
pub enum FilterKind {
    /// A component that is asked about whole messages.
    Messages(Filter),
    /// A module of proxy-wasm that sees the exchange pass.
    Stream(FilterStream),
    /// A component of wasi:http that carries the exchange.
    Middleware(FilterMiddleware),
}

impl PolicySet {
    /// True if some policy of that side filters. False costs the caller nothing more.
    #[must_use]
    pub fn has_filters(&self, direction: Direction) -> bool {
        !self.filters[direction as usize].is_empty()
    }

    /// True if some policy chooses among the destinations of routes.
    #[must_use]
    pub fn has_routes(&self) -> bool {
        !self.routes.is_empty()
    }

    /// True if some policy chooses among endpoints.
    #[must_use]
    pub fn has_balances(&self) -> bool {
        !self.balances.is_empty()
    }

    /// True if some policy reviews writes.
    #[must_use]
    pub fn has_admits(&self) -> bool {
        !self.admits.is_empty()
    }

    /// True if some policy has a say in where pods run.
    #[must_use]
    pub fn has_schedules(&self) -> bool {
        !self.schedules.is_empty()
    }

    /// The filters that concern a call, in their order.
    ///
    /// # Errors
    /// A policy's `match` could not be computed, or a generator gave no answer, and the failure policy is Fail.
    pub fn filters<'a>(
        &'a self,
        scope: &Scope<'a>,
        attributes: &'a Attributes<'a>,
        trail: &mut Vec<Decision>,
    ) -> Result<Vec<FilterKind>, Box<Denial>> {
        let side = &self.filters[scope.direction as usize];
        let mut filters = Vec::new();
        self.applying(
            (side, Hook::Filter),
            (scope, attributes),
            trail,
            &mut |(policy, place, _), attributes, _| {
                if let Some(middleware) = FilterMiddleware::new(policy, place) {
                    filters.push(FilterKind::Middleware(middleware));
                    return Ok(());
                }
                match FilterStream::new(policy, place, attributes) {
                    Some(stream) => filters.push(FilterKind::Stream(stream)),
                    None => {
                        let filter = Filter::new(Arc::clone(policy), place);
                        filters.push(FilterKind::Messages(filter));
                    }
                }
                Ok(())
            },
        )?;
        Ok(filters)
    }

    /// The destination that a policy chooses; none leaves it to the route's weights.
    ///
    /// # Errors
    /// A plugin gave no answer, and the failure policy is Fail.
    pub fn route<'a>(
        &'a self,
        (scope, attributes): (&Scope<'a>, &'a Attributes<'a>),
        (request, headers): (&Request<'_>, &HeaderMap),
        candidates: &[Candidate<'_>],
        trail: &mut Vec<Decision>,
    ) -> Result<Option<Choice>, Box<Denial>> {
        let mut chosen = None;
        self.applying(
            (&self.routes, Hook::Route),
            (scope, attributes),
            trail,
            &mut |(policy, _, step), _, trail| {
                if chosen.is_none() {
                    let began = Instant::now();
                    let choice = step.route(request, headers, candidates);
                    let named = |choice: &Choice| named(candidates, choice.candidate);
                    trail.push(decision(policy, step, began, (&choice, &named)));
                    chosen = heeded(policy, step, choice)?;
                }
                Ok(())
            },
        )?;
        Ok(chosen)
    }

    /// The endpoint that a policy chooses; none leaves it to the service's balancer.
    ///
    /// # Errors
    /// A plugin gave no answer, and the failure policy is Fail.
    pub fn balance<'a>(
        &'a self,
        (scope, attributes): (&Scope<'a>, &'a Attributes<'a>),
        (request, headers): (&Request<'_>, &HeaderMap),
        endpoints: &[Endpoint<'_>],
        trail: &mut Vec<Decision>,
    ) -> Result<Option<usize>, Box<Denial>> {
        let mut chosen = None;
        self.applying(
            (&self.balances, Hook::Balance),
            (scope, attributes),
            trail,
            &mut |(policy, _, step), _, trail| {
                if chosen.is_none() {
                    let began = Instant::now();
                    let place = step.balance(request, headers, endpoints);
                    let pod = |place: &usize| {
                        let chosen = endpoints.get(*place);
                        chosen.map_or_else(String::new, |one| one.pod.to_owned())
                    };
                    trail.push(decision(policy, step, began, (&place, &pod)));
                    chosen = heeded(policy, step, place)?;
                }
                Ok(())
            },
        )?;
        Ok(chosen)
    }

    /// Reviews a write. Patches are not joined: `after` the first one the rest are asked about the changed object by another call, which
    /// begins where this one ended.
    ///
    /// # Errors
    /// A plugin refuses, or gave no answer and the failure policy is Fail.
    pub fn admit(
        &self,
        review: &Review<'_>,
        after: usize,
    ) -> Result<(Admission, usize), Box<Rejection>> {
        let mut admission = Admission::default();
        let steps = self.admits.iter().flat_map(|place| {
            let policy = &self.policies[*place];
            policy.steps.iter().map(move |step| (policy, step))
        });
        for (number, (policy, step)) in steps.enumerate().skip(after) {
            let namespace = policy.key.namespace.as_str();
            let within = namespace == self.root || namespace == review.namespace;
            if !within || !step.concerns(review) {
                continue;
            }
            match step.admit(review) {
                Ok(Said::Allow { warnings }) => {
                    let named = |text: String| format!("{}: {text}", policy.label);
                    admission.warnings.extend(warnings.into_iter().map(named));
                }
                Ok(Said::Patch(patch)) if policy.mode() == Mode::Enforce => {
                    admission.patch = Some(patch);
                    admission.policy = policy.label.clone();
                    return Ok((admission, number + 1));
                }
                Ok(Said::Patch(_)) => {}
                Ok(Said::Deny { reason, field }) => {
                    let rejection = rejected(policy, step, (reason, field), false);
                    if let Some(rejection) = bites(policy, rejection, &mut admission) {
                        return Err(rejection);
                    }
                }
                Err(Unanswered(reason)) => {
                    if policy.failure_of(&step.asked) == FailurePolicy::Fail {
                        let rejection = rejected(policy, step, (reason, String::new()), true);
                        if let Some(rejection) = bites(policy, rejection, &mut admission) {
                            return Err(rejection);
                        }
                    }
                }
            }
        }
        Ok((admission, usize::MAX))
    }

    /// One opinion for each node: refused by one plugin is refused, scores are added.
    ///
    /// # Errors
    /// A plugin gave no answer, and the failure policy is Fail.
    pub fn schedule(
        &self,
        pod: &PodView<'_>,
        nodes: &[NodeView<'_>],
    ) -> Result<Vec<Opinion>, String> {
        let mut opinions = vec![Opinion::Score(0); nodes.len()];
        for place in &self.schedules {
            let policy = &self.policies[*place];
            if policy.key.namespace != self.root && policy.key.namespace != pod.namespace {
                continue;
            }
            for step in &policy.steps {
                match step.score(pod, nodes) {
                    Ok(_) if policy.mode() == Mode::Shadow => {}
                    Ok(own) => add(&mut opinions, own),
                    Err(Unanswered(reason)) => {
                        let fails = policy.failure_of(&step.asked) == FailurePolicy::Fail;
                        if fails && policy.mode() == Mode::Enforce {
                            return Err(format!("policy {}: {reason}", policy.label));
                        }
                    }
                }
            }
        }
        Ok(opinions)
    }

    /// Visits the steps of one hook whose policies concern a call and match it, with what generators told of it.
    fn applying<'a>(
        &'a self,
        (side, hook): (&'a Side, Hook),
        (scope, attributes): (&Scope<'a>, &'a Attributes<'a>),
        trail: &mut Vec<Decision>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Box<Denial>> {
        let generated = self.generated(scope, attributes, trail)?;
        generate::with(generated.as_deref(), attributes, |attributes| {
            side.each(scope, &mut |place| {
                let policy = &self.policies[place];
                let applies = policy.applies(attributes);
                for (number, step) in policy.steps.iter().enumerate() {
                    if step.hook != hook || step.asked.is_called_by(attributes) {
                        continue;
                    }
                    match &applies {
                        Ok(true) => visit((policy, number, step), attributes, trail)?,
                        Ok(false) => {}
                        Err(reason) => {
                            let unanswered = Err(Unanswered(reason.clone()));
                            heeded::<()>(policy, step, unanswered)?;
                        }
                    }
                }
                Ok(())
            })
        })
    }
}

/// What is done with a step, its policy and its place there: with what is known of the call, and for those who want to know what was decided.
type Visit<'v> = dyn FnMut(
        (&Arc<CompiledPolicy>, usize, &Step),
        &Attributes<'_>,
        &mut Vec<Decision>,
    ) -> Result<(), Box<Denial>>
    + 'v;

/// What was answered to a question about a choice, and how a chosen one is named.
type Answered<'a, T> = (&'a Result<Option<T>, Unanswered>, &'a dyn Fn(&T) -> String);

/// What became of a question about a choice.
fn decision<T>(
    policy: &CompiledPolicy,
    step: &Step,
    began: Instant,
    (answer, name): Answered<'_, T>,
) -> Decision {
    let (outcome, reason) = match (answer, policy.mode()) {
        (Ok(None), _) => (Outcome::Left, String::new()),
        (Ok(Some(chosen)), Mode::Enforce) => (Outcome::Chosen, name(chosen)),
        (Ok(Some(chosen)), Mode::Shadow) => (Outcome::Shadowed, name(chosen)),
        (Err(Unanswered(reason)), mode) => {
            let fails = policy.failure_of(&step.asked) == FailurePolicy::Fail;
            match fails && mode == Mode::Enforce {
                true => (Outcome::Failed, reason.clone()),
                false => (Outcome::Ignored, reason.clone()),
            }
        }
    };
    Decision {
        policy: policy.label.clone(),
        plugin: step.asked.label().clone(),
        template: step.hook.name().into(),
        place: 0,
        outcome,
        reason,
        cached: false,
        began: Some(began),
        took: began.elapsed(),
        identity: None,
        generated: None,
    }
}

/// A candidate in words.
fn named(candidates: &[Candidate<'_>], place: usize) -> String {
    candidates.get(place).map_or_else(String::new, |one| {
        let subset = match one.subset {
            "" => String::new(),
            subset => format!(" subset {subset}"),
        };
        format!("{}{subset}", one.host)
    })
}

/// An answer that counts: not in shadow mode, and without one the failure policy speaks.
fn heeded<T>(
    policy: &CompiledPolicy,
    step: &Step,
    answer: Result<Option<T>, Unanswered>,
) -> Result<Option<T>, Box<Denial>> {
    match (answer, policy.mode()) {
        (Ok(chosen), Mode::Enforce) => Ok(chosen),
        (Err(Unanswered(reason)), Mode::Enforce)
            if policy.failure_of(&step.asked) == FailurePolicy::Fail =>
        {
            let mut denial = policy.failed(step.asked.label().clone(), reason);
            denial.status = step.asked.status();
            Err(denial)
        }
        _ => Ok(None),
    }
}

fn rejected(
    policy: &CompiledPolicy,
    step: &Step,
    (reason, field): (String, String),
    failed: bool,
) -> Box<Rejection> {
    Box::new(Rejection {
        reason,
        field,
        policy: policy.label.clone(),
        plugin: step.asked.label().clone(),
        failed,
    })
}

/// In shadow mode a rejection is only said.
fn bites(
    policy: &CompiledPolicy,
    rejection: Box<Rejection>,
    admission: &mut Admission,
) -> Option<Box<Rejection>> {
    if policy.mode() == Mode::Enforce {
        return Some(rejection);
    }
    admission.warnings.push(format!(
        "{}: would be refused: {}",
        policy.label, rejection.reason
    ));
    None
}

fn add(opinions: &mut [Opinion], own: Vec<Opinion>) {
    for (sum, own) in opinions.iter_mut().zip(own) {
        match (&mut *sum, own) {
            (Opinion::Score(sum), Opinion::Score(own)) => *sum = sum.saturating_add(own),
            (Opinion::Score(_), refused) => *sum = refused,
            (Opinion::Infeasible(_), _) => {}
        }
    }
}
