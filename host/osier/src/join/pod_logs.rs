//! `kubectl logs`: the API's door, answered by the node agent of this process.

use osier_api::{Object, Status};
use osier_apiserver::{LogOptions, PodLogs};
use osier_node::Node;
use osier_process::Boxed;
use osier_process::body::Body;
use std::sync::{Arc, OnceLock};

/// The door is part of the API server, which starts before the node agent; the agent steps in when it is up.
#[derive(Default)]
pub(crate) struct NodeLogs {
    node: OnceLock<Here>,
}

/// The agent's name and logs.
struct Here {
    name: String,
    logs: Arc<osier_node::Logs>,
}

impl NodeLogs {
    /// Joins the agent's logs. A second call changes nothing.
    pub(crate) fn join(&self, node: &Node) {
        let _first_wins = self.node.set(Here {
            name: node.name().to_owned(),
            logs: node.logs(),
        });
    }
}

impl PodLogs for NodeLogs {
    fn open<'a>(
        &'a self,
        pod: &'a Object,
        container: &'a str,
        options: LogOptions,
    ) -> Boxed<'a, Result<Body, Status>> {
        Box::pin(async move {
            let Some(here) = self.node.get() else {
                return Err(Status::unavailable("the node agent is starting; try again"));
            };
            let home = pod.text(&["spec", "nodeName"]);
            if !home.is_empty() && home != here.name {
                let words = format!(
                    "the pod's log is on node {home:?}, which this version does not ask; read pods/ in that node's data directory"
                );
                return Err(Status::new(501, "NotImplemented", words));
            }
            let options = osier_node::LogOptions {
                follow: options.follow,
                tail_lines: options.tail_lines,
                since: options.since,
                timestamps: options.timestamps,
                limit_bytes: options.limit_bytes,
                previous: options.previous,
            };
            here.logs.read(pod, container, options).await
        })
    }
}
