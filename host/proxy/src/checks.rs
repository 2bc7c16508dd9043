//! Active health checks: every endpoint outside that is checked is asked, again and again, by a task of its own. Thin loops; what
//! answers mean is decided by [`Soundness`].

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use osier_process::Tasks;
use osier_snapshot::{Check, Endpoint, Probe, Snapshot, Soundness};
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::ways::Ways;

/// Checks the endpoints of the mesh of the moment until the tasks stop.
pub fn check_endpoints(proxy: &Arc<Proxy>, tasks: &Tasks) {
    let checks = Checks {
        proxy: Arc::clone(proxy),
        tasks: tasks.clone(),
        running: HashMap::new(),
    };
    let stopping = tasks.stopping();
    tasks.spawn("health-checks", async move {
        tokio::select! {
            () = checks.run() => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// One task for each checked endpoint of the snapshot, and no others.
struct Checks {
    proxy: Arc<Proxy>,
    tasks: Tasks,
    running: HashMap<usize, Running>,
}

/// A task that ends with the value. The endpoint is held, so that its address stays its own.
struct Running {
    _endpoint: Arc<Endpoint>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What tells endpoints apart while they are held.
fn key(endpoint: &Arc<Endpoint>) -> usize {
    Arc::as_ptr(endpoint).addr()
}

impl Checks {
    async fn run(mut self) {
        let mut published = self.proxy.published();
        loop {
            let snapshot = Arc::clone(&published.borrow_and_update());
            self.follow(&snapshot);
            drop(snapshot);
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    fn follow(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.running);
        for endpoint in snapshot.endpoints() {
            let Some(check) = &endpoint.check else {
                continue;
            };
            let key = key(endpoint);
            let running = before.remove(&key);
            let running = running.unwrap_or_else(|| self.start(endpoint, check));
            self.running.insert(key, running);
        }
    }

    fn start(&self, endpoint: &Arc<Endpoint>, check: &Arc<Check>) -> Running {
        let (watched, check) = (Arc::clone(endpoint), Arc::clone(check));
        let (ways, stopping) = (self.proxy.ways().clone(), self.tasks.stopping());
        let task = self.tasks.spawn("health-check", async move {
            tokio::select! {
                () = watch(&ways, &watched, &check) => {}
                () = stopping.cancelled() => {}
            }
        });
        Running {
            _endpoint: Arc::clone(endpoint),
            task,
        }
    }
}

/// Asks one endpoint for as long as it is in the mesh.
async fn watch(ways: &Ways, endpoint: &Arc<Endpoint>, check: &Check) {
    tokio::time::sleep(check.delay).await;
    let (mut is, mut told) = (Soundness::unknown(check), false);
    loop {
        let asked = ask(ways, endpoint, check);
        let answer = tokio::time::timeout(check.timeout, asked).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
        let was = is;
        is = was.after(answer.is_ok(), check);
        if was.is_sound() != is.is_sound() || !told {
            endpoint.found(is.is_sound());
            tell(endpoint, &answer);
            told = true;
        }
        tokio::time::sleep(check.period).await;
    }
}

fn tell(endpoint: &Endpoint, answer: &Result<(), String>) {
    let workload = &endpoint.workload;
    let (name, namespace, port) = (&*workload.name, &*workload.namespace, endpoint.port);
    match answer {
        Ok(()) => tracing::info!(
            endpoint = name,
            namespace,
            port,
            "a checked endpoint gets calls"
        ),
        Err(reason) => tracing::warn!(
            endpoint = name,
            namespace,
            port,
            reason = reason.as_str(),
            "a checked endpoint fails and gets no calls"
        ),
    }
}

/// One question.
async fn ask(ways: &Ways, endpoint: &Endpoint, check: &Check) -> Result<(), String> {
    let (Probe::Tcp { port } | Probe::Http { port, .. }) = &check.probe;
    let stream = ways.probe(endpoint, *port, check.timeout).await;
    let stream = stream.map_err(|failure| failure.to_string())?;
    let Probe::Http { path, headers, .. } = &check.probe else {
        return Ok(());
    };
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.clone().into();
    let own = [(CONNECTION, "close"), (HOST, "osier-health-check")];
    let own = own.map(|(name, value)| (name, http::HeaderValue::from_static(value)));
    for (name, value) in own.into_iter().chain(headers.iter().cloned()) {
        request.headers_mut().insert(name, value);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(words)?;
    let mut response = pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        // It may end with the last byte of the answer, which is there then.
        _ended = connection => response.await,
    };
    let response = response.map_err(words)?;
    match response.status() {
        status if status >= StatusCode::OK && status < StatusCode::BAD_REQUEST => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}

fn words(error: hyper::Error) -> String {
    error.to_string()
}
