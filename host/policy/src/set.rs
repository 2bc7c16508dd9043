//! All policies in force, indexed by whom they concern. Immutable: a change builds a new set, which replaces the old one whole.

mod generate;
mod hooks;
mod rehearse;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use osier_engine::plugin::hooks::Hook;

use crate::policy::{CompiledPolicy, Direction, Selector, Target};
use crate::verdict::{Approval, Denial, Verdict};
use osier_expressions::Texts;
use osier_expressions::{Attributes, Generated, Vocabulary};

pub use hooks::FilterKind;

/// Who is asked about: the place of a call in the mesh.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Which side asks.
    pub direction: Direction,
    /// Namespace of that side: of the called service (inbound) or of the caller (outbound).
    pub namespace: &'a str,
    /// Name of the called service, if it is in that namespace.
    pub service: Option<&'a str>,
    /// Name of what serves all Gateways of this node, if the call came through it: a policy that names it is asked about each of them.
    pub gateway: Option<&'a str>,
    /// The Gateways that the call came through, as `NAMESPACE/NAME`: those that share what is open for it.
    pub gateways: &'a [Arc<str>],
    /// Labels of the pod on that side.
    pub labels: Texts<'a>,
    /// What generating plugins have told of this call before, at this side of it; none: they are asked.
    pub generated: Option<&'a Arc<Generated>>,
}

/// The policies in force.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Arc<CompiledPolicy>>,
    checks: [Side; 2],
    reports: [Side; 2],
    generators: [Side; 2],
    filters: [Side; 2],
    routes: Side,
    balances: Side,
    /// What AuthorizationPolicies ask, by label.
    provided: HashMap<Arc<str>, usize>,
    admits: Vec<usize>,
    schedules: Vec<usize>,
    root: String,
    vocabulary: Arc<Vocabulary>,
}

/// Policies of one direction, by place in `policies`.
#[derive(Debug, Default)]
struct Side {
    mesh: Vec<usize>,
    mesh_workloads: Vec<(Selector, usize)>,
    namespaces: HashMap<String, Namespace>,
    gateways: HashMap<String, Vec<usize>>,
}

#[derive(Debug, Default)]
struct Namespace {
    everything: Vec<usize>,
    services: HashMap<String, Vec<usize>>,
    workloads: Vec<(Selector, usize)>,
}

impl PolicySet {
    /// Indexes policies. Those of the root namespace come first, then by namespace and name, so that the order never depends on chance.
    pub fn new(mut policies: Vec<Arc<CompiledPolicy>>, root_namespace: &str) -> Self {
        policies.sort_by(|a, b| {
            let rank = |policy: &CompiledPolicy| policy.key.namespace != root_namespace;
            (rank(a), &a.key).cmp(&(rank(b), &b.key))
        });
        let mut set = Self {
            root: root_namespace.to_owned(),
            ..Self::default()
        };
        for (place, policy) in policies.iter().enumerate() {
            set.index(place, policy);
        }
        Self { policies, ..set }
    }

    /// The same policies, for whoever must know which attributes they may be asked with.
    #[must_use]
    pub fn speaking(self, vocabulary: Arc<Vocabulary>) -> Self {
        Self { vocabulary, ..self }
    }

