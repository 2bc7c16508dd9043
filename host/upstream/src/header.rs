//! How a connection to a host begins: it is probed when it is quiet if the settings ask for that, and the PROXY header comes before
//! everything else where the host wants one: it says who the client is.

use std::net::SocketAddr;

use http::Extensions;
use osier_process::keepalive::{Probing, probe};
use osier_process::serve::proxy_header;
use osier_snapshot::{Cluster, Keepalive, ProxyVersion, Upstream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Where a request comes from; beside the request on its way to a host that is told.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

/// Whom the header names, if there is to be one.
pub(crate) fn client(cluster: &Cluster, beside: &Extensions) -> Option<SocketAddr> {
    cluster.upstream.proxy_protocol?;
    beside.get::<Client>().map(|client| client.0)
}

/// Has the connection probed and writes the header, as far as the settings ask for it.
pub(crate) async fn begin(
    mut stream: TcpStream,
    upstream: &Upstream,
    client: Option<SocketAddr>,
) -> Result<TcpStream, Failure> {
    if let Some(Keepalive {
        time,
        interval,
        probes,
    }) = upstream.pool.keepalive
    {
        let how = Probing {
            time,
            interval,
            probes,
        };
        // A connection that is not probed serves as well.
        let _best_effort = probe(&stream, how);
    }
    let Some(version) = upstream.proxy_protocol else {
        return Ok(stream);
    };
    let broken = |error: std::io::Error| {
        Failure::Unreachable(format!("its connection takes no PROXY header: {error}").into())
    };
    let server = stream.peer_addr().map_err(broken)?;
    let header = match version {
        ProxyVersion::V1 => proxy_header::text_of(client, server),
        ProxyVersion::V2 => proxy_header::binary_of(client, server),
    };
    stream.write_all(&header).await.map_err(broken)?;
    Ok(stream)
}
