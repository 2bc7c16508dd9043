//! What the workload opens: by an explicit proxy, HTTP or SOCKS5 on one port, or by connections that the machine redirects.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use osier_egress::{Opened, Requests};
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_process::serve::{
    Choice, Choose, Handle, Opening, Peer, Prefixed, Stream, Then, serve_stream,
};
use tokio::io::AsyncReadExt;

use crate::socks::{self, Reply};
use crate::speaker::Shared;

/// How long a client of the proxy may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time from the answer until a CONNECT has changed over.
const CHANGE: Duration = Duration::from_secs(10);

/// A listener for the workload.
#[derive(Clone)]
pub(crate) struct Outbound {
    shared: Arc<Shared>,
    redirected: bool,
    tasks: Tasks,
}

impl Outbound {
    pub(crate) fn new(shared: Arc<Shared>, redirected: bool, tasks: Tasks) -> Self {
        Self {
            shared,
            redirected,
            tasks,
        }
    }

    fn requests(&self) -> Option<Requests> {
        Some(Requests {
            workload: self.shared.workload()?,
            proxy: Arc::clone(&self.shared.proxy),
        })
    }

    /// SOCKS5 begins with its version, which begins no HTTP.
    async fn explicit(&self, peer: &Peer, mut stream: Box<dyn Stream>) {
        let mut first = BytesMut::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut first)).await;
        if !matches!(read, Ok(Ok(count)) if count > 0) {
            return;
        }
        let is_socks = first.first() == Some(&socks::VERSION);
        let stream = Prefixed::beginning(first, stream);
        let peer = Peer::plain(peer.address);
        if is_socks {
            self.socks(peer, stream).await;
        } else {
            serve_stream(stream, peer, self.clone(), self.tasks.clone()).await;
        }
    }

    async fn socks(&self, peer: Peer, mut stream: Prefixed<Box<dyn Stream>>) {
        let wished = socks::wish(&mut stream).await;
        let (Ok((host, port)), Some(requests)) = (wished, self.requests()) else {
            return;
        };
        let authority = format!("{host}:{port}");
        // A name that the mesh does not know is refused at once; behind an address may be a name that only the connection says.
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let known = requests.proxy.expected(&requests.workload, &authority);
        if let Err(reason) = known
            && !is_address
        {
            tracing::info!(
                authority,
                reason,
                "a connection of the workload was refused"
            );
            let _gone = socks::answer(&mut stream, Reply::NotAllowed).await;
            return;
        }
        if socks::answer(&mut stream, Reply::Succeeded).await.is_ok() {
            let stream: Box<dyn Stream> = Box::new(stream);
            let opened = Opened {
                requests,
                authority,
                peer,
                stream,
            };
            opened.go(&self.tasks).await;
        }
    }

    async fn redirected(&self, peer: &Peer, stream: Box<dyn Stream>) {
        let Some(asked) = peer.asked else {
            tracing::info!(peer = %peer.address, "a connection was not redirected: it wants to go nowhere");
            return;
        };
        if let Some(requests) = self.requests() {
            let opened = Opened {
                requests,
                authority: asked.to_string(),
                peer: Peer::plain(peer.address),
                stream,
            };
            opened.go(&self.tasks).await;
        }
    }

    /// Answers a CONNECT (RFC 9110, 9.3.6) whose bytes follow.
    fn connect(
        &self,
        requests: Requests,
        peer: &Peer,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let client = request.extensions_mut().remove::<OnUpgrade>();
        let authority = request.uri().authority().map(ToString::to_string);
        let (Some(client), Some(authority)) = (client, authority) else {
            return answer(
                StatusCode::BAD_REQUEST,
                "CONNECT needs HOST:PORT as its target",
            );
        };
        if let Err(reason) = requests.proxy.expected(&requests.workload, &authority) {
            return answer(StatusCode::FORBIDDEN, &reason);
        }
        let (tasks, peer) = (self.tasks.clone(), Peer::plain(peer.address));
        self.tasks.spawn("connect", async move {
            let Ok(Ok(stream)) = tokio::time::timeout(CHANGE, client).await else {
                return;
            };
            let opened = Opened {
                requests,
                authority,
                peer,
                stream: Box::new(TokioIo::new(stream)),
            };
            opened.go(&tasks).await;
        });
        Response::new(body::empty())
    }
}

fn answer(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("{reason}\n")));
    *response.status_mut() = status;
    response
}

impl Choose for Outbound {
    fn opening(&self) -> Opening {
        Opening {
            proxy_protocol: false,
            then: Then::Stream,
        }
    }

    fn takes_redirected(&self) -> bool {
        self.redirected
    }

    fn choose(&self, _so_far: &[u8]) -> Choice {
        Choice::Refused("a workload's proxy ends no TLS of the workload".to_owned())
    }
}

impl Handle for Outbound {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let Some(requests) = self.requests() else {
            let reason = "the mesh does not know the workload yet";
            return answer(StatusCode::SERVICE_UNAVAILABLE, reason);
        };
        let upgrades = request.extensions().get::<Protocol>().is_some();
        match *request.method() {
            Method::CONNECT if !upgrades => self.connect(requests, peer, request),
            _ => requests.handle(peer, request).await,
        }
    }

    async fn stream(&self, peer: Arc<Peer>, stream: Box<dyn Stream>) {
        match self.redirected {
            true => self.redirected(&peer, stream).await,
            false => self.explicit(&peer, stream).await,
        }
    }
}
