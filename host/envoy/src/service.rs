//! The services at their paths, over the one accept loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use osier_policy::PolicySet;
use osier_process::Tasks;
use osier_process::body::{self, Body, boxed};
use osier_process::serve::{Handle, Peer};
use tonic::server::{ClientStreamingService, Grpc, UnaryService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use crate::access_log;
use crate::authorization::{self, METHOD as CHECK};
use crate::concern::Concern;
use crate::judged::Judged;
use crate::messages::{
    CheckRequest, CheckResponse, RateLimitRequest, RateLimitResponse, StreamAccessLogsMessage,
    StreamAccessLogsResponse,
};
use crate::rate_limit::{self, METHOD as LIMIT};

const LOG: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// The largest message that is taken: a request with a body that Envoy was told to send along, or a batch of log entries.
const LARGEST: usize = 4 << 20;

/// How much of the message to an unknown method is read before the refusal, and how long that may take.
const SMALL: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the policies in force are.
pub trait Rulebook: Send + Sync {
    /// The policies in force; none until they are loaded.
    fn current(&self) -> Option<Arc<PolicySet>>;

    /// The policies were asked about a request; called before the Envoy has the answer, and must not block.
    fn judged(&self, request: &Judged<'_>);
}

/// Answers Envoys.
#[derive(Clone)]
pub struct PolicyService {
    rules: Arc<dyn Rulebook>,
    tasks: Tasks,
}

impl PolicyService {
    /// A service that asks these policies. Streams of logs end when the tasks are told to stop.
    pub fn new(rules: Arc<dyn Rulebook>, tasks: Tasks) -> Self {
        Self { rules, tasks }
    }

    fn current(&self) -> Result<Arc<PolicySet>, Status> {
        let rules = self.rules.current();
        rules.ok_or_else(|| Status::unavailable("the node's policies are not loaded yet"))
    }

    fn check(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        authorization::check(&*self.current()?, request, &|judged| {
            self.rules.judged(judged);
        })
    }

    fn limit(&self, request: &RateLimitRequest) -> Result<RateLimitResponse, Status> {
        rate_limit::limit(&*self.current()?, request, &|judged| {
            self.rules.judged(judged);
        })
    }

    /// Takes a stream of logs until the Envoy ends it or this process stops.
    async fn log(&self, mut stream: Streaming<StreamAccessLogsMessage>) -> Result<(), Status> {
        let stopping = self.tasks.stopping();
        let mut concern = None;
        loop {
            let next = tokio::select! {
                next = stream.message() => next?,
                () = stopping.cancelled() => {
                    return Err(Status::unavailable("this node stops; connect again"));
                }
            };
            let Some(message) = next else {
                return Ok(());
            };
            // Only the first message of a stream says which log it is.
            if let Some(identifier) = &message.identifier {
                concern = Some(Concern::of_name(&identifier.log_name));
            }
            let Some(concern) = &concern else {
                return Err(Status::invalid_argument(
                    "identifier: the first message must name the log",
                ));
            };
            access_log::tell(&*self.current()?, concern, &message)?;
        }
    }
}

impl Handle for PolicyService {
    async fn handle(&self, _peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let response = match request.uri().path() {
            CHECK => codec().unary(Check(self.clone()), request).await,
            LIMIT => codec().unary(Limit(self.clone()), request).await,
            LOG => codec().client_streaming(Log(self.clone()), request).await,
            _ => unknown(request).await.into_http(),
        };
        response.map(boxed)
    }
}

/// The refusal of a method that nobody serves, once its message was read: an answer that comes with the reset of the
/// stream its message still travels on is lost to some clients (curl 7.88).
async fn unknown(request: Request<Body>) -> Status {
    let (head, message) = request.into_parts();
    let _read_or_not = tokio::time::timeout(PATIENCE, body::read(message, SMALL)).await;
    let path = head.uri.path();
    Status::unimplemented(format!(
        "{path} is not served here: {CHECK}, {LIMIT} and {LOG} are"
    ))
}

fn codec<Answer, Question>() -> Grpc<ProstCodec<Answer, Question>>
where
    Answer: prost::Message + 'static,
    Question: prost::Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(LARGEST)
}

type Answered<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;

struct Check(PolicyService);
struct Limit(PolicyService);
struct Log(PolicyService);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Answered<CheckResponse>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let answer = self.0.check(request.into_inner());
        Box::pin(std::future::ready(answer.map(tonic::Response::new)))
    }
}

impl UnaryService<RateLimitRequest> for Limit {
    type Response = RateLimitResponse;
    type Future = Answered<RateLimitResponse>;

    fn call(&mut self, request: tonic::Request<RateLimitRequest>) -> Self::Future {
        let answer = self.0.limit(request.get_ref());
        Box::pin(std::future::ready(answer.map(tonic::Response::new)))
    }
}

impl ClientStreamingService<StreamAccessLogsMessage> for Log {
    type Response = StreamAccessLogsResponse;
    type Future = Answered<StreamAccessLogsResponse>;

    fn call(
        &mut self,
        request: tonic::Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            service.log(request.into_inner()).await?;
            Ok(tonic::Response::new(StreamAccessLogsResponse {}))
        })
    }
}
