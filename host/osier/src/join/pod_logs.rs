//! `kubectl logs`: the API's door, answered by the node agent of this process.

use osier_api::{Object, Status};
use osier_apiserver::{LogOptions, PodLogs};
use osier_process::Boxed;
use osier_process::body::Body;
use std::sync::{Arc, OnceLock};

/// The door is part of the API server, which starts before the node agent; the agent steps in when it is up.
#[derive(Default)]
pub struct NodeLogs {
}

impl NodeLogs {
}

impl PodLogs for NodeLogs {
    fn open<'a>(
        &'a self,
        pod: &'a Object,
        container: &'a str,
        options: LogOptions,
    ) -> Boxed<'a, Result<Body, Status>> {
        Box::pin(async move {
            Err(Status::unavailable("x"))
        })
    }
}
