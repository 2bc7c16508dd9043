//! The network's way in: who a connection belongs to, by its client certificate or its token.

use std::sync::Arc;

use http::{Request, Response};
use osier_access::{User, by_token};
use osier_process::body::Body;
use osier_process::serve::{Handle, Peer};

use crate::respond;
use crate::server::ApiServer;

/// Serves an [`ApiServer`] on the one accept loop.
#[derive(Clone)]
pub struct Listener(pub Arc<ApiServer>);

impl Handle for Listener {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let server = &self.0;
        let caller = match by_certificate(peer) {
            Some(user) => Ok(user),
            None => by_token(&server.tokens, &server.registry.find(), request.headers()),
        };
        match caller {
            Ok(user) => server.call(&user, request).await,
            Err(refusal) => respond::status(&refusal),
        }
    }
}

/// The caller is the subject of the certificate, which the TLS layer has verified already.
fn by_certificate(peer: &Peer) -> Option<User> {
    let subject = osier_identity::subject(peer.certificate.as_ref()?).ok()?;
    // A workload's certificate names nobody of the API.
    let named = !subject.common_name.is_empty();
    named.then(|| User::new(subject.common_name, subject.organizations))
}
