//! The writing side: guests copy into memory, one task appends to the files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use osier_engine::Output;
use osier_process::{CancellationToken, clock};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::file::{Appender, TURN_OVER};
use super::line::{self, LONGEST};
use super::tap::{Piece, Taps};

/// Bytes of one container that may wait for the disk; what a guest writes beyond is dropped, and
/// a line says how much.
const WAITING: usize = 1 << 20;

/// The log of one life of a container.
pub struct LogFile {
    life: u32,
    pending: Mutex<Pending>,
    appender: Mutex<Appender>,
    queued: AtomicBool,
    /// Counts what was asked to be written.
    asked: AtomicU64,
    dirty: mpsc::UnboundedSender<Arc<LogFile>>,
    progress: watch::Sender<Progress>,
    taps: Taps,
}

/// How far the log is, for followers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Everything asked before this count is on disk.
    pub(super) done: u64,
    /// Counts how often the file was turned over.
    pub(super) turns: u64,
    /// No more will come.
    pub(super) closed: bool,
}

#[derive(Default)]
struct Pending {
    stored: Vec<u8>,
    dropped: u64,
    closed: bool,
}

/// One of a container's two streams.
pub struct Stream {
    log: Arc<LogFile>,
    name: &'static str,
    /// The begun line.
    begun: Mutex<Vec<u8>>,
}

impl LogFile {
    pub(super) fn new(
        folder: PathBuf,
        life: u32,
        dirty: mpsc::UnboundedSender<Arc<LogFile>>,
    ) -> Self {
        Self {
            life,
            pending: Mutex::default(),
            appender: Mutex::new(Appender::new(folder, life, TURN_OVER)),
            queued: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            dirty,
            progress: watch::Sender::default(),
            taps: Taps::default(),
        }
    }

    /// The stream of that name.
    pub fn stream(self: &Arc<Self>, name: &'static str) -> Arc<Stream> {
        Arc::new(Stream {
            log: Arc::clone(self),
            name,
            begun: Mutex::default(),
        })
    }

    pub(super) fn life(&self) -> u32 {
        self.life
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// What is written from now on; nothing when no more will be.
    pub(super) fn tap(&self) -> Option<mpsc::Receiver<Piece>> {
        let pending = self.pending.lock();
        (!pending.closed).then(|| self.taps.open())
    }

    /// No more is written; followers end when they have read all.
    pub fn close(self: &Arc<Self>) {
        self.pending.lock().closed = true;
        self.taps.close();
        self.wake();
    }

    /// Waits until what was written so far is on disk.
    pub(super) async fn flushed(&self) {
        let asked = self.asked.load(Ordering::Acquire);
        let mut progress = self.progress.subscribe();
        // The sender lives as long as we do: waiting cannot fail.
        let _seen = progress.wait_for(|progress| progress.done >= asked).await;
    }

    fn add(self: &Arc<Self>, stored: &[u8]) {
        let mut pending = self.pending.lock();
        if pending.stored.len() + stored.len() > WAITING {
            pending.dropped += stored.len() as u64;
        } else {
            pending.stored.extend_from_slice(stored);
        }
        drop(pending);
        self.wake();
    }

    fn wake(self: &Arc<Self>) {
        self.asked.fetch_add(1, Ordering::AcqRel);
        if !self.queued.swap(true, Ordering::AcqRel) {
            // The receiver is gone only when the process stops.
            let _stopping = self.dirty.send(Arc::clone(self));
        }
    }

    /// Appends what waits. Blocks on the disk.
    fn write(&self) {
        let mut appender = self.appender.lock();
        self.queued.store(false, Ordering::Release);
        let asked = self.asked.load(Ordering::Acquire);
        let (mut stored, dropped, closed) = {
            let mut pending = self.pending.lock();
            let dropped = std::mem::take(&mut pending.dropped);
            (std::mem::take(&mut pending.stored), dropped, pending.closed)
        };
        if dropped > 0 {
            let words = format!(
                "[osier: {dropped} bytes of output were dropped, the disk was too slow for them]"
            );
            line::store(&mut stored, clock::now(), "stderr", true, words.as_bytes());
        }
        let turned = if stored.is_empty() {
            false
        } else {
            appender.append(&stored).unwrap_or_else(|error| {
                tracing::warn!(%error, "a container's log cannot be written");
                false
            })
        };
        self.progress.send_modify(|progress| {
            progress.done = asked;
            progress.turns += u64::from(turned);
            progress.closed = closed;
        });
    }
}

impl Output for Stream {
    fn write(&self, bytes: &[u8]) {
        self.log.taps.give(self.name, bytes);
        let now = clock::now();
        let mut begun = self.begun.lock();
        let mut stored = Vec::with_capacity(bytes.len() + 64);
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            begun.extend_from_slice(&rest[..at]);
            line::store(&mut stored, now, self.name, true, &begun);
            begun.clear();
            rest = &rest[at + 1..];
        }
        begun.extend_from_slice(rest);
        while begun.len() >= LONGEST {
            line::store(&mut stored, now, self.name, false, &begun[..LONGEST]);
            begun.drain(..LONGEST);
        }
        drop(begun);
        if !stored.is_empty() {
            self.log.add(&stored);
        }
    }
}

impl Drop for Stream {
    /// A last line without an end is a line.
    fn drop(&mut self) {
        let begun = std::mem::take(self.begun.get_mut());
        if !begun.is_empty() {
            let mut stored = Vec::new();
            line::store(&mut stored, clock::now(), self.name, true, &begun);
            self.log.add(&stored);
        }
    }
}

/// Writes whatever is dirty until the process stops, and then what is left.
pub(super) async fn run(
    mut dirty: mpsc::UnboundedReceiver<Arc<LogFile>>,
    stopping: CancellationToken,
) {
    loop {
        let log = tokio::select! {
            log = dirty.recv() => log,
            () = stopping.cancelled() => dirty.try_recv().ok(),
        };
        let Some(log) = log else { return };
        // The disk may block; a panic there would be ours, and the next write goes on.
        let _written = tokio::task::spawn_blocking(move || log.write()).await;
    }
}
