//! Where log lines go: most straight to standard error, those of busy targets through a bounded buffer that is written at
//! once for many lines, since a system call for each costs more than the line.

use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait in the buffer.
const WAIT: Duration = Duration::from_millis(100);
/// Bytes of one shard after which the thread that wrote the last line writes them all.
const SHARD_BYTES: usize = 32 << 10;
/// Shards of the buffer, so that threads seldom meet at one lock.
const SHARDS: usize = 8;

/// Writes what still waits when it is dropped: held by whoever runs the process to its end.
#[derive(Debug)]
#[must_use = "lines that still wait are written when this is dropped"]
pub struct Flush(Arc<Buffer>);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.write_out();
    }
}

/// Chooses how a line is written by the target of its event.
pub(super) struct Lines {
    buffer: Arc<Buffer>,
    buffered: &'static [&'static str],
    /// Writes the buffer [`WAIT`] after the first line came into it.
    writer: Thread,
}

/// Lines that wait.
#[derive(Debug, Default)]
struct Buffer {
    shards: [Mutex<Vec<u8>>; SHARDS],
    waiting: AtomicBool,
    /// Held while all shards are written, so that the last flush waits for one under way.
    writing: Mutex<()>,
}

impl Lines {
    /// Events whose target is one of `buffered` wait for company; all others are written at once.
    pub(super) fn new(buffered: &'static [&'static str]) -> io::Result<(Self, Flush)> {
        let buffer = Arc::<Buffer>::default();
        let shared = Arc::clone(&buffer);
        let writing = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || shared.serve())?;
        let lines = Self {
            buffer: Arc::clone(&buffer),
            buffered,
            writer: writing.thread().clone(),
        };
        Ok((lines, Flush(buffer)))
    }
}

impl Buffer {
    /// The writing thread: it rests while nothing waits, and ends with the process.
    fn serve(&self) {
        loop {
            while !self.waiting.load(Ordering::Acquire) {
                std::thread::park();
            }
            std::thread::sleep(WAIT);
            self.write_out();
        }
    }

    fn write_out(&self) {
        let _alone = self.writing.lock();
        self.waiting.store(false, Ordering::Release);
        for shard in &self.shards {
            let lines = std::mem::take(&mut *shard.lock());
            written(&lines);
        }
    }

    fn add(&self, line: &[u8], writer: &Thread) {
        let full = {
            let mut shard = self.shards[shard()].lock();
            shard.extend_from_slice(line);
            (shard.len() >= SHARD_BYTES).then(|| std::mem::take(&mut *shard))
        };
        match full {
            // Whoever logs more than can be written waits for the writing: nothing is lost, and the buffer stays bounded.
            Some(lines) => written(&lines),
            None if !self.waiting.swap(true, Ordering::AcqRel) => writer.unpark(),
            None => {}
        }
    }
}

fn written(lines: &[u8]) {
    // There is no place left to complain to when standard error is closed.
    let _lost = io::stderr().write_all(lines);
}

/// The shard of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.with(|mine| *mine)
}

/// Writes the lines of one event.
pub(super) enum Pen<'a> {
    Now(io::Stderr),
    Later(&'a Lines),
}

impl Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Now(stderr) => stderr.write(bytes),
            Self::Later(lines) => {
                lines.buffer.add(bytes, &lines.writer);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Pen<'a>;

    fn make_writer(&'a self) -> Pen<'a> {
        Pen::Now(io::stderr())
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Pen<'a> {
        if self.buffered.contains(&event.target()) {
            Pen::Later(self)
        } else {
            Pen::Now(io::stderr())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_is_full_is_emptied_by_who_filled_it() {
        let buffer = Buffer::default();
        let line = vec![b'\n'; SHARD_BYTES / 2];
        let this = std::thread::current();
        let waits = || buffer.shards.iter().map(|shard| shard.lock().len()).sum();
        buffer.add(&line, &this);
        assert_eq!(
            (waits(), buffer.waiting.load(Ordering::Acquire)),
            (line.len(), true)
        );
        buffer.add(&line, &this);
        assert_eq!(waits(), 0usize);
        buffer.add(b"\n", &this);
        buffer.write_out();
        assert_eq!(
            (waits(), buffer.waiting.load(Ordering::Acquire)),
            (0, false)
        );
    }
}
