//! Joins policy to the proxy's gate: a call becomes attributes, a verdict becomes the proxy's.

mod choices;
mod filters;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use osier_policy::{
    Attributes, Connection, Context, Destination, Peer, PolicySet, Request, Scope, Texts,
};
use osier_proxy::{Approval, Call, Choice, Denial, Direction, Gate, Record, Verdict};
use osier_snapshot::{Endpoint, HeaderOperation, Weighted, Workload};

/// The gate of this node. Closed until the first set of policies is published: a node that has
/// just started must not let through what its policies refuse.
#[derive(Default)]
pub(crate) struct PolicyGate {
    policies: ArcSwapOption<PolicySet>,
}

impl PolicyGate {
    /// From now on these policies decide; calls that are being decided keep theirs.
    pub(crate) fn publish(&self, policies: Arc<PolicySet>) {
        self.policies.store(Some(policies));
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
}

impl Gate for PolicyGate {
    fn check(&self, call: &Call<'_>) -> Verdict {
        let policies = self.policies.load();
        match policies.as_deref() {
            None => Verdict::Deny(closed()),
            Some(policies) if policies.is_empty() => Verdict::Allow(Approval::default()),
            Some(policies) => verdict(policies.check(&scope(call), &attributes(call))),
        }
    }

    fn chooses_routes(&self) -> bool {
        let policies = self.policies.load();
        policies.as_deref().is_some_and(PolicySet::has_routes)
    }

    fn route(&self, call: &Call<'_>, among: &[Weighted]) -> Result<Option<Choice>, Box<Denial>> {
        let policies = self.policies.load();
        policies
            .as_deref()
            .map_or(Ok(None), |policies| choices::route(policies, call, among))
    }

    fn balance(
        &self,
        call: &Call<'_>,
        among: &[Arc<Endpoint>],
    ) -> Result<Option<usize>, Box<Denial>> {
        let policies = self.policies.load();
        let policies = policies.as_deref().filter(|set| set.has_balances());
        policies.map_or(Ok(None), |policies| choices::balance(policies, call, among))
    }

    fn filters(&self, call: &Call<'_>) -> Result<Vec<Arc<dyn osier_proxy::Filter>>, Box<Denial>> {
        let policies = self.policies.load();
        let Some(policies) = policies.as_deref() else {
            return Ok(Vec::new());
        };
        if !policies.has_filters(direction(call)) {
            return Ok(Vec::new());
        }
        let found = policies.filters(&scope(call), &attributes(call));
        let joined = |filter| Arc::new(filters::Joined(filter)) as Arc<dyn osier_proxy::Filter>;
        found
            .map(|filters| filters.into_iter().map(joined).collect())
            .map_err(|denial| Box::new(denied(*denial)))
    }

    // Reports are a plugin hook of a later version; the access log and the metrics are the proxy's.
    fn report(&self, _record: &Record<'_>) {}
}

fn closed() -> Denial {
    Denial {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"the node is starting: its policies are not loaded yet\n"),
        policy: Arc::from(""),
        plugin: Arc::from(""),
        reason: "the node's policies are not loaded yet".to_owned(),
    }
}

fn direction(call: &Call<'_>) -> osier_policy::Direction {
    match call.direction {
        Direction::Inbound => osier_policy::Direction::Inbound,
        Direction::Outbound => osier_policy::Direction::Outbound,
    }
}

fn scope<'a>(call: &Call<'a>) -> Scope<'a> {
    let service = call.service;
    let (side, namespace) = match call.direction {
        Direction::Inbound => (call.destination, service.map(|service| &*service.namespace)),
        Direction::Outbound => (call.source, call.source.map(|source| &*source.namespace)),
    };
    // Behind a gateway the caller has no namespace: the called service's is as near as it gets.
    let namespace = namespace
        .or_else(|| side.map(|side| &*side.namespace))
        .or_else(|| service.map(|service| &*service.namespace));
    let namespace = namespace.unwrap_or_default();
    Scope {
        direction: direction(call),
        namespace,
        service: service
            .filter(|service| *service.namespace == *namespace)
            .map(|service| &*service.name),
        gateway: call.gateway,
        labels: side.map_or(Texts::Empty, |side| Texts::Tree(&side.labels)),
    }
}

