//! Requests of Envoys that were judged here, in the words of the proxy's own: so that they have an access log and `osier why` knows them.

use http::{Method, Uri, Version};
use osier_envoy::Judged;
use osier_node::Policies;
use osier_policy::{Denial, Direction, Verdict};
use osier_proxy::{Record, Sides};
use std::net::SocketAddr;

/// Who such a request came from, in place of a gateway's name.
const ENVOY: &str = "envoy";

/// Logs and remembers a request.
pub(crate) fn remember(policies: &Policies, request: &Judged<'_>) {
    let direction = match request.direction {
        Direction::Inbound => osier_proxy::Direction::Inbound,
        Direction::Outbound => osier_proxy::Direction::Outbound,
    };
    let (decisions, denial) = match request.verdict {
        Verdict::Allow(approval) => (&approval.decisions, None),
        Verdict::Deny(denial) => (&denial.decisions, Some(&**denial)),
    };
    let decisions = osier_node::decisions(decisions.clone(), direction);
    let last = decisions.last();
    let (received, began) = request.asked;
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET);
    policies.judged(&Record {
        source: None,
        destination: None,
        service: None,
        gateway: Some(ENVOY),
        gateways: &[],
        method: &method,
        uri: &uri(request),
        version: Version::HTTP_11,
        user_agent: None,
        request_id: request.request_id,
        peer: request.client.map(|ip| SocketAddr::new(ip, 0)),
        proven: false,
        server_name: None,
        received,
        began,
        duration: began.elapsed(),
        answered: None,
        status: denial.map_or(200, |denial| denial.status),
        flags: denial.map_or("-", flags),
        reason: denial.map_or("", |denial| denial.reason.as_str()),
        request_bytes: 0,
        response_bytes: 0,
        route: request.service,
        cluster: request.concern,
        verdict: denial.map_or(
            "allow",
            |denial| if denial.failed { "error" } else { "deny" },
        ),
        policy: last.map_or("", |one| &one.policy),
        plugin: last.map_or("", |one| &one.plugin),
        endpoint: None,
        sides: Sides {
            outbound: direction == osier_proxy::Direction::Outbound,
            inbound: direction == osier_proxy::Direction::Inbound,
        },
        decisions: &decisions,
        heads: None,
        connected: None,
    });
}

/// As the proxy flags what it refuses itself.
fn flags(denial: &Denial) -> &'static str {
    match denial.status {
        429 => "RL",
        _ => "UAEX",
    }
}

/// Where the request was going; what cannot be written is left out.
fn uri(request: &Judged<'_>) -> Uri {
    let path = match request.path {
        "" => "/",
        path => path,
    };
    let whole = Uri::builder()
        .scheme("http")
        .authority(request.authority)
        .path_and_query(path)
        .build();
    whole.unwrap_or_else(|_| path.parse().unwrap_or_default())
}
