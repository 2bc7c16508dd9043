//! Joins policy to the proxy's gate: a call becomes attributes, a verdict becomes the proxy's, and what was decided is remembered for a while.

mod choices;
mod facts;
mod filters;
mod middleware;
mod streams;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use osier_authentication::Authentications;
use osier_authorization::{Asking, Authorizations};
use osier_decisions::{Decisions, Forwarded, authenticate, authorize};
use osier_policy::{Generated, Output, PolicySet};
use osier_proxy::{
    Approval, Authenticated, Call, Choice, Chosen, Decision, Denial, Direction, Filters, Gate,
    Moment, Record, Verdict,
};
use osier_snapshot::{Endpoint, HeaderOperation, Weighted};

use facts::{Ended, Facts};

/// The gate of this node. Closed until the first set of policies is published: a node that has
/// just started must not let through what its policies refuse.
#[derive(Default)]
pub(crate) struct PolicyGate {
    policies: ArcSwapOption<PolicySet>,
    authentications: ArcSwap<Authentications>,
    authorizations: ArcSwap<Authorizations>,
    /// Stands for headers that nobody kept.
    nothing: HeaderMap,
    decisions: Arc<Decisions>,
}

impl PolicyGate {
    /// From now on these policies decide; calls that are being decided keep theirs.
    pub(crate) fn publish(&self, policies: Arc<PolicySet>) {
        self.policies.store(Some(policies));
    }

    /// From now on tokens are verified by these RequestAuthentications, and these AuthorizationPolicies decide as well. The gate stays
    /// closed until [`PolicyGate::publish`] opens it.
    pub(crate) fn secure(&self, tokens: Authentications, authorizations: Authorizations) {
        self.authentications.store(Arc::new(tokens));
        self.authorizations.store(Arc::new(authorizations));
    }

    /// What was decided lately.
    pub(crate) fn decisions(&self) -> Arc<Decisions> {
        Arc::clone(&self.decisions)
    }
}

/// The policies in force on this node, for whoever asks them about other things than calls.
#[derive(Clone)]
pub struct Policies(pub(crate) Arc<PolicyGate>);

impl Policies {
    /// The set in force; none until the first one is published.
    #[must_use]
    pub fn current(&self) -> Option<Arc<PolicySet>> {
        self.0.policies.load_full()
    }

    /// A request was judged that another proxy carries: it is logged and remembered like a call of the mesh.
    pub fn judged(&self, record: &Record<'_>) {
        osier_proxy::log(record);
        self.0.decisions.remember(record);
    }
}

impl PolicyGate {
    fn check_policies(&self, call: &Call<'_>) -> Verdict {
        let policies = self.policies.load();
        match policies.as_deref() {
            None => Verdict::Deny(closed()),
            Some(policies) if policies.is_empty() => Verdict::Allow(Approval::default()),
            Some(policies) => {
                let facts = Facts::of_call(call);
                let charged = |policy: &str, place| charged(call, policy, place);
                let asked = policies.check_again(&facts.scope(), &facts.attributes(), &charged);
                verdict(asked, call.direction)
            }
        }
    }
}

impl PolicyGate {
    /// What the policy that an AuthorizationPolicy names says of a call.
    fn ask(&self, asking: &Asking, call: &Call<'_>) -> Option<Verdict> {
        let policies = self.policies.load();
        let facts = Facts::of_call(call);
        let charged = |policy: &str, place| charged(call, policy, place);
        let (by, provider) = (&*asking.by, &*asking.provider);
        let asked = policies
            .as_deref()?
            .provide(provider, by, &facts.attributes(), &charged)?;
        Some(verdict(asked, call.direction))
    }
}

