//! The reading side: a body that streams the stored lines, from where the reader asked, and
//! follows if asked. At most one chunk is in memory.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use osier_process::body::{self, Body, BodyError};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use super::file;
use super::line::Line;
use super::writer::{LogFile, Progress};
use osier_kubelet::LogOptions;

const CHUNK: usize = 64 * 1024;

/// The log of one life of a container as a response body, or what was written of it until some time.
pub(super) fn body(
    (folder, life): (PathBuf, u32),
    (options, until): (LogOptions, Option<Timestamp>),
    live: Option<Arc<LogFile>>,
) -> Body {
    let reader = Reader {
        folder,
        life,
        left: options.limit_bytes.unwrap_or(u64::MAX),
        options,
        until,
        follow: live.map(|live| live.progress()),
        turns: 0,
        files: None,
        begun: Vec::new(),
    };
    body::stream(futures::stream::try_unfold(
        reader,
        |mut reader| async move {
            let chunk = reader.next().await?;
            Ok(chunk.map(|chunk| (chunk, reader)))
        },
    ))
}

struct Reader {
    folder: PathBuf,
    life: u32,
    options: LogOptions,
    /// Later lines are not shown.
    until: Option<Timestamp>,
    /// Bytes that may still be given.
    left: u64,
    follow: Option<watch::Receiver<Progress>>,
    turns: u64,
    /// What is left to read; none before the first read.
    files: Option<VecDeque<File>>,
    /// A stored line of which the end has not been read.
    begun: Vec<u8>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while self.left > 0 {
            // Looked at before the read: what comes later is a change that wakes us.
            let progress = self
                .follow
                .as_mut()
                .map(|progress| *progress.borrow_and_update());
            let chunk = self.read().await?;
            if chunk.is_empty() && !self.more(progress).await {
                return Ok(None);
            }
            let mut shown = self.show(&chunk);
            if !shown.is_empty() {
                shown.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= shown.len() as u64;
                return Ok(Some(shown.into()));
            }
        }
        Ok(None)
    }

    /// The next stored bytes; none at the end of what is there.
    async fn read(&mut self) -> Result<Vec<u8>, BodyError> {
        let mut files = match self.files.take() {
            Some(files) => files,
            None => {
                self.turns = self
                    .follow
                    .as_ref()
                    .map_or(0, |progress| progress.borrow().turns);
                let place = (self.folder.as_path(), self.life);
                open(place, &self.options, self.until).await?
            }
        };
        let mut chunk = vec![0; CHUNK];
        let mut length = 0;
        while let Some(file) = files.front_mut() {
            length = file.read(&mut chunk).await?;
            if length > 0 || files.len() == 1 {
                break;
            }
            files.pop_front();
        }
        self.files = Some(files);
        chunk.truncate(length);
        Ok(chunk)
    }

    /// Waits for more than `progress`; false when no more can come.
    async fn more(&mut self, progress: Option<Progress>) -> bool {
        let (Some(follow), Some(progress)) = (&mut self.follow, progress) else {
            return false;
        };
        if progress.turns != self.turns {
            self.turns = progress.turns;
            if let (Some(files), Ok(next)) = (
                &mut self.files,
                File::open(file::current(&self.folder, self.life)).await,
            ) {
                files.push_back(next);
                return true;
            }
        }
        if self.files.as_ref().is_none_or(VecDeque::is_empty) {
            // There was no file yet: whatever comes is new.
            self.files = None;
            self.options.tail_lines = None;
        }
        !progress.closed && follow.changed().await.is_ok()
    }

    fn show(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(chunk.len());
        let mut rest = chunk;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(&rest[..at]);
            let line = Line::read(&self.begun);
            if let Some(line) = line.filter(|line| is_before(line, self.until)) {
                line.show(self.options.timestamps, &mut shown);
            }
            self.begun.clear();
            rest = &rest[at + 1..];
        }
        self.begun.extend_from_slice(rest);
        shown
    }
}

/// Opens the files of a life where the reader wants to start.
async fn open(
    (folder, life): (&Path, u32),
    options: &LogOptions,
    until: Option<Timestamp>,
) -> Result<VecDeque<File>, BodyError> {
    let mut files = VecDeque::new();
    for path in [file::older(folder, life), file::current(folder, life)] {
        if let Ok(file) = File::open(path).await {
            files.push_back(file);
        }
    }
    if options.tail_lines.is_none() && options.since.is_none() {
        return Ok(files);
    }
    let start = Start::find(&mut files, options, until).await?;
    files.drain(..start.file);
    let mut offset = Some(start.offset);
    for file in &mut files {
        file.seek(SeekFrom::Start(offset.take().unwrap_or(0)))
            .await?;
    }
    Ok(files)
}

/// Where the first wanted line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Start {
    file: usize,
    offset: u64,
}

impl Start {
    /// Reads through the files, which are bounded, and remembers where the last lines began.
    async fn find(
        files: &mut VecDeque<File>,
        options: &LogOptions,
        until: Option<Timestamp>,
    ) -> Result<Self, BodyError> {
        let keep = options.tail_lines.map_or(usize::MAX, |lines| {
            usize::try_from(lines).unwrap_or(usize::MAX)
        });
        let mut scan = Scan {
            since: options.since,
            until,
            keep,
            starts: VecDeque::new(),
            continued: false,
        };
        let mut end = Self::default();
        for (index, file) in files.iter_mut().enumerate() {
            end = Self {
                file: index,
                offset: 0,
            };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).await?;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                scan.line(line, end);
                end.offset += line.len() as u64;
            }
        }
        Ok(scan.starts.front().copied().unwrap_or(end))
    }
}

/// Whether a line was written before some time.
fn is_before(line: &Line<'_>, until: Option<Timestamp>) -> bool {
    until.is_none_or(|until| line.at().is_none_or(|at| at < until))
}

struct Scan {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    keep: usize,
    /// Where the last `keep` wanted lines begin; with `since` alone only the first is needed.
    starts: VecDeque<Start>,
    /// The line before was a part: this one belongs to it.
    continued: bool,
}

impl Scan {
    fn line(&mut self, stored: &[u8], at: Start) {
        let Some(line) = stored.strip_suffix(b"\n").and_then(Line::read) else {
            return;
        };
        let begins = !std::mem::replace(&mut self.continued, !line.whole);
        let late = self
            .since
            .is_none_or(|since| line.at().is_some_and(|time| time >= since));
        let wanted = late && is_before(&line, self.until);
        if !begins || !wanted || (self.keep == usize::MAX && !self.starts.is_empty()) {
            return;
        }
        self.starts.push_back(at);
        if self.starts.len() > self.keep {
            self.starts.pop_front();
        }
    }
}
