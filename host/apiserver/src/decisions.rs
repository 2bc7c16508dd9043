//! The door to what the data plane of a node has decided, which lives with the node agent.

use osier_api::Status;
use osier_process::Boxed;
use serde_json::Value;

/// Tells what was decided about a request.
pub trait Decisions: Send + Sync {
    /// The calls with this request id that the node remembers, oldest first, or the answer that the caller shall see.
    fn find<'a>(
        &'a self,
        node: &'a str,
        request_id: &'a str,
    ) -> Boxed<'a, Result<Vec<Value>, Status>>;
}
