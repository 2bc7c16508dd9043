//! Choices of destination and endpoint, asked of policy. They are looked up by the called service, as its routes are.

use std::sync::Arc;

use osier_policy::{Candidate, ChoiceRequest, Generated, PolicySet, Scope, Texts};
use osier_proxy::{Call, Choice, Chosen, Denial, Direction};
use osier_snapshot::{Endpoint, ServiceName, Weighted};

use super::facts::Facts;

/// Which destination gets the call.
pub(super) fn route(
    policies: &PolicySet,
    call: &Call<'_>,
    among: &[Weighted],
) -> Result<Chosen<Choice>, Box<Denial>> {
    let hosts: Vec<String> = among
        .iter()
        .map(|one| host(&one.destination.service))
        .collect();
    let candidates: Vec<Candidate<'_>> = among
        .iter()
        .zip(&hosts)
        .map(|(one, host)| Candidate {
            host,
            subset: one.destination.subset.as_deref().unwrap_or_default(),
            port: one.destination.port.unwrap_or(0),
            weight: one.weight,
        })
        .collect();
    let (facts, mut trail) = (Facts::of_call(call), Vec::new());
    let known = match generated(policies, &facts, &mut trail) {
        Ok(known) => known,
        Err(denial) => return told(Err(denial), trail, Direction::Outbound),
    };
    let (scope, attributes) = (scope(call, &known), facts.attributes());
    let (authority, request) = (authority(call), request(call));
    let request = ChoiceRequest {
        authority: &authority,
        ..request
    };
    let chosen = policies.route(
        (&scope, &attributes),
        (&request, &call.head.headers),
        &candidates,
        &mut trail,
    );
    let chosen = chosen.map(|choice| {
        choice.map(|choice| Choice {
            place: choice.candidate,
            response_headers: choice
                .response_headers
                .into_iter()
                .map(super::operation)
                .collect(),
        })
    });
    told(chosen, trail, Direction::Outbound)
}

/// Which endpoint gets the call.
pub(super) fn balance(
    policies: &PolicySet,
    call: &Call<'_>,
    among: &[Arc<Endpoint>],
) -> Result<Chosen<usize>, Box<Denial>> {
    let endpoints: Vec<osier_policy::Endpoint<'_>> = among
        .iter()
        .map(|one| osier_policy::Endpoint {
            pod: &one.workload.name,
            node: &one.workload.node,
            in_flight: one.in_flight(),
        })
        .collect();
    let (facts, mut trail) = (Facts::of_call(call), Vec::new());
    let known = match generated(policies, &facts, &mut trail) {
        Ok(known) => known,
        Err(denial) => return told(Err(denial), trail, Direction::Outbound),
    };
    let (scope, attributes) = (scope(call, &known), facts.attributes());
    let (authority, request) = (authority(call), request(call));
    let request = ChoiceRequest {
        authority: &authority,
        ..request
    };
    let chosen = policies.balance(
        (&scope, &attributes),
        (&request, &call.head.headers),
        &endpoints,
        &mut trail,
    );
    told(chosen, trail, Direction::Outbound)
}

/// A choice, or the refusal for want of one, with all that was decided.
pub(super) fn told<T>(
    chosen: Result<Option<T>, Box<osier_policy::Denial>>,
    trail: Vec<osier_policy::Decision>,
    direction: Direction,
) -> Result<Chosen<T>, Box<Denial>> {
    match chosen {
        Ok(choice) => Ok(Chosen {
            choice,
            decisions: super::decisions(trail, direction),
        }),
        Err(mut denial) => {
            denial.decisions = trail;
            Err(Box::new(super::denied(*denial, direction)))
        }
    }
}

/// What generators told on the caller's side, where the choice is made: those of the called service's namespace have no say there.
fn generated(
    policies: &PolicySet,
    facts: &Facts<'_>,
    trail: &mut Vec<osier_policy::Decision>,
) -> Result<Arc<Generated>, Box<osier_policy::Denial>> {
    let known = policies.generated(&facts.scope(), &facts.attributes(), trail)?;
    Ok(known.unwrap_or_default())
}

fn scope<'a>(call: &Call<'a>, known: &'a Arc<Generated>) -> Scope<'a> {
    Scope {
        direction: osier_policy::Direction::Outbound,
        namespace: call
            .service
            .map_or("", |service| service.namespace.as_ref()),
        service: call.service.map(|service| service.name.as_ref()),
        gateway: call.gateway,
        gateways: call.gateways,
        labels: Texts::Empty,
        generated: Some(known),
    }
}

/// As VirtualServices write it in full.
fn host(service: &ServiceName) -> String {
    match service {
        ServiceName::Mesh { namespace, name } => format!("{name}.{namespace}.svc.cluster.local"),
        ServiceName::Other(host) => host.to_string(),
        ServiceName::Nothing(_) => String::new(),
    }
}

fn authority(call: &Call<'_>) -> String {
    let authority = call.head.uri.authority();
    authority.map(ToString::to_string).unwrap_or_default()
}

fn request<'a>(call: &Call<'a>) -> ChoiceRequest<'a> {
    let uri = &call.head.uri;
    let principal = call.source.map_or("", |source| source.principal.as_ref());
    ChoiceRequest {
        id: call.request_id,
        source: principal.strip_prefix("spiffe://").unwrap_or(principal),
        method: call.head.method.as_str(),
        authority: "",
        path: uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str),
    }
}