    /// The attributes that may be stated to these policies.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn index(&mut self, place: usize, policy: &CompiledPolicy) {
        let side = policy.direction as usize;
        let mut sides = Vec::new();
        if policy.asks() {
            sides.push(&mut self.checks[side]);
        }
        if policy.tells() {
            sides.push(&mut self.reports[side]);
        }
        if policy.generates() {
            sides.push(&mut self.generators[side]);
        }
        if policy.has(Hook::Filter) {
            sides.push(&mut self.filters[side]);
        }
        if policy.has(Hook::Route) {
            sides.push(&mut self.routes);
        }
        if policy.has(Hook::Balance) {
            sides.push(&mut self.balances);
        }
        let asked = |target: &Target| matches!(target, Target::Authorization(_));
        if policy.targets.iter().any(asked) {
            self.provided.insert(Arc::clone(&policy.label), place);
        }
        for side in sides {
            for target in &policy.targets {
                side.add(target, place, &policy.key.namespace, &self.root);
            }
        }
        if policy.has(Hook::Admit) {
            self.admits.push(place);
        }
        if policy.has(Hook::Schedule) {
            self.schedules.push(place);
        }
    }

    /// Number of policies.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// True if nothing is in force.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// May the call pass? Runs on the caller's thread. Without a policy that concerns the call this is two look-ups and no allocation.
    pub fn check<'a>(&'a self, scope: &Scope<'a>, attributes: &'a Attributes<'a>) -> Verdict {
        self.check_again(scope, attributes, &|_, _| false)
    }

    /// As [`PolicySet::check`], for another try of a request: a quota is not asked again if `charged` says, by label of its policy and place
    /// of its action, that it granted the request before.
    pub fn check_again<'a>(
        &'a self,
        scope: &Scope<'a>,
        attributes: &'a Attributes<'a>,
        charged: &dyn Fn(&str, usize) -> bool,
    ) -> Verdict {
        let mut approval = Approval::default();
        if self.policies.is_empty() {
            return Verdict::Allow(approval);
        }
        let generated = self.generated(scope, attributes, &mut approval.decisions);
        let checked = generated.and_then(|generated| {
            generate::with(generated.as_deref(), attributes, |attributes| {
                self.checked(scope, attributes, &mut approval, charged)
            })
        });
        match checked {
            Ok(()) => Verdict::Allow(approval),
            Err(mut denial) => {
                denial.decisions = approval.decisions;
                Verdict::Deny(denial)
            }
        }
    }

    /// Asks every policy that concerns the call; each knows whom those before it have found to be behind it.
    fn checked(
        &self,
        scope: &Scope<'_>,
        attributes: &Attributes<'_>,
        approval: &mut Approval,
        charged: &dyn Fn(&str, usize) -> bool,
    ) -> Result<(), Box<Denial>> {
        self.checks[scope.direction as usize].each(scope, &mut |place| {
            let policy = &self.policies[place];
            match approval.identity().cloned() {
                None => policy.check(attributes, approval, charged),
                Some(identity) => {
                    let mut attributes = *attributes;
                    attributes.request.auth = identity.authentication();
                    policy.check(&attributes, approval, charged)
                }
            }
        })
    }

    /// As [`PolicySet::check_again`], of the policy with this label alone, which the AuthorizationPolicy `by` asks: `None` if there is none
    /// that names that one. Labels are `NAMESPACE/NAME`.
    pub fn provide<'a>(
        &'a self,
        label: &str,
        by: &str,
        attributes: &'a Attributes<'a>,
        charged: &dyn Fn(&str, usize) -> bool,
    ) -> Option<Verdict> {
        let policy = &self.policies[*self.provided.get(label)?];
        let (namespace, name) = by.split_once('/')?;
        let is = |target: &Target| matches!(target, Target::Authorization(own) if own == name);
        let own = policy.key.namespace == namespace || policy.key.namespace == self.root;
        if !own || !policy.targets.iter().any(is) {
            return None;
        }
        let mut approval = Approval::default();
        Some(match policy.check(attributes, &mut approval, charged) {
            Ok(()) => Verdict::Allow(approval),
            Err(mut denial) => {
                denial.decisions = approval.decisions;
                Verdict::Deny(denial)
            }
        })
    }

    /// True if any policy tells of calls that have ended.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.reports.iter().any(|side| !side.is_empty())
    }

    /// A call has ended on this side. Records are built at once and delivered later; nothing waits.
    pub fn report<'a>(&'a self, scope: &Scope<'a>, attributes: &'a Attributes<'a>) {
        let side = &self.reports[scope.direction as usize];
        if side.is_empty() {
            return;
        }
        // Generators that give no answer are counted; the call is told all the same.
        let generated = self.generated(scope, attributes, &mut Vec::new());
        let generated = generated.unwrap_or_default();
        generate::with(generated.as_deref(), attributes, |attributes| {
            let Ok(()) = side.each(scope, &mut |place| -> Result<(), Infallible> {
                self.policies[place].report(attributes);
                Ok(())
            });
        });
    }
}

impl Side {
    fn is_empty(&self) -> bool {
        self.mesh.is_empty()
            && self.mesh_workloads.is_empty()
            && self.namespaces.is_empty()
            && self.gateways.is_empty()
    }

    fn add(&mut self, target: &Target, place: usize, namespace: &str, root: &str) {
        let everywhere = namespace == root;
        match target {
            Target::Everything if everywhere => self.mesh.push(place),
            Target::Workloads(selector) if everywhere => {
                self.mesh_workloads.push((selector.clone(), place));
            }
            Target::Gateway(name) => {
                let places = self.gateways.entry(format!("{namespace}/{name}"));
                places.or_default().push(place);
                self.gateways.entry(name.clone()).or_default().push(place);
            }
            Target::Namespace(name) => {
                // Only the root namespace may speak for another.
                if everywhere || name == namespace {
                    let namespace = self.namespaces.entry(name.clone()).or_default();
                    namespace.everything.push(place);
                }
            }
            Target::Everything => self.namespace(namespace).everything.push(place),
            Target::Authorization(_) => {}
            Target::Service(name) => {
                let services = &mut self.namespace(namespace).services;
                services.entry(name.clone()).or_default().push(place);
            }
            Target::Workloads(selector) => {
                self.namespace(namespace)
                    .workloads
                    .push((selector.clone(), place));
            }
        }
    }

    fn namespace(&mut self, name: &str) -> &mut Namespace {
        self.namespaces.entry(name.to_owned()).or_default()
    }

    /// Visits each policy that concerns the call, once, widest first, until one refuses.
    fn each<E>(
        &self,
        scope: &Scope<'_>,
        visit: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut seen = Vec::new();
        let mut once = |place: usize| {
            if seen.contains(&place) {
                return Ok(());
            }
            seen.push(place);
            visit(place)
        };
        for place in &self.mesh {
            once(*place)?;
        }
        for (selector, place) in &self.mesh_workloads {
            if selector.matches(&|label| scope.labels.find(label)) {
                once(*place)?;
            }
        }
        let labels = scope.gateways.iter().map(|label| &**label);
        for place in labels
            .chain(scope.gateway)
            .filter_map(|label| self.gateways.get(label))
            .flatten()
        {
            once(*place)?;
        }
        let Some(namespace) = self.namespaces.get(scope.namespace) else {
            return Ok(());
        };
        for place in &namespace.everything {
            once(*place)?;
        }
        if let Some(places) = scope
            .service
            .and_then(|service| namespace.services.get(service))
        {
            for place in places {
                once(*place)?;
            }
        }
        for (selector, place) in &namespace.workloads {
            if selector.matches(&|label| scope.labels.find(label)) {
                once(*place)?;
            }
        }
        Ok(())
    }
}