impl Gate for PolicyGate {
    fn check(&self, call: &Call<'_>) -> Verdict {
        let authorizations = self.authorizations.load();
        if authorizations.is_empty() || self.policies.load().is_none() {
            return self.check_policies(call);
        }
        let ask = |asking: &Asking| self.ask(asking, call);
        authorize(&authorizations, call, ask, || self.check_policies(call))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<Option<Authenticated>, Box<Denial>> {
        let tokens = self.authentications.load();
        match tokens.is_empty() {
            true => Ok(None),
            false => authenticate(&tokens, call),
        }
    }

    fn chooses_routes(&self) -> bool {
        let policies = self.policies.load();
        policies.as_deref().is_some_and(PolicySet::has_routes)
    }

    fn route(&self, call: &Call<'_>, among: &[Weighted]) -> Result<Chosen<Choice>, Box<Denial>> {
        let policies = self.policies.load();
        policies.as_deref().map_or_else(
            || Ok(Chosen::default()),
            |policies| choices::route(policies, call, among),
        )
    }

    fn balance(
        &self,
        call: &Call<'_>,
        among: &[Arc<Endpoint>],
    ) -> Result<Chosen<usize>, Box<Denial>> {
        let policies = self.policies.load();
        let policies = policies.as_deref().filter(|set| set.has_balances());
        policies.map_or_else(
            || Ok(Chosen::default()),
            |policies| choices::balance(policies, call, among),
        )
    }

    fn filters(&self, call: &Call<'_>) -> Result<Chosen<Filters>, Box<Denial>> {
        let policies = self.policies.load();
        let side = facts::direction(call.direction);
        let Some(policies) = policies.as_deref().filter(|set| set.has_filters(side)) else {
            return Ok(Chosen::default());
        };
        let (facts, mut trail) = (Facts::of_call(call), Vec::new());
        let found = policies.filters(&facts.scope(), &facts.attributes(), &mut trail);
        let found = found.map(|filters| filters.into_iter().map(filters::joined).collect());
        choices::told(found.map(Some), trail, call.direction)
    }

    fn forwarded(&self, before: &[Decision]) -> Option<HeaderValue> {
        facts::identity(before).encode()
    }

    fn believed(&self, told: &HeaderValue) -> Option<Decision> {
        Forwarded::decode(told).map(Forwarded::decision)
    }

    fn report(&self, record: &Record<'_>) {
        // Of a raw connection the end says everything.
        let ended = record.connected.map(|raw| raw.event);
        if ended.is_none_or(|event| event == Moment::Close) {
            self.decisions.remember(record);
        }
        let policies = self.policies.load();
        let Some(policies) = policies.as_deref().filter(|set| set.has_reports()) else {
            return;
        };
        let ended = Ended::new(record);
        for direction in [Direction::Outbound, Direction::Inbound] {
            // Whoever was not reached saw nothing; what another node saw is reported there.
            let seen = match direction {
                Direction::Outbound => record.sides.outbound,
                Direction::Inbound => record.sides.inbound,
            };
            if !seen {
                continue;
            }
            let facts = Facts::of_record(record, direction, &self.nothing);
            policies.report(&facts.scope(), &ended.attributes(&facts));
        }
    }

    fn wants_heads(&self) -> bool {
        let policies = self.policies.load();
        policies.as_deref().is_some_and(PolicySet::has_reports)
    }
}

fn closed() -> Denial {
    Denial {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"the node is starting: its policies are not loaded yet\n"),
        policy: Arc::from(""),
        plugin: Arc::from(""),
        reason: "the node's policies are not loaded yet".to_owned(),
        failed: false,
        decisions: Vec::new(),
    }
}

/// True if this action let an earlier try of the request pass.
fn charged(call: &Call<'_>, policy: &str, place: usize) -> bool {
    let before = call
        .before
        .iter()
        .filter(|one| one.direction == call.direction);
    let mut granted = before.filter(|one| one.outcome == "allow");
    granted.any(|one| one.place == place && *one.policy == *policy)
}

fn verdict(verdict: osier_policy::Verdict, direction: Direction) -> Verdict {
    match verdict {
        osier_policy::Verdict::Allow(approval) => {
            let last = approval.decisions.last();
            let last = last.map(|decision| (decision.policy.clone(), decision.plugin.clone()));
            let (policy, plugin) = last.unzip();
            Verdict::Allow(Approval {
                request_headers: approval
                    .request_headers
                    .into_iter()
                    .map(operation)
                    .collect(),
                response_headers: approval
                    .response_headers
                    .into_iter()
                    .map(operation)
                    .collect(),
                policy,
                plugin,
                decisions: decisions(approval.decisions, direction),
            })
        }
        osier_policy::Verdict::Deny(denial) => Verdict::Deny(denied(*denial, direction)),
    }
}

