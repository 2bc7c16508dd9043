//! Where a connection of the workload goes: as requests where it speaks HTTP to what takes HTTP, else as it is.

use std::sync::Arc;

use http::{Request, Response};
use osier_process::body::Body;
use osier_process::serve::{Handle, Peer, Stream, serve_stream};
use osier_process::{CancellationToken, Tasks};
use osier_proxy::{Expected, Proxy, Source, Wished};
use osier_snapshot::Workload;

use crate::sniff::{self, Spoken};

/// Requests of the workload, in its name.
#[derive(Clone)]
pub struct Requests {
    /// The one door.
    pub proxy: Arc<Proxy>,
    /// Who calls.
    pub workload: Arc<Workload>,
}

impl Handle for Requests {
    async fn handle(&self, _: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let source = Source::Pod(Arc::clone(&self.workload));
        self.proxy.handle(source, request).await
    }
}

/// One connection that the workload opened.
pub struct Opened {
    /// Whose it is.
    pub requests: Requests,
    /// `HOST:PORT` that it goes to.
    pub authority: String,
    /// The workload's end, for logs.
    pub peer: Peer,
    /// Its bytes.
    pub stream: Box<dyn Stream>,
}

impl Opened {
    /// Takes it to its end.
    pub async fn go(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        let (proxy, workload) = (&self.requests.proxy, &self.requests.workload);
        let expected = proxy.expected(workload, &self.authority);
        if matches!(expected, Ok(Expected::Bytes)) {
            let stream = self.stream;
            return carry(&self.requests, (self.authority, None), stream, stopping).await;
        }
        let Ok((spoken, stream)) = sniff::look(self.stream).await else {
            return;
        };
        match spoken {
            Spoken::Http => serve_stream(stream, self.peer, self.requests, tasks.clone()).await,
            Spoken::Tls(Some(name)) => {
                // An address that the mesh does not know says less than the name that is asked for.
                let port = self.authority.rsplit_once(':').map(|(_, port)| port);
                let authority = match (&expected, port) {
                    (Err(_), Some(port)) => format!("{name}:{port}"),
                    _ => self.authority.clone(),
                };
                let wished = (authority, Some(name));
                carry(&self.requests, wished, Box::new(stream), stopping).await;
            }
            Spoken::Tls(None) | Spoken::Bytes => {
                let wished = (self.authority, None);
                carry(&self.requests, wished, Box::new(stream), stopping).await;
            }
        }
    }
}

async fn carry(
    requests: &Requests,
    (authority, server_name): (String, Option<Box<str>>),
    stream: Box<dyn Stream>,
    stopping: CancellationToken,
) {
    let wished = Wished {
        authority,
        server_name,
        datagrams: false,
    };
    let workload = Arc::clone(&requests.workload);
    requests
        .proxy
        .carry(workload, wished, (stream, None), stopping)
        .await;
}
