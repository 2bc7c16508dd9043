//! What policy is asked about a raw connection: once at each side, with the connection in the form of a CONNECT.

use std::time::SystemTime;

use http::request::Parts;
use http::{Method, Request, Uri};
use osier_snapshot::{Endpoint, ServiceRef};

use super::Refused;
use crate::flags::Flag;
use crate::gate::{Call, Direction, Verdict};
use crate::proxy::Proxy;
use crate::source::Source;

/// A connection, for policy.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) direction: Direction,
    pub(super) source: &'a Source,
    pub(super) service: &'a ServiceRef,
    /// Who is called, on the inbound side.
    pub(super) endpoint: Option<&'a Endpoint>,
    pub(super) head: &'a Parts,
    pub(super) server_name: Option<&'a str>,
    /// Its bytes are datagrams.
    pub(super) datagrams: bool,
}

/// Asks policy.
pub(super) fn ask(proxy: &Proxy, question: &Question<'_>) -> Result<(), Refused> {
    let snapshot = proxy.snapshot();
    let server = question.source.server(&snapshot);
    let peer = question.source.peer();
    let called = question.endpoint.map(|endpoint| endpoint.port);
    let call = Call {
        direction: question.direction,
        source: question.source.workload(),
        destination: question.endpoint.map(|endpoint| &*endpoint.workload),
        port: called.or_else(|| question.head.uri.port_u16()),
        service: Some(question.service),
        gateway: question.source.gateway(),
        gateways: server.as_ref().map_or(&[], |server| &server.gateways),
        head: question.head,
        request_id: "",
        peer: question.source.address(),
        proven: peer.is_some_and(|peer| peer.certificate.is_some()),
        server_name: question.server_name,
        received: SystemTime::from(osier_process::clock::now()),
        before: &[],
    };
    match proxy.gate().check(&call) {
        Verdict::Allow(_) => Ok(()),
        Verdict::Deny(denial) => {
            let reason = format!("policy {} refused it: {}", denial.policy, denial.reason);
            Err(Refused::new(Flag::Denied, reason))
        }
    }
}

/// A connection to an authority, in the form of a CONNECT: `tcp` is its scheme.
pub(crate) fn connecting(authority: &str) -> Option<Parts> {
    let uri = Uri::builder().scheme("tcp").authority(authority);
    let uri = uri.path_and_query("/").build().ok()?;
    let request = Request::builder().method(Method::CONNECT).uri(uri);
    Some(request.body(()).ok()?.into_parts().0)
}
