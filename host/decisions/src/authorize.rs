//! AuthorizationPolicies at the proxy's gate: a call becomes the facts that their rules ask about, and what they decide becomes a verdict.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use osier_authentication::Verified;
use osier_authorization::{Asked, Asking, Authorizations, Caller, Decided, Facts, Outcome};
use osier_proxy::{Approval, Call, Decision, Denial, Direction, Verdict};
use osier_snapshot::Workload;

use crate::place::{NATIVE, place};

/// What stands in the place of a plugin in decisions and logs.
const KIND: &str = "AuthorizationPolicy";
/// Whom a gateway calls pods as, behind its trust domain.
const GATEWAY: &str = "ns/osier-system/sa/gateway";
const SCHEME: &str = "spiffe://";

/// Asks the policies about a call, if they decide at this side of it: where a workload is called, and at gateways. `ask` has what those
/// say whom custom policies name, `None` if there is nobody of that name; `then` decides what all of them let pass.
pub fn authorize(
    policies: &Authorizations,
    call: &Call<'_>,
    ask: impl Fn(&Asking) -> Option<Verdict>,
    then: impl FnOnce() -> Verdict,
) -> Verdict {
    let Some(place) = place(call) else {
        return then();
    };
    let gateway = by_gateway(call);
    let decided = policies.decide(&place, &facts(call, gateway.as_deref()));
    let mut before = Approval::default();
    for asking in &decided.asked {
        match ask(asking).unwrap_or_else(|| unanswered(asking, call.direction)) {
            Verdict::Allow(approval) => join(&mut before, approval),
            Verdict::Deny(denial) => return after(before, Verdict::Deny(denial)),
        }
    }
    match told(decided, call.direction) {
        Ok(decisions) => {
            before.decisions.extend(decisions);
            after(before, then())
        }
        Err(denial) => after(before, Verdict::Deny(*denial)),
    }
}

/// Nobody answers for the provider: what it was to decide about is denied, as Envoy does without the configuration of one.
fn unanswered(Asking { by, provider }: &Asking, direction: Direction) -> Verdict {
    let reason = format!(
        "it asks Policy {provider}, and there is none that names it: its targetRefs need {{group: security.istio.io, kind: {KIND}, name: {}}}",
        by.rsplit('/').next().unwrap_or_default()
    );
    Verdict::Deny(denial(by, direction, (reason, true), Vec::new()))
}

/// One approval behind another.
fn join(before: &mut Approval, mut approval: Approval) {
    before.request_headers.append(&mut approval.request_headers);
    before
        .response_headers
        .append(&mut approval.response_headers);
    before.decisions.append(&mut approval.decisions);
    if approval.policy.is_some() {
        (before.policy, before.plugin) = (approval.policy, approval.plugin);
    }
}

/// A verdict behind what was decided before it.
fn after(mut before: Approval, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Allow(approval) => {
            let decided = approval.policy.is_some();
            let by = before.decisions.iter().rfind(|one| one.outcome == "allow");
            if let (false, Some(by)) = (decided, by) {
                before.policy = Some(Arc::clone(&by.policy));
                before.plugin = Some(Arc::clone(&by.plugin));
            }
            join(&mut before, approval);
            Verdict::Allow(before)
        }
        Verdict::Deny(mut denial) => {
            before.decisions.append(&mut denial.decisions);
            denial.decisions = before.decisions;
            Verdict::Deny(denial)
        }
    }
}

/// The principal of the gateway that calls a workload of this trust domain.
fn by_gateway(call: &Call<'_>) -> Option<String> {
    let called = call.destination.filter(|_| call.source.is_none())?;
    let (domain, _) = called.principal.strip_prefix(SCHEME)?.split_once('/')?;
    Some(format!("{domain}/{GATEWAY}"))
}

fn facts<'a>(call: &Call<'a>, gateway: Option<&'a str>) -> Facts<'a> {
    let own = call.source.map(|workload| &*workload.principal);
    let own = own.and_then(|principal| principal.strip_prefix(SCHEME));
    let peer = call.peer.map(|peer| peer.ip());
    let uri = &call.head.uri;
    let by_scheme = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    // What a raw connection is asked about has the form of a CONNECT, which no request has.
    let is_request = call.head.method != Method::CONNECT;
    Facts {
        caller: Caller {
            principal: own.or(gateway),
            address: peer.or_else(|| address(call.source)),
            remote: peer.or_else(|| address(call.source)),
        },
        asked: is_request.then(|| Asked {
            method: call.head.method.as_str(),
            authority: uri.authority().map_or("", |authority| authority.as_str()),
            path: uri.path(),
            headers: &call.head.headers,
        }),
        address: address(call.destination),
        port: call.port.or(Some(by_scheme)),
        server_name: call.server_name,
        token: verified(call).map(Verified::token),
    }
}

/// What was found at this side of the call to be behind it.
fn verified<'a>(call: &Call<'a>) -> Option<&'a Verified> {
    let here = call.before.iter().rev();
    let mut here = here.filter(|one| one.direction == call.direction);
    here.find_map(|one| one.memo.as_deref()?.downcast_ref())
}

fn address(workload: Option<&Workload>) -> Option<IpAddr> {
    let address = workload?.address;
    (!address.is_unspecified()).then_some(address)
}

fn note(policy: &Arc<str>, direction: Direction, outcome: &'static str, reason: &str) -> Decision {
    Decision {
        direction,
        policy: Arc::clone(policy),
        plugin: KIND.into(),
        template: "authorization".into(),
        place: NATIVE,
        outcome,
        reason: reason.to_owned(),
        cached: false,
        began: None,
        took: Duration::ZERO,
        memo: None,
    }
}

fn told(decided: Decided, direction: Direction) -> Result<Vec<Decision>, Box<Denial>> {
    let note = |policy: &Arc<str>, outcome| note(policy, direction, outcome, "");
    let audited = decided.audited.iter();
    let mut decisions: Vec<_> = audited.map(|policy| note(policy, "audit")).collect();
    let (policy, reason) = match decided.outcome {
        Outcome::Allowed(policy) => {
            decisions.extend(policy.iter().map(|policy| note(policy, "allow")));
            return Ok(decisions);
        }
        Outcome::Denied(policy) => (policy, "a rule of it denies the call".to_owned()),
        Outcome::NotAllowed(policies) => {
            let names = policies.join(", ");
            let first = policies.into_iter().next().unwrap_or_default();
            (
                first,
                format!("no rule of those that allow matches: {names}"),
            )
        }
    };
    Err(Box::new(denial(
        &policy,
        direction,
        (reason, false),
        decisions,
    )))
}

/// The answer of a policy that denies, or whose provider gave no answer.
fn denial(
    policy: &Arc<str>,
    direction: Direction,
    (reason, failed): (String, bool),
    mut decisions: Vec<Decision>,
) -> Denial {
    let outcome = if failed { "fail" } else { "deny" };
    decisions.push(note(policy, direction, outcome, &reason));
    Denial {
        status: StatusCode::FORBIDDEN,
        headers: HeaderMap::new(),
        // As Envoy says it, and no more: why is for the log.
        body: Bytes::from_static(b"RBAC: access denied"),
        policy: Arc::clone(policy),
        plugin: KIND.into(),
        reason,
        failed,
        decisions,
    }
}
