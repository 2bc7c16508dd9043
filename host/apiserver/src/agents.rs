//! The door to node agents, which know what no store does: logs, use, what was decided.

use http::{Request, Response};
use osier_api::{Object, Status};
use osier_process::Boxed;
use osier_process::body::Body;

/// Asks node agents, wherever they are.
pub trait NodeAgents: Send + Sync {
    /// Carries a question (`osier_kubelet`) to the agent of a node; of one that is in no store only the name is known.
    fn ask<'a>(
        &'a self,
        node: &'a Object,
        question: Request<Body>,
    ) -> Boxed<'a, Result<Response<Body>, Status>>;
}
