//! The protocols that are compared, and the load for each: `wrk` for HTTP/1.1 with and without TLS and for bytes as they are, `h2load`
//! for HTTP/2 and gRPC.

use super::program::Ports;
use super::{CALL, HOST, REQUESTS};
use crate::cores::Cores;
use crate::wrk::Outcome;
use crate::{h2load, wrk};
use anyhow::Result;

/// How clients speak to the proxy; it speaks HTTP/1.1 to the backend, and HTTP/2 to that of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Kept connections, one request at a time on each.
    Http1,
    /// Prior knowledge, eight requests at a time on each connection.
    Http2,
    /// HTTP/1.1 on kept connections whose TLS ends at the proxy.
    Tls,
    /// Unary calls, eight at a time on each connection, with trailers.
    Grpc,
    /// HTTP/1.1 that the proxy does not read: each connection is carried to one of the backend.
    Tcp,
}

impl Protocol {
    pub(super) const ALL: [Self; 5] = [Self::Http1, Self::Http2, Self::Tls, Self::Grpc, Self::Tcp];

    /// Its name among the figures.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }

    /// What makes the load, and how to install it.
    pub(super) fn tool(self) -> (&'static str, &'static str) {
        match self {
            Self::Http1 | Self::Tls | Self::Tcp => ("wrk", "`apt-get install wrk` has it"),
            Self::Http2 | Self::Grpc => ("h2load", "`apt-get install nghttp2-client` has it"),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2 without TLS",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::Grpc => "gRPC without TLS",
            Self::Tcp => "TCP",
        })
    }
}

/// Asks for some seconds.
pub(super) async fn ask(protocol: Protocol, ports: &Ports, seconds: u64) -> Result<Outcome> {
    let (much, cores) = ((REQUESTS, seconds), Cores::Apart);
    match protocol {
        Protocol::Http1 => {
            let url = format!("http://127.0.0.1:{}/", ports.plain);
            wrk::get((&url, Some(HOST)), much, cores).await
        }
        Protocol::Http2 => {
            let address = format!("127.0.0.1:{}", ports.two);
            h2load::get((&address, HOST), much, cores).await
        }
        Protocol::Grpc => {
            let address = format!("127.0.0.1:{}", ports.two);
            h2load::call((&address, HOST, CALL), much, cores).await
        }
        Protocol::Tcp => {
            let url = format!("http://127.0.0.1:{}/", ports.raw);
            wrk::get((&url, Some(HOST)), much, cores).await
        }
        // A name, not an address: it is the server name of the handshake.
        Protocol::Tls => {
            let url = format!("https://localhost:{}/", ports.secure);
            wrk::get((&url, Some(HOST)), much, cores).await
        }
    }
}
