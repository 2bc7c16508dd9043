//! The pods that run here, as the proxy reaches them: by uid and port, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use osier_engine::{CallError, HttpContainer};
use osier_process::Boxed;
use osier_process::body::Body;
use osier_proxy::{PodError, Pods};
use osier_snapshot::Endpoint;
use parking_lot::RwLock;

/// One container that serves.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) name: String,
    /// Its declared ports; a container without any takes what no other container declares.
    pub(crate) ports: Vec<u16>,
    pub(crate) container: HttpContainer,
    /// Told of every call that failed.
    pub(crate) failed: Arc<dyn Fn(&CallError) + Send + Sync>,
}

/// All containers of this node that serve.
#[derive(Default)]
pub(crate) struct Served {
    pods: RwLock<HashMap<String, Vec<Serving>>>,
}

impl Served {
    /// The container serves from now on, in place of its life before.
    pub(crate) fn add(&self, uid: &str, serving: Serving) {
        let mut pods = self.pods.write();
        let containers = pods.entry(uid.to_owned()).or_default();
        containers.retain(|other| other.name != serving.name);
        containers.push(serving);
    }

    /// The container serves no more.
    pub(crate) fn remove(&self, uid: &str, name: &str) {
        let mut pods = self.pods.write();
        if let Some(containers) = pods.get_mut(uid) {
            containers.retain(|other| other.name != name);
            if containers.is_empty() {
                pods.remove(uid);
            }
        }
    }

    /// Lets all requests end, for at most `grace`; new ones are refused.
    pub(crate) async fn stop(&self, grace: Duration) {
        let all: Vec<HttpContainer> = self
            .pods
            .read()
            .values()
            .flatten()
            .map(|serving| serving.container.clone())
            .collect();
        futures::future::join_all(all.iter().map(|container| container.stop(grace))).await;
    }

    fn find(&self, uid: &str, port: u16) -> Option<Serving> {
        let pods = self.pods.read();
        let containers = pods.get(uid)?;
        let declared = containers
            .iter()
            .find(|serving| serving.ports.contains(&port));
        declared
            .or_else(|| containers.iter().find(|serving| serving.ports.is_empty()))
            .cloned()
    }

    /// Sends a request to a pod's port.
    pub(crate) fn send(
        &self,
        uid: &str,
        port: u16,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        let Some(serving) = self.find(uid, port) else {
            return Box::pin(std::future::ready(Err(PodError::NotHere)));
        };
        Box::pin(async move {
            let answer = serving.container.call(request).await;
            answer.map_err(|error| {
                (serving.failed)(&error);
                refusal(error)
            })
        })
    }
}

impl Pods for Served {
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        self.send(&endpoint.workload.uid, endpoint.port, request)
    }
}

fn refusal(error: CallError) -> PodError {
    match error {
        CallError::Overloaded => PodError::Overloaded,
        CallError::Stopped => PodError::NotHere,
        CallError::Deadline { .. } => PodError::Timeout,
        error @ (CallError::Trap { .. }
        | CallError::OutOfMemory { .. }
        | CallError::NoResponse
        | CallError::Refused { .. }) => PodError::Failed {
            reason: error.to_string(),
        },
    }
}
