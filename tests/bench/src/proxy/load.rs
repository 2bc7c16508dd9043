//! The protocols that are compared, and the load for each: `wrk` for HTTP/1.1 with and without TLS, `h2load` for HTTP/2.

use super::program::Ports;
use super::{HOST, REQUESTS};
use crate::cores::Cores;
use crate::wrk::Outcome;
use crate::{h2load, wrk};
use anyhow::Result;

/// How clients speak to the proxy; it speaks HTTP/1.1 to the backend always.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    /// Kept connections, one request at a time on each.
    Http1,
    /// Prior knowledge, eight requests at a time on each connection.
    Http2,
    /// HTTP/1.1 on kept connections whose TLS ends at the proxy.
    Tls,
}

impl Protocol {
    pub(super) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Tls];

    /// Its name among the figures.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
        }
    }

    /// What makes the load, and how to install it.
    pub(super) fn tool(self) -> (&'static str, &'static str) {
        match self {
            Self::Http1 | Self::Tls => ("wrk", "`apt-get install wrk` has it"),
            Self::Http2 => ("h2load", "`apt-get install nghttp2-client` has it"),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2 without TLS",
            Self::Tls => "HTTP/1.1 over TLS",
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
        // A name, not an address: it is the server name of the handshake.
        Protocol::Tls => {
            let url = format!("https://localhost:{}/", ports.secure);
            wrk::get((&url, Some(HOST)), much, cores).await
        }
    }
}
