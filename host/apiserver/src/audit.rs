//! The audit log: one JSON line a request, with who did what to which object and how it ended.
//!
//! Lines are `audit.k8s.io/v1` Events (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>), of the level Metadata unless
//! a policy says otherwise. The log never slows a request down: lines wait in a
//! bounded queue, and when the disk is slower than the callers the next line says how many were lost. Two files of a
//! bounded size are kept.

mod policy;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use osier_access::User;
use osier_process::body::{self, Body};
use osier_process::{Tasks, clock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::authorize;
use crate::decode::{self, Format};
use crate::target::{Address, Target};

/// Lines that wait for the disk.
const WAITING: usize = 4096;
/// Lines that are written at once.
const BATCH: usize = 256;
/// The largest body that is noted; a request may not be larger, and of an answer that is no object is noted.
const LARGEST: usize = 3 * 1024 * 1024;

pub use policy::AuditPolicy;
pub(crate) use policy::{Level, Noted};

/// Where the audit log is, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// The file; the one before it has `.1` at the end of its name.
    pub path: PathBuf,
    /// The file is changed for a new one when it is as large as this, in bytes.
    pub limit: u64,
    /// What is noted; without one the metadata of all but what the cluster's own parts do all the time.
    pub policy: Option<AuditPolicy>,
}

/// The sending end.
#[derive(Clone)]
pub(crate) struct AuditLog {
    lines: mpsc::Sender<String>,
    lost: Arc<AtomicU64>,
    policy: Option<Arc<AuditPolicy>>,
}

/// What is known of a request before it is answered.
pub(crate) struct Begun {
    event: Value,
    noted: Noted,
}

impl AuditLog {
    /// Opens the log, and writes it as a task.
    pub(crate) fn open(settings: AuditSettings, tasks: &Tasks) -> io::Result<Self> {
        let policy = settings.policy.clone().map(Arc::new);
        let log = LogFile::open(settings)?;
        let (lines, waiting) = mpsc::channel::<String>(WAITING);
        tasks.spawn("audit log", write_lines(log, waiting, tasks.clone()));
        Ok(Self {
            lines,
            lost: Arc::new(AtomicU64::new(0)),
            policy,
        })
    }

    /// How much of a request is noted, if anything.
    pub(crate) fn notes(&self, user: &User, target: &Target, head: &Parts) -> Option<Noted> {
        match &self.policy {
            Some(policy) => policy.noted(user, target, head),
            None => worth(user, target, &head.method).then_some(Noted {
                level: Level::Metadata,
                received: false,
                unmanaged: false,
            }),
        }
    }

    /// Notes a request; its body comes back, read where it is noted.
    pub(crate) async fn begin(
        &self,
        noted: Noted,
        (user, target): (&User, &Target),
        request: Request<Body>,
    ) -> (Begun, Request<Body>) {
        let (mut head, mut body) = request.into_parts();
        let mut event = metadata(user, target, &head);
        event["level"] = json!(format!("{:?}", noted.level));
        if noted.received {
            let mut received = event.clone();
            received["stage"] = json!("RequestReceived");
            received["stageTimestamp"] = json!(clock::micros(clock::now()));
            self.send(received);
        }
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        if noted.level >= Level::Request && !reads {
            let bytes = body::read(std::mem::replace(&mut body, body::empty()), LARGEST).await;
            if let Ok(bytes) = &bytes
                && let Some(object) = object(bytes, &head.headers, noted)
            {
                event["requestObject"] = object;
            }
            // In place of a body that is too large, or broke off, one that whoever reads it next refuses too.
            let refused = |_| Bytes::from(vec![0; LARGEST + 1]);
            body = body::full(bytes.unwrap_or_else(refused));
        }
        if noted.level == Level::RequestResponse {
            // What is noted is read here.
            head.headers.remove(ACCEPT_ENCODING);
        }
        (Begun { event, noted }, Request::from_parts(head, body))
    }

    /// Writes the line of a request that is answered; the answer comes back, read where it is noted.
    pub(crate) async fn end(
        &self,
        begun: Begun,
        (allowed, notes): (bool, Vec<(String, String)>),
        mut response: Response<Body>,
    ) -> Response<Body> {
        let Begun { mut event, noted } = begun;
        let streams = event["verb"] == "watch" || response.status().as_u16() == 101;
        let size = http_body::Body::size_hint(response.body()).exact();
        let small = size.is_some_and(|size| size <= LARGEST as u64);
        if noted.level == Level::RequestResponse && !streams && small {
            let (head, body) = response.into_parts();
            let bytes = body::read(body, LARGEST).await.unwrap_or_default();
            if let Some(object) = object(&bytes, &head.headers, noted) {
                event["responseObject"] = object;
            }
            response = Response::from_parts(head, body::full(bytes));
        }
        let code = response.status().as_u16();
        event["responseStatus"] = json!({"code": code});
        if event["verb"] == "watch" {
            event["stage"] = json!("ResponseStarted");
        }
        event["stageTimestamp"] = json!(clock::micros(clock::now()));
        let decision = if allowed { "allow" } else { "forbid" };
        event["annotations"] = json!({"authorization.k8s.io/decision": decision});
        for (key, text) in notes {
            event["annotations"][key] = text.into();
        }
        self.send(event);
        response
    }

