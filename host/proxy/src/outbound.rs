//! What a workload beside a companion opens: connections that are no pod's, with the rights of the workload.

use std::sync::Arc;

use osier_process::CancellationToken;
use osier_process::serve::Stream;
use osier_snapshot::{Origin, Protocol, Workload};

use crate::proxy::Proxy;
use crate::source::Source;
use crate::tunnel::{self, Incoming, Told, connecting};

/// What a workload connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wished {
    /// `HOST:PORT`, the host a name or an address.
    pub authority: String,
    /// The server name of the TLS handshake that the connection begins with, if it does.
    pub server_name: Option<Box<str>>,
    /// Its bytes are datagrams, each with its length (two bytes) before it.
    pub datagrams: bool,
}

/// What is spoken on a connection, by the port that it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything, and perhaps the server speaks first.
    Bytes,
    /// What the first bytes say.
    Unsaid,
}

impl Proxy {
    /// Carries a raw connection of a workload to where it wishes, until it ends: routes, policies and grants hold as for requests.
    /// Whoever wants to know is told when it stands, or why it does not.
    pub async fn carry(
        self: &Arc<Self>,
        workload: Arc<Workload>,
        wished: Wished,
        (stream, told): (Box<dyn Stream>, Option<Told>),
        stopping: CancellationToken,
    ) {
        let Some(to) = connecting(&wished.authority) else {
            tracing::debug!(authority = wished.authority, "a connection names no host");
            return;
        };
        let incoming = Incoming {
            source: Source::Pod(workload),
            to: Some(to),
            server_name: wished.server_name,
            stream,
            told,
            datagrams: wished.datagrams,
            stopping,
        };
        tunnel::serve(self, incoming).await;
    }

    /// What the mesh expects of a connection of a workload to `HOST:PORT`.
    ///
    /// # Errors
    /// Why it would go nowhere, for a person.
    pub fn expected(&self, workload: &Workload, authority: &str) -> Result<Expected, String> {
        let Some(to) = connecting(authority) else {
            return Err(format!("{authority:?} is no HOST:PORT"));
        };
        let (snapshot, origin) = (self.snapshot(), Origin::Workload(workload));
        let host = to.uri.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let service = snapshot.service(host, Some(&workload.namespace));
        let port = to.uri.port_u16().and_then(|port| service?.port(port));
        let known = port.is_some() || snapshot.route(&origin, &to).is_some();
        if !known && snapshot.stream(workload, &to, None).is_none() {
            return match snapshot.by_address(workload, &to, false) {
                Some(_) => Ok(Expected::Bytes),
                None => Err(snapshot.miss(&origin, &to).to_string()),
            };
        }
        let is_encrypted = |name: &str| name.starts_with("tls") || name.starts_with("https");
        Ok(match port {
            Some(port) if port.protocol == Protocol::Tcp && !is_encrypted(&port.name) => {
                Expected::Bytes
            }
            _ => Expected::Unsaid,
        })
    }
}
