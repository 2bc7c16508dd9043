//! Container logs: what guests write, in bounded files, and readers that can follow.
//!
//! A guest's write only copies into memory; one task writes to disk. A line is stored as the
//! container runtime interface has it: `TIME STREAM F TEXT`, with `P` for a part of a long line. It knows of a pod only its uid, and
//! never imports a client or a snapshot.

mod file;
mod line;
mod reader;
mod tap;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use osier_api::{Object, Status};
use osier_kubelet::LogOptions;
use osier_process::Tasks;
use osier_process::body::Body;
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub use tap::Piece;
pub use writer::LogFile;

/// The logs of one node.
pub struct Logs {
    root: PathBuf,
    /// Containers that may still write, by pod uid and container name.
    open: Mutex<HashMap<(String, String), Arc<LogFile>>>,
    dirty: mpsc::UnboundedSender<Arc<LogFile>>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// What a pod's status says of a container, as far as its log depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it waits to be started, if it does.
    pub waiting: Option<String>,
    /// Until when an instance of it wrote that was replaced since: it runs on, and has one log, but that instance is what
    /// terminated before.
    pub replaced: Option<Timestamp>,
}

impl Logs {
    /// Logs under `root`, one folder a pod uid.
    #[must_use]
    pub fn start(root: &Path, tasks: &Tasks) -> Arc<Self> {
        // Unbounded, but each file stands in it at most once.
        let (dirty, receiver) = mpsc::unbounded_channel();
        tasks.spawn("logs", writer::run(receiver, tasks.stopping()));
        Arc::new(Self {
            root: root.to_owned(),
            open: Mutex::new(HashMap::new()),
            dirty,
        })
    }

    /// Opens the log of one life of a container; that of the life before stays readable.
    pub fn open_container(&self, uid: &str, container: &str, life: u32) -> Arc<LogFile> {
        let folder = self.folder(uid, container);
        let log = Arc::new(LogFile::new(folder, life, self.dirty.clone()));
        let before = self
            .open
            .lock()
            .insert((uid.to_owned(), container.to_owned()), Arc::clone(&log));
        if let Some(before) = before {
            before.close();
        }
        log
    }

    /// The container has ended: followers come to their end. What it wrote stays readable.
    pub fn close_container(&self, uid: &str, container: &str) {
        if let Some(log) = self
            .open
            .lock()
            .get(&(uid.to_owned(), container.to_owned()))
        {
            log.close();
        }
    }

    /// The pod is gone, and its logs with it.
    ///
    /// # Errors
    /// When its folder cannot be removed.
    pub fn remove_pod(&self, uid: &str) -> std::io::Result<()> {
        self.open.lock().retain(|(pod, _), log| {
            if pod == uid {
                log.close();
            }
            pod != uid
        });
        match std::fs::remove_dir_all(self.root.join(uid)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Bytes that the containers of a pod have written and that are kept. Blocks.
    #[must_use]
    pub fn size(&self, uid: &str) -> u64 {
        let (mut sum, mut folders) = (0, vec![self.root.join(uid)]);
        while let Some(folder) = folders.pop() {
            // What goes away meanwhile takes no room.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    Ok(metadata) => sum += metadata.len(),
                    Err(_) => {}
                }
            }
        }
        sum
    }

    /// The uids that have a folder.
    #[must_use]
    pub fn pods(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// What a container that runs writes from now on, as it writes it; ends with the container.
    pub fn tap(&self, uid: &str, container: &str) -> Option<mpsc::Receiver<Piece>> {
        let open = self.open.lock();
        open.get(&(uid.to_owned(), container.to_owned()))?.tap()
    }

    /// Reads the log of a container.
    ///
    /// # Errors
    /// A bad request when there is no such log.
    pub async fn read(
        &self,
        pod: &Object,
        (container, standing): (&str, &Standing),
        options: LogOptions,
    ) -> Result<Body, Status> {
        let key = (pod.uid().to_owned(), container.to_owned());
        let live = self.open.lock().get(&key).cloned();
        if let Some(live) = &live {
            live.flushed().await;
        }
        let lives = file::lives(&self.folder(&key.0, container)).await;
        let current = live
            .as_ref()
            .map(|live| live.life())
            .or(lives.last().copied());
        let until = standing.replaced.filter(|_| options.previous);
        let wanted = if options.previous && until.is_none() {
            lives
                .iter()
                .copied()
                .filter(|life| Some(*life) < current)
                .max()
        } else {
            current
        };
        let Some(wanted) = wanted else {
            return Err(nothing(pod, (container, standing), options.previous));
        };
        let follows = options.follow && until.is_none();
        let live = live.filter(|live| live.life() == wanted && follows);
        let folder = self.folder(&key.0, container);
        Ok(reader::body((folder, wanted), (options, until), live))
    }

    fn folder(&self, uid: &str, container: &str) -> PathBuf {
        self.root.join(uid).join(container)
    }
}

/// kubelet's words.
fn nothing(pod: &Object, (container, standing): (&str, &Standing), previous: bool) -> Status {
    let pod = pod.name();
    if previous {
        let words = format!("previous terminated container {container:?} in pod {pod:?} not found");
        return Status::bad_request(words);
    }
    let reason = match standing.waiting.as_deref() {
        Some("ErrImagePull") => "image can't be pulled",
        Some("ImagePullBackOff") => "trying and failing to pull image",
        Some(reason) => reason,
        None => "ContainerCreating",
    };
    Status::bad_request(format!(
        "container {container:?} in pod {pod:?} is waiting to start: {reason}"
    ))
}

#[cfg(test)]
mod tests;
