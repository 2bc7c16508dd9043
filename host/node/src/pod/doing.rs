//! Does what a probe or a hook says, with a container that runs: in kubelet's words if it fails.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use osier_engine::{Console, HttpContainer};
use osier_podspec::{Action, Call};
use osier_process::Boxed;
use osier_process::body::{self, Body};
use tokio::sync::mpsc;

use super::Shared;
use crate::beside;
use crate::live::{LiveContainer, Running};

/// Bytes of a command's output that are told when it fails; of an answer that is read.
const TOLD: usize = 10 * 1024;
/// Writes of a command that wait to be read.
const WRITES: usize = 16;
/// The health check of gRPC (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// How a call of gRPC ended.
const STATUS: &str = "grpc-status";
/// `HealthCheckResponse{status: SERVING}`.
const SERVING: &[u8] = &[0x08, 1];

/// Who does it.
pub(super) struct Doer {
    pub(super) shared: Arc<Shared>,
    /// Of the pod.
    pub(super) uid: String,
    pub(super) live: Arc<LiveContainer>,
}

impl Doer {
    /// Does it once. There is no time limit here: drop the future.
    pub(super) fn perform<'a>(&'a self, action: &'a Action) -> Boxed<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                Action::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(())
                }
                Action::Exec(words) => self.run(words.clone()).await,
                Action::TcpSocket(port) => self.connect(port.number()?),
                Action::HttpGet(call) => get(&self.server(call.port.number()?)?, call).await,
                Action::Grpc { port, service } => {
                    check(&self.server(port.number()?)?, service).await
                }
            }
        })
    }

    /// The container, if it answers requests, else the program that listens on the port.
    fn server(&self, port: u16) -> Result<Server<'_>, String> {
        match &self.live.body {
            Running::Serves(container) => Ok(Server::Container(container)),
            Running::Runs(_) if self.shared.served.listens(&self.uid, port) => {
                Ok(Server::Program(self, port))
            }
            Running::Runs(_) => Err(refused(port, "the program does not listen there")),
        }
    }

    /// Whether the pod takes connections on the port.
    fn connect(&self, port: u16) -> Result<(), String> {
        match self.shared.served.listens(&self.uid, port) {
            true => Ok(()),
            false => Err(refused(port, "no container of the pod serves it")),
        }
    }

    /// Runs what `kubectl exec` would.
    async fn run(&self, words: Vec<String>) -> Result<(), String> {
        let prepared = beside::prepare(&self.shared.components, &self.live, words).await;
        let execution = prepared.map_err(|status| status.message)??;
        let (said, mut heard) = mpsc::channel::<Bytes>(WRITES);
        let console = Console {
            stdin: None,
            stdout: said.clone(),
            stderr: said,
            terminal: false,
        };
        let listening = async {
            let mut told = BytesMut::new();
            while let Some(bytes) = heard.recv().await {
                let room = TOLD.saturating_sub(told.len()).min(bytes.len());
                told.extend_from_slice(&bytes[..room]);
            }
            told
        };
        let (exit, told) = tokio::join!(execution.run(console), listening);
        match beside::ended(&exit) {
            (0, _) => Ok(()),
            (code, words) => {
                let told = String::from_utf8_lossy(&told);
                let told = [told.trim(), words.as_str()].join(" ");
                Err(format!(
                    "command terminated with exit code {code}: {}",
                    told.trim()
                ))
            }
        }
    }
}

/// Who answers a probe's request.
enum Server<'a> {
    Container(&'a HttpContainer),
    Program(&'a Doer, u16),
}

impl Server<'_> {
    async fn send(&self, request: http::Result<Request<Body>>) -> Result<Response<Body>, String> {
        let request = request.map_err(|error| error.to_string())?;
        let words = |error: &dyn std::fmt::Display| error.to_string();
        match self {
            Self::Container(container) => {
                let answer = container.call(request).await;
                answer.map_err(|error| words(&error))
            }
            Self::Program(doer, port) => {
                let answer = doer.shared.served.send(&doer.uid, *port, request);
                answer.await.map_err(|error| words(&error))
            }
        }
    }
}

fn refused(port: u16, why: &str) -> String {
    format!("dial tcp :{port}: connect: connection refused ({why})")
}

async fn get(server: &Server<'_>, call: &Call) -> Result<(), String> {
    let mut request = Request::get(format!("http://localhost{}", call.path))
        .header("user-agent", "kube-probe/1.32");
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let answer = server.send(request.body(body::empty())).await?;
    let code = answer.status();
    if (StatusCode::OK..StatusCode::BAD_REQUEST).contains(&code) {
        return Ok(());
    }
    let code = code.as_u16();
    Err(format!("HTTP probe failed with statuscode: {code}"))
}

/// Asks for the health of a service of gRPC.
async fn check(server: &Server<'_>, service: &str) -> Result<(), String> {
    // HealthCheckRequest{service}, in a frame that says its length and is not compressed.
    let length = u8::try_from(service.len()).unwrap_or(u8::MAX);
    if length > 127 {
        return Err("the service's name is too long".to_owned());
    }
    let mut message = Vec::new();
    if length > 0 {
        message.extend([0x0a, length]);
        message.extend(service.as_bytes());
    }
    let size = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let frame = [&[0, 0, 0, 0, size], message.as_slice()].concat();
    let request = Request::post(format!("http://localhost{HEALTH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.32")
        .body(body::full(frame));
    let answer = server.send(request).await?;
    let code = answer.status();
    let mut told = answer.headers().get(STATUS).cloned();
    let (mut body, mut read) = (answer.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        match frame.into_data() {
            Ok(data) if read.len() + data.len() > TOLD => return Err("a long answer".to_owned()),
            Ok(data) => read.extend_from_slice(&data),
            Err(other) => {
                let trailers = other.trailers_ref();
                told = told.or_else(|| trailers?.get(STATUS).cloned());
            }
        }
    }
    let status = told.as_ref().map_or(&b"none"[..], HeaderValue::as_bytes);
    if code != StatusCode::OK || status != b"0" {
        let status = String::from_utf8_lossy(status);
        return Err(format!(
            "service unhealthy (HTTP {code}, grpc-status {status})"
        ));
    }
    match read.get(5..) {
        Some(SERVING) => Ok(()),
        _ => Err("service unhealthy (responded with \"NOT_SERVING\")".to_owned()),
    }
}
