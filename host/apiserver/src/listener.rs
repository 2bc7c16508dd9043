//! The network's way in: who a connection belongs to, by its client certificate or its token.

use std::sync::Arc;
use std::time::Duration;

use http::header::EXPECT;
use http::{Request, Response};
use osier_access::{User, by_token};
use osier_process::body::{self, Body, Unread};
use osier_process::serve::{Handle, Peer};

use crate::server::ApiServer;
use osier_answers::respond;

/// Bytes of a body that are still taken off the connection of a request that was refused before they were read, and for how long.
const DISCARDED: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves an [`ApiServer`] on the one accept loop.
#[derive(Clone)]
pub struct Listener(pub Arc<ApiServer>);

impl Handle for Listener {
    /// Hundreds of watches of one client are told of a change at once.
    fn gathers(&self) -> bool {
        true
    }

    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let (request, unread) = lent(request);
        let server = &self.0;
        let caller = match by_certificate(peer) {
            Some(user) => Ok(user),
            None => by_token(&server.tokens, &server.registry.find(), request.headers()),
        };
        let response = match caller {
            Ok(user) => server.call(&user, request).await,
            Err(refusal) => {
                drop(request);
                respond::status(&refusal)
            }
        };
        if let Some(unread) = unread {
            unread.discard(DISCARDED, PATIENCE).await;
        }
        response
    }
}

/// A request whose body comes back if it is not read; whoever asked first whether to send it has not sent it.
fn lent(request: Request<Body>) -> (Request<Body>, Option<Unread>) {
    if request.headers().contains_key(EXPECT) {
        return (request, None);
    }
    let (head, body) = request.into_parts();
    let (body, unread) = body::lend(body);
    (Request::from_parts(head, body), unread)
}

/// The caller is the subject of the certificate, which the TLS layer has verified already.
fn by_certificate(peer: &Peer) -> Option<User> {
    let subject = osier_identity::subject(peer.certificate.as_ref()?).ok()?;
    // A workload's certificate names nobody of the API.
    let named = !subject.common_name.is_empty();
    named.then(|| User::new(subject.common_name, subject.organizations))
}
