//! A component of wasi:http as the proxy knows it: it takes exchanges whole.

use std::sync::Arc;

use http::{Request, Response};
use osier_process::Boxed;
use osier_process::body::Body;
use osier_proxy::{Carried, Reply};

use super::filters::reply;

/// A middleware of policy in the proxy's clothes. It is handed messages, so it is never asked about heads, bodies and trailers.
pub(super) struct Carrying(pub(super) osier_policy::FilterMiddleware);

impl osier_proxy::Filter for Carrying {
    fn label(&self) -> (Arc<str>, Arc<str>) {
        self.0.label()
    }

    fn sees_responses(&self) -> bool {
        true
    }

    fn carries(&self) -> bool {
        true
    }

    fn carry(&self, request: Request<Body>) -> Boxed<'static, Carried> {
        let carried = self.0.carry(request);
        Box::pin(async move {
            match carried.await {
                osier_policy::Carried::On(request, exchange) => {
                    Carried::On(request, Some(Box::new(Waiting(exchange))))
                }
                osier_policy::Carried::Passed(request) => Carried::On(request, None),
                osier_policy::Carried::Answer(response) => Carried::Answer(response),
                osier_policy::Carried::Respond(own) => Carried::Respond(reply(*own)),
            }
        })
    }
}

/// An exchange of policy in the proxy's clothes.
struct Waiting(Box<osier_policy::CarriedExchange>);

impl osier_proxy::Passage for Waiting {
    fn back(
        self: Box<Self>,
        response: Response<Body>,
    ) -> Boxed<'static, Result<Response<Body>, Reply>> {
        let made = self.0.back(response);
        Box::pin(async move { made.await.map_err(|own| reply(*own)) })
    }
}
