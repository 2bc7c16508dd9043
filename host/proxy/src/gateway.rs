//! Where outside connections enter: how they begin is read from the snapshot, and each request goes through the one door.

use std::sync::Arc;

use http::{Request, Response};
use osier_identity::Hello;
use osier_process::CancellationToken;
use osier_process::body::Body;
use osier_process::serve::{Choice, Choose, Handle, Handshake, Opening, Peer, Stream, Then};
use osier_snapshot::{Application, ListenerKey, TlsMode, Transport};

use crate::proxy::Proxy;
use crate::source::Source;
use crate::tunnel::{self, Incoming};

/// A gateway's listener: what comes from outside enters the proxy here.
#[derive(Clone)]
pub struct GatewayListener {
    proxy: Arc<Proxy>,
    key: ListenerKey,
    stopping: CancellationToken,
}

impl GatewayListener {
    /// The listener of this key. `stopping` tells raw connections to end.
    pub fn new(proxy: Arc<Proxy>, key: ListenerKey, stopping: CancellationToken) -> Self {
        Self {
            proxy,
            key,
            stopping,
        }
    }
}

impl Handle for GatewayListener {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let source = Source::Gateway {
            name: self.proxy.gateway_name(),
            listener: self.key,
            peer: Arc::clone(peer),
        };
        self.proxy.handle(source, request).await
    }

    async fn stream(&self, peer: Arc<Peer>, stream: Box<dyn Stream>) {
        let server_name = peer.server_name().map(Into::into);
        let source = Source::Gateway {
            name: self.proxy.gateway_name(),
            listener: self.key,
            peer,
        };
        let incoming = Incoming {
            source,
            to: None,
            server_name,
            stream,
            told: None,
            datagrams: false,
            stopping: self.stopping.clone(),
        };
        tunnel::serve(&self.proxy, incoming).await;
    }
}

/// The snapshot of the moment decides: a listener that changes keeps its socket, and open connections go on as they began.
impl Choose for GatewayListener {
    fn opening(&self) -> Opening {
        let snapshot = self.proxy.snapshot();
        let listener = snapshot.listener(self.key);
        let then = match listener.map(|listener| (listener.transport, listener.server(None))) {
            Some((Transport::Tls, _)) => Then::Tls,
            Some((Transport::Plain, Some(server))) => match server.application {
                Application::Http => Then::Http,
                Application::Stream => Then::Stream,
            },
            // The main listener answers that nothing is routed yet; the others are open only while a gateway asks for them.
            _ if self.key == ListenerKey::Main => Then::Http,
            _ => Then::Nothing,
        };
        Opening {
            proxy_protocol: listener.is_some_and(|listener| listener.proxy_protocol),
            then,
        }
    }

    fn choose(&self, so_far: &[u8]) -> Choice {
        let server_name = match osier_identity::hello(so_far) {
            Hello::Incomplete => return Choice::More,
            Hello::Wrong(reason) => return Choice::Refused(reason),
            Hello::Complete(name) => name,
        };
        let snapshot = self.proxy.snapshot();
        let Some(server) = snapshot.server(self.key, server_name.as_deref()) else {
            return Choice::Refused(format!("no server takes server name {server_name:?}"));
        };
        if server
            .tls
            .as_ref()
            .is_some_and(|tls| tls.mode == TlsMode::Passthrough)
        {
            return Choice::Passed(Handshake { server_name });
        }
        match (self.proxy.terminations.of(server), server.application) {
            (None, _) => Choice::Refused(format!("server {} has no certificate", server.name)),
            (Some(config), Application::Http) => Choice::Http(config),
            (Some(config), Application::Stream) => Choice::Stream(config),
        }
    }
}