fn denied(denial: osier_policy::Denial, direction: Direction) -> Denial {
    Denial {
        status: StatusCode::from_u16(denial.status).unwrap_or(StatusCode::FORBIDDEN),
        headers: denial.headers.into_iter().collect(),
        // The proxy's own words name the request.
        body: if denial.failed {
            Bytes::new()
        } else {
            denial.body
        },
        policy: denial.policy,
        plugin: denial.plugin,
        reason: denial.reason,
        failed: denial.failed,
        decisions: decisions(denial.decisions, direction),
    }
}

/// As the proxy carries it.
type Memo = Arc<dyn std::any::Any + Send + Sync>;

/// Decisions of policies, as the proxy carries them.
pub fn decisions(decisions: Vec<osier_policy::Decision>, direction: Direction) -> Vec<Decision> {
    let joined = decisions.into_iter().map(|decision| Decision {
        direction,
        policy: decision.policy,
        plugin: decision.plugin,
        template: decision.template,
        place: decision.place,
        outcome: decision.outcome.word(),
        reason: decision.reason,
        cached: decision.cached,
        began: decision.began,
        took: decision.took,
        memo: memo(decision.identity, decision.generated),
    });
    joined.collect()
}

/// What is found again by its type: no action both finds out who calls and generates attributes.
fn memo(identity: Option<Arc<Output>>, generated: Option<Arc<Generated>>) -> Option<Memo> {
    let identity = identity.map(|identity| identity as Memo);
    identity.or_else(|| generated.map(|generated| Arc::new(generated) as Memo))
}

fn operation(operation: osier_policy::HeaderOperation) -> HeaderOperation {
    match operation {
        osier_policy::HeaderOperation::Set(name, value) => HeaderOperation::Set(name, value),
        osier_policy::HeaderOperation::Append(name, value) => HeaderOperation::Add(name, value),
        osier_policy::HeaderOperation::Remove(name) => HeaderOperation::Remove(name),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use osier_api::Object;
    use osier_snapshot::Workload;
    use serde_json::json;

    fn workload() -> Arc<Workload> {
        let pod = json!({"metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
            "spec": {"serviceAccountName": "sa"}, "status": {"podIP": "10.244.0.2"}});
        osier_snapshot::workload(&Object::from_value(pod).unwrap(), "cluster.local")
    }

    fn with_call<T>(
        direction: Direction,
        source: Option<&Workload>,
        check: impl FnOnce(&Call<'_>) -> T,
    ) -> T {
        let request = http::Request::get("http://reviews.shop/reviews/1?x=y")
            .header("content-length", "7")
            .body(())
            .unwrap();
        let head = request.into_parts().0;
        check(&Call {
            direction,
            source,
            destination: None,
            port: Some(9080),
            service: None,
            gateway: None,
            gateways: &[],
            head: &head,
            request_id: "r1",
            peer: None,
            proven: false,
            server_name: None,
            received: std::time::SystemTime::UNIX_EPOCH,
            before: &[],
        })
    }

    #[test]
    fn a_node_without_its_policies_lets_nothing_through() {
        let gate = PolicyGate::default();
        let Verdict::Deny(denial) = with_call(Direction::Inbound, None, |call| gate.check(call))
        else {
            panic!("it was let through");
        };
        assert_eq!(denial.status, StatusCode::SERVICE_UNAVAILABLE);
        gate.publish(Arc::new(PolicySet::new(Vec::new(), "osier-system")));
        assert!(matches!(
            with_call(Direction::Inbound, None, |call| gate.check(call)),
            Verdict::Allow(_)
        ));
    }

    #[test]
    fn a_call_becomes_attributes() {
        let source = workload();
        with_call(Direction::Outbound, Some(&source), |call| {
            let facts = Facts::of_call(call);
            let attributes = facts.attributes();
            assert_eq!(
                attributes.source.principal,
                Some("cluster.local/ns/shop/sa/sa")
            );
            assert_eq!(
                (attributes.request.path, attributes.request.host),
                ("/reviews/1?x=y", "reviews.shop")
            );
            assert_eq!(
                (attributes.request.size, attributes.context.reporter_kind),
                (Some(7), "outbound")
            );
            assert_eq!(attributes.destination.port, Some(9080));
            assert_eq!(attributes.context.reporter, Some(["web-1", "shop"]));
            let scope = facts.scope();
            assert_eq!((scope.namespace, scope.service), ("shop", None));
            assert_eq!(scope.labels.find("app").as_deref(), Some("web"));
        });
    }
}
