//! What is asked of node agents, and how their answers are handed on.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{Request, Response};
use osier_api::{Object, Status, resources};
use osier_process::body::{self, Body};

use crate::admit::Read;
use crate::server::ApiServer;

impl ApiServer {
    /// Asks the agent of a node, and hands its answer on.
    pub(crate) async fn ask(&self, node: &str, question: &str) -> Result<Response<Body>, Status> {
        let request = Request::get(question)
            .body(body::empty())
            .map_err(Status::internal)?;
        let answer = self.doors.agents.ask(&self.node(node), request).await?;
        let (head, body) = answer.into_parts();
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        // Other headers are about the connection between the two.
        if let Some(media) = head.headers.get(CONTENT_TYPE) {
            response.headers_mut().insert(CONTENT_TYPE, media.clone());
        }
        Ok(response)
    }

    /// Asks for streams: the client's connection changes its protocol as the agent agrees with it.
    pub(crate) async fn stream(
        &self,
        node: &str,
        question: &str,
        mut head: Parts,
    ) -> Result<Response<Body>, Status> {
        head.uri = question.parse().map_err(Status::internal)?;
        // Who asked is settled here, and the agent is told by its own caller's certificate.
        head.headers.remove(AUTHORIZATION);
        let request = Request::from_parts(head, body::empty());
        self.doors.agents.ask(&self.node(node), request).await
    }

    fn node(&self, name: &str) -> Object {
        let known = Read::get(&*self.registry, &resources::NODES, "", name);
        known.unwrap_or_else(|| Object::new(&resources::NODES, "", name))
    }
}
