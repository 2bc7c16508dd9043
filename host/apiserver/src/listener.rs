//! The network's way in: who a connection belongs to, by its client certificate.

use std::sync::Arc;

use http::{Request, Response};
use osier_api::Status;
use osier_process::body::Body;
use osier_process::serve::{Handle, Peer};

use crate::respond;
use crate::server::{ApiServer, public};
use crate::target;
use crate::user::User;

/// Serves an [`ApiServer`] on the one accept loop.
#[derive(Clone)]
pub struct Listener(pub Arc<ApiServer>);

impl Handle for Listener {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        match user(peer) {
            Some(user) => self.0.call(&user, request).await,
            None if public(&target::parse(request.uri().path())) => {
                let nobody = User::new("system:anonymous", ["system:unauthenticated"]);
                self.0.call(&nobody, request).await
            }
            None => respond::status(&Status::unauthorized()),
        }
    }
}

/// The caller is the subject of the certificate, which the TLS layer has verified already.
fn user(peer: &Peer) -> Option<User> {
    let subject = osier_identity::subject(peer.certificate.as_ref()?).ok()?;
    Some(User::new(subject.common_name, subject.organizations))
}
