//! The controllers' and the node's way to the API of their own process: a call, not a connection.

use http::{Request, Response};
use osier_apiserver::{ApiServer, User};
use osier_client::{Transport, TransportError};
use osier_process::Boxed;
use osier_process::body::Body;
use std::sync::Arc;

/// Calls the API server of this process as a fixed user; authorization and admission apply as to everybody.
pub(crate) struct InProcess {
    server: Arc<ApiServer>,
    user: Arc<User>,
}

impl InProcess {
    /// A way to `server` as `user`.
    pub(crate) fn new(server: Arc<ApiServer>, user: User) -> Self {
        Self {
            server,
            user: Arc::new(user),
        }
    }
}

impl Transport for InProcess {
    fn send(
        &self,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, TransportError>> {
        let (server, user) = (self.server.clone(), self.user.clone());
        Box::pin(async move { Ok(server.call(&user, request).await) })
    }
}
