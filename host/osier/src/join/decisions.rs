//! `osier why`: the API's door, answered by the node agent of this process.

use osier_api::Status;
use osier_apiserver::Decisions;
use osier_node::Node;
use osier_process::Boxed;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The door is part of the API server, which starts before the node agent; the agent steps in when it is up.
#[derive(Default)]
pub(crate) struct NodeDecisions {
    node: OnceLock<Arc<Node>>,
}

impl NodeDecisions {
    /// Joins the agent. A second call changes nothing.
    pub(crate) fn join(&self, node: Arc<Node>) {
        let _first_wins = self.node.set(node);
    }
}

impl Decisions for NodeDecisions {
    fn find<'a>(
        &'a self,
        node: &'a str,
        request_id: &'a str,
    ) -> Boxed<'a, Result<Vec<Value>, Status>> {
        Box::pin(async move {
            let Some(own) = self.node.get() else {
                return Err(Status::unavailable("the node agent is starting; try again"));
            };
            if own.name() != node {
                let words = format!("node {node:?} is not served here; this is {:?}", own.name());
                return Err(Status::new(404, "NotFound", words));
            }
            Ok(own.decisions().find(request_id))
        })
    }
}
