//! The API's door to node agents: that of this process by a call, others over mutual TLS at their mesh address.

use osier_api::{Object, Status};
use osier_apiserver::NodeAgents;
use osier_client::Direct;
use osier_identity::{Authority, Subject};
use osier_node::Node;
use osier_process::body::Body;
use osier_process::{Boxed, Tasks};
use osier_snapshot::MESH_ADDRESS;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A certificate holds for a year; none is used for longer than this.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The door is part of the API server, which starts before the node agent; the agent steps in when it is up.
pub(crate) struct Agents {
    own: OnceLock<Arc<Node>>,
    authority: Arc<Authority>,
    direct: Mutex<Option<(Instant, Arc<Direct>)>>,
    tasks: Tasks,
}

impl Agents {
    /// A door to other nodes, as one whom the authority certifies.
    pub(crate) fn new(authority: Arc<Authority>, tasks: Tasks) -> Self {
        Self {
            own: OnceLock::new(),
            authority,
            direct: Mutex::default(),
            tasks,
        }
    }

    /// Joins the agent of this process. A second call changes nothing.
    pub(crate) fn join(&self, node: Arc<Node>) {
        let _first_wins = self.own.set(node);
    }

    fn direct(&self) -> Result<Arc<Direct>, Status> {
        let mut known = self.direct.lock();
        if let Some((since, direct)) = &*known
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(direct));
        }
        let issued = self.authority.issue(&Subject::kubelet_client());
        let credential = issued.map_err(Status::internal)?;
        let trusted = self.authority.certificate_pem();
        let config = osier_identity::client_config(trusted, Some(&credential));
        let config = config.map_err(Status::internal)?;
        let direct = Arc::new(Direct::new(&config, self.tasks.clone()));
        *known = Some((Instant::now(), Arc::clone(&direct)));
        Ok(direct)
    }
}

impl NodeAgents for Agents {
    fn ask<'a>(
        &'a self,
        node: &'a Object,
        question: http::Request<Body>,
    ) -> Boxed<'a, Result<http::Response<Body>, Status>> {
        Box::pin(async move {
            let Some(own) = self.own.get() else {
                return Err(Status::unavailable("the node agent is starting; try again"));
            };
            let name = node.name();
            if own.name() == name {
                return Ok(own.api().call(question).await);
            }
            let address = address(node)?;
            let server = osier_proxy::server_name(name);
            let asked = self.direct()?.ask((address, &server), question).await;
            asked.map_err(|error| {
                Status::unavailable(format!("node {name:?} does not answer: {error}"))
            })
        })
    }
}

/// Where a joined node listens.
fn address(node: &Object) -> Result<SocketAddr, Status> {
    let name = node.name();
    if node.uid().is_empty() {
        let words = format!("node {name:?} is not served here: it is not in the cluster");
        return Err(Status::new(404, "NotFound", words));
    }
    let told = node
        .annotation(MESH_ADDRESS)
        .and_then(|text| text.parse().ok());
    told.ok_or_else(|| {
        Status::unavailable(format!(
            "node {name:?} has not said where it listens (annotation {MESH_ADDRESS}); it does once it is up"
        ))
    })
}
