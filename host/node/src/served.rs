//! The pods that run here, as the proxy reaches them: by uid and port, in memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use osier_engine::{CallError, HttpContainer};
use osier_process::Boxed;
use osier_process::body::{self, Body, BodyError};
use osier_proxy::{PodError, Pods};
use osier_snapshot::Endpoint;
use parking_lot::RwLock;

/// How many locks the pods are spread over, so that requests to different pods do not meet.
const SHARDS: usize = 64;

/// The serving containers of some pods, by uid.
type Shard = RwLock<HashMap<String, Vec<Arc<Serving>>>>;

/// One container that serves.
pub(crate) struct Serving {
    pub(crate) name: String,
    /// Its declared ports; a container without any takes what no other container declares.
    pub(crate) ports: Vec<u16>,
    pub(crate) container: HttpContainer,
    /// Those from the mesh.
    pub(crate) calls: Arc<Calls>,
    /// Told of every call that failed.
    pub(crate) failed: Arc<dyn Fn(&CallError) + Send + Sync>,
}

/// The calls that a container gets from the mesh.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    taken: AtomicU64,
    under_way: AtomicU64,
}

impl Calls {
    fn enter(self: &Arc<Self>) -> UnderWay {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// For a meter that is read now and then: how many there were. Those under way count at every reading, so that a pod in the
    /// midst of a long answer is not taken for an idle one.
    pub(crate) fn taken(&self) -> u64 {
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.taken.fetch_add(under_way, Ordering::Relaxed) + under_way
    }
}

/// A call until the end of its answer.
struct UnderWay(Arc<Calls>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body that says when it has ended.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All containers of this node that serve. A request takes one read lock that only pods starting or
/// ending in the same shard write.
pub(crate) struct Served {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Served {
    fn shard(&self, uid: &str) -> Option<&Shard> {
        let hash = usize::try_from(self.hasher.hash_one(uid) % SHARDS as u64).unwrap_or(0);
        self.shards.get(hash)
    }

    /// The container serves from now on, in place of its life before.
    pub(crate) fn add(&self, uid: &str, serving: Serving) {
        let Some(shard) = self.shard(uid) else { return };
        let mut pods = shard.write();
        let containers = pods.entry(uid.to_owned()).or_default();
        containers.retain(|other| other.name != serving.name);
        containers.push(Arc::new(serving));
    }

    /// The container serves no more.
    pub(crate) fn remove(&self, uid: &str, name: &str) {
        let Some(shard) = self.shard(uid) else { return };
        let mut pods = shard.write();
        if let Some(containers) = pods.get_mut(uid) {
            containers.retain(|other| other.name != name);
            if containers.is_empty() {
                pods.remove(uid);
            }
        }
    }

    /// Lets all requests end, for at most `grace`; new ones are refused.
    pub(crate) async fn stop(&self, grace: Duration) {
        let all: Vec<Arc<Serving>> = self
            .shards
            .iter()
            .flat_map(|shard| shard.read().values().flatten().cloned().collect::<Vec<_>>())
            .collect();
        futures::future::join_all(all.iter().map(|serving| serving.container.stop(grace))).await;
    }

    fn find(&self, uid: &str, port: u16) -> Option<Arc<Serving>> {
        let pods = self.shard(uid)?.read();
        let containers = pods.get(uid)?;
        let declared = containers
            .iter()
            .find(|serving| serving.ports.contains(&port));
        declared
            .or_else(|| containers.iter().find(|serving| serving.ports.is_empty()))
            .cloned()
    }

    /// Whether a container takes requests to the port.
    pub(crate) fn listens(&self, uid: &str, port: u16) -> bool {
        self.find(uid, port).is_some()
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
        Box::pin(async move { serving.call(request).await })
    }
}

impl Serving {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, PodError> {
        let answer = self.container.call(request).await;
        answer.map_err(|error| {
            (self.failed)(&error);
            refusal(error)
        })
    }
}

impl Pods for Served {
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        let Some(serving) = self.find(&endpoint.workload.uid, endpoint.port) else {
            return Box::pin(std::future::ready(Err(PodError::NotHere)));
        };
        let _under_way = serving.calls.enter();
        Box::pin(async move {
            let answer = serving.call(request).await?;
            Ok(answer.map(|body| body::boxed(Counted { body, _under_way })))
        })
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
