//! How the bytes of a connection reach an endpoint.

use std::sync::Arc;

use osier_process::serve::Stream;
use osier_snapshot::{Cluster, Endpoint};

use super::Refused;
use super::question::{Question, ask};
use crate::failure::Failure;
use crate::gate::Direction;
use crate::proxy::Proxy;
use crate::upstream::Raw;

/// The other end of a raw connection.
pub(crate) enum Line {
    /// It takes bytes.
    Bytes(Box<dyn Stream>),
    /// It is a pod here, which takes the requests that the bytes are.
    Requests,
}

/// Opens the way to an endpoint. Where the endpoint is here and takes bytes, inbound policy is asked first; another node asks it by
/// itself, and of requests each is asked about.
pub(super) async fn open(
    proxy: &Proxy,
    (cluster, endpoint): (&Cluster, &Arc<Endpoint>),
    question: &Question<'_>,
) -> Result<Result<Line, Failure>, Refused> {
    if proxy.ways().takes_bytes_here(endpoint, question.datagrams) {
        let inbound = Question {
            direction: Direction::Inbound,
            endpoint: Some(endpoint),
            ..*question
        };
        ask(proxy, &inbound)?;
    }
    let host = question.head.uri.host().unwrap_or_default();
    let asked = Raw {
        host: question.server_name.unwrap_or(host),
        // At a gateway TLS may have ended here.
        client: question.source.client(),
        datagrams: question.datagrams,
        encrypted: question.server_name.is_some() && question.source.peer().is_none(),
    };
    let call = (question.source, &asked);
    Ok(proxy.ways().connect(cluster, endpoint, call).await)
}
