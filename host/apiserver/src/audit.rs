//! The audit log: one JSON line a request, with who did what to which object and how it ended.
//!
//! Lines are `audit.k8s.io/v1` Events of the level Metadata
//! (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>). The log never slows a request down: lines wait in a
//! bounded queue, and when the disk is slower than the callers the next line says how many were lost. Two files of a
//! bounded size are kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::request::Parts;
use http::{Method, Response};
use osier_access::User;
use osier_process::body::Body;
use osier_process::{Tasks, clock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::authorize;
use crate::target::{Address, Target};

/// Lines that wait for the disk.
const WAITING: usize = 4096;
/// Lines that are written at once.
const BATCH: usize = 256;

/// Where the audit log is, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// The file; the one before it has `.1` at the end of its name.
    pub path: PathBuf,
    /// The file is changed for a new one when it is as large as this, in bytes.
    pub limit: u64,
}

/// The sending end.
#[derive(Clone)]
pub(crate) struct AuditLog {
    lines: mpsc::Sender<String>,
    lost: Arc<AtomicU64>,
}

/// What is known of a request before it is answered.
pub(crate) struct Begun {
    event: Value,
}

impl AuditLog {
    /// Opens the log, and writes it as a task.
    pub(crate) fn open(settings: AuditSettings, tasks: &Tasks) -> io::Result<Self> {
        let log = LogFile::open(settings)?;
        let (lines, waiting) = mpsc::channel::<String>(WAITING);
        tasks.spawn("audit log", write_lines(log, waiting, tasks.clone()));
        Ok(Self {
            lines,
            lost: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Notes a request.
    pub(crate) fn begin(&self, user: &User, target: &Target, head: &Parts) -> Begun {
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
        Begun { event }
    }

    /// Writes the line of a request that is answered.
    pub(crate) fn end(&self, begun: Begun, allowed: bool, response: &Response<Body>) {
        let mut event = begun.event;
        let code = response.status().as_u16();
        event["responseStatus"] = json!({"code": code});
        if event["verb"] == "watch" {
            event["stage"] = json!("ResponseStarted");
        }
        event["stageTimestamp"] = json!(clock::micros(clock::now()));
        let decision = if allowed { "allow" } else { "forbid" };
        event["annotations"] = json!({"authorization.k8s.io/decision": decision});
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            event["annotations"]["audit.osier.dev/lost-before"] = json!(lost.to_string());
        }
        if self.lines.try_send(format!("{event}\n")).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
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
pub(crate) fn worth(user: &User, target: &Target, method: &Method) -> bool {
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