    fn send(&self, mut event: Value) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            event["annotations"]["audit.osier.dev/lost-before"] = json!(lost.to_string());
        }
        if self.lines.try_send(format!("{event}\n")).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// Who does what to which object.
fn metadata(user: &User, target: &Target, head: &Parts) -> Value {
    let header = |name: &str| {
        let value = head.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
        "auditID": uuid::Uuid::new_v4().to_string(),
        "requestURI": head.uri.path_and_query().map_or("/", |path| path.as_str()),
        "verb": verb(target, head),
        "user": user.to_value(),
        "userAgent": header("user-agent"),
        "requestReceivedTimestamp": clock::micros(clock::now()),
    });
    let other = header("impersonate-user");
    if !other.is_empty() {
        event["impersonatedUser"] = json!({"username": other});
    }
    if let Target::Resource(address) = target {
        event["objectRef"] = reference(address);
    }
    event
}

/// A body as an object, if it is one.
fn object(bytes: &Bytes, headers: &HeaderMap, noted: Noted) -> Option<Value> {
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|media| media.to_str().ok());
    let format = match media.unwrap_or("application/json") {
        yaml if yaml.contains("yaml") => Format::Yaml,
        _ => Format::Json,
    };
    let mut object = decode::parse(bytes, format).ok()?.value;
    if noted.unmanaged
        && let Some(metadata) = object
            .pointer_mut("/metadata")
            .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
    Some(object)
}

/// Writes what waits until the tasks are to stop, and then the rest.
async fn write_lines(mut log: LogFile, mut waiting: mpsc::Receiver<String>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let mut last = false;
    while !last {
        let mut batch = Vec::with_capacity(BATCH);
        last = tokio::select! {
            biased;
            () = stopping.cancelled() => true,
            count = waiting.recv_many(&mut batch, BATCH) => count == 0,
        };
        // There is never more of it than the queue holds.
        while last && let Ok(line) = waiting.try_recv() {
            batch.push(line);
        }
        let writing = tasks.spawn_blocking("audit log", move || log.written(&batch));
        let Ok(back) = writing.await else {
            return;
        };
        log = back;
    }
}

/// What a request is about.
fn reference(address: &Address) -> Value {
    let mut object = json!({"resource": address.resource.plural, "apiVersion": address.version});
    let parts = [
        ("apiGroup", address.resource.group),
        ("namespace", &address.namespace),
        ("name", &address.name),
        ("subresource", &address.subresource),
    ];
    for (key, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
        object[key] = json!(text);
    }
    object
}

/// The verb as roles name it; the method where no resource is meant.
fn verb(target: &Target, head: &Parts) -> String {
    match target {
        Target::Resource(address) => authorize::verb(address, head).to_owned(),
        _ => head.method.as_str().to_lowercase(),
    }
}

/// Whether a request of the node's own parts is worth a line: they read all the time, and tell that they live.
fn worth(user: &User, target: &Target, method: &Method) -> bool {
    let own = user.is_in("system:nodes") || user.is_in("osier:components");
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let ticks = |target: &Target| match target {
        Target::Resource(address) => {
            matches!(address.resource.plural, "leases" | "events")
                || address.subresource == "status"
        }
        _ => false,
    };
    !(own && (reads || ticks(target)))
}

/// The file that is written, and how full it is.
struct LogFile {
    settings: AuditSettings,
    file: File,
    size: u64,
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

impl LogFile {
    fn open(settings: AuditSettings) -> io::Result<Self> {
        let file = append(&settings.path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            settings,
            file,
            size,
        })
    }

    /// The file after it took these lines; a failure is told, and what follows is tried again.
    fn written(mut self, lines: &[String]) -> Self {
        if let Err(error) = self.write(lines) {
            tracing::error!(%error, path = %self.settings.path.display(), "the audit log cannot be written");
        }
        self
    }

    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        let text = lines.concat();
        if self.size > 0 && self.size + text.len() as u64 > self.settings.limit {
            let mut before = self.settings.path.clone().into_os_string();
            before.push(".1");
            std::fs::rename(&self.settings.path, before)?;
            self.file = append(&self.settings.path)?;
            self.size = 0;
        }
        self.file.write_all(text.as_bytes())?;
        self.size += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn two_files_of_a_bounded_size_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let settings = AuditSettings {
            path: path.clone(),
            limit: 20,
            policy: None,
        };
        let mut log = LogFile::open(settings.clone()).unwrap();
        for number in 0..5 {
            log.write(&[format!("line {number}....\n")]).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("audit.log").as_str(), read("audit.log.1").as_str()),
            ("line 4....\n", "line 3....\n")
        );
        let mut again = LogFile::open(settings).unwrap();
        again.write(&["x\n".to_owned()]).unwrap();
        assert_eq!(
            read("audit.log"),
            "line 4....\nx\n",
            "a restart goes on in the same file"
        );
    }
}