fn attributes<'a>(call: &Call<'a>) -> Attributes<'a> {
    let peer_ip = call.peer.map(|peer| peer.ip());
    let source = call.source.map_or_else(
        || Peer {
            ip: peer_ip,
            ..Peer::default()
        },
        peer,
    );
    let inbound = call.direction == Direction::Inbound;
    Attributes {
        source,
        destination: Destination {
            peer: call.destination.map_or_else(Peer::default, peer),
            service_name: call.service.map(|service| &*service.name),
            service_namespace: call.service.map(|service| &*service.namespace),
            service_host: call.service.map(|service| &*service.host),
            ..Destination::default()
        },
        origin_ip: peer_ip.or(source.ip),
        request: request(call),
        connection: Connection {
            // The host is both ends' sidecar: it knows who calls.
            mtls: call.source.is_some() || call.proven,
            requested_server_name: call.server_name,
            ..Connection::default()
        },
        context: Context {
            protocol: protocol(call.head),
            reporter_kind: if inbound { "inbound" } else { "outbound" },
            reporter_uid: if inbound {
                call.destination
            } else {
                call.source
            }
            .map(|workload| &*workload.uid),
            time: Some(call.received),
            ..Context::default()
        },
        ..Attributes::default()
    }
}

fn request<'a>(call: &Call<'a>) -> Request<'a> {
    let (uri, headers) = (&call.head.uri, &call.head.headers);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text("host"));
    Request {
        id: call.request_id,
        path: uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str),
        host: host.unwrap_or_default(),
        method: call.head.method.as_str(),
        scheme: uri.scheme_str().unwrap_or("http"),
        headers: Texts::Headers(headers),
        size: text("content-length").and_then(|length| length.parse().ok()),
        time: Some(call.received),
        ..Request::default()
    }
}

fn protocol(head: &Parts) -> &'static str {
    // No request of this method gets so far: it stands for a raw connection.
    if head.method == Method::CONNECT {
        return "tcp";
    }
    let kind = head
        .headers
        .get("content-type")
        .map(http::HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        "grpc"
    } else {
        "http"
    }
}

fn peer(workload: &Workload) -> Peer<'_> {
    let principal = &*workload.principal;
    Peer {
        name: Some(&workload.name),
        namespace: Some(&workload.namespace),
        principal: Some(principal.strip_prefix("spiffe://").unwrap_or(principal)),
        owner: Some(&workload.workload),
        workload: Some(&workload.workload),
        ip: Some(workload.address).filter(|ip: &IpAddr| !ip.is_unspecified()),
        labels: Texts::Tree(&workload.labels),
    }
}

fn verdict(verdict: osier_policy::Verdict) -> Verdict {
    match verdict {
        osier_policy::Verdict::Allow(approval) => {
            let last = approval.decided_by.into_iter().next_back();
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
            })
        }
        osier_policy::Verdict::Deny(denial) => Verdict::Deny(denied(*denial)),
    }
}

fn denied(denial: osier_policy::Denial) -> Denial {
    Denial {
        status: StatusCode::from_u16(denial.status).unwrap_or(StatusCode::FORBIDDEN),
        headers: denial.headers.into_iter().collect(),
        body: denial.body,
        policy: denial.policy,
        plugin: denial.plugin,
        reason: denial.reason,
    }
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
            service: None,
            gateway: None,
            head: &head,
            request_id: "r1",
            peer: None,
            proven: false,
            server_name: None,
            received: std::time::SystemTime::UNIX_EPOCH,
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
            let attributes = attributes(call);
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
            let scope = scope(call);
            assert_eq!((scope.namespace, scope.service), ("shop", None));
            assert_eq!(scope.labels.find("app").as_deref(), Some("web"));
        });
    }
}
