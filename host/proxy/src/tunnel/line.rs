//! How the bytes of a connection reach an endpoint.

use std::sync::Arc;

use osier_process::serve::Stream;
use osier_snapshot::{Cluster, Endpoint};

use super::Refused;
use super::life::Life;
use crate::gate::Direction;
use crate::proxy::Proxy;
use osier_upstream::Failure;
use osier_upstream::Raw;

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
    life: &mut Life,
) -> Result<Result<Line, Failure>, Refused> {
    let here = proxy.ways().takes_bytes_here(endpoint, life.datagrams);
    life.calls(endpoint, here);
    if here {
        life.ask(Direction::Inbound)?;
    }
    let host = life.head.as_ref().and_then(|head| head.uri.host());
    let asked = Raw {
        host: life.server_name.as_deref().or(host).unwrap_or_default(),
        // At a gateway TLS may have ended here.
        client: life.source.client(),
        datagrams: life.datagrams,
        encrypted: life.server_name.is_some() && life.source.peer().is_none(),
        id: Some(&life.id),
    };
    let call = (&life.source, &asked);
    Ok(proxy.ways().connect(cluster, endpoint, call).await)
}
