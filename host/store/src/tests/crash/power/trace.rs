//! What strace saw: the calls on files of one folder, in order, and what the process said between them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use super::disk::moved;

/// The calls that are recorded.
pub(super) const CALLS: &str = "openat,close,fcntl,ioctl,lseek,write,pwrite64,writev,pwritev,ftruncate,fallocate,fsync,fdatasync,rename,unlink,mkdir";

/// One change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Bytes {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
    /// Room that is set aside.
    AtLeast(usize),
}

impl Change {
    pub(super) fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Bytes { at, bytes } => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length, 0),
            Self::AtLeast(length) => to.resize(to.len().max(*length), 0),
        }
    }

    pub(super) fn is_bytes(&self) -> bool {
        matches!(self, Self::Bytes { .. })
    }

    /// The same in parts of which none crosses a sector of the file.
    pub(super) fn parts(&self, sector: usize) -> Vec<Self> {
        let Self::Bytes { at, bytes } = self else {
            return vec![self.clone()];
        };
        let (mut parts, mut from) = (Vec::new(), 0);
        while from < bytes.len() {
            let at = at + from;
            let to = (from + sector - at % sector).min(bytes.len());
            let bytes = bytes[from..to].to_vec();
            parts.push(Self::Bytes { at, bytes });
            from = to;
        }
        parts
    }
}

impl Change {
    /// What of it lies in these bytes of the file, or all, and what does not. A length lies everywhere.
    pub(super) fn split(self, within: Option<&Range<usize>>) -> (Vec<Self>, Vec<Self>) {
        let (Self::Bytes { at, bytes }, Some(within)) = (&self, within) else {
            return (vec![self], Vec::new());
        };
        let (from, to) = (*at, at + bytes.len());
        let cut = |from: usize, to: usize| {
            let bytes = (from < to).then(|| bytes[from - at..to - at].to_vec());
            bytes.map(|bytes| Self::Bytes { at: from, bytes })
        };
        let inside = cut(from.max(within.start), to.min(within.end));
        let before = cut(from, to.min(within.start));
        let after = cut(from.max(within.end), to);
        (
            inside.into_iter().collect(),
            before.into_iter().chain(after).collect(),
        )
    }
}

/// One thing that happened. Files have numbers that outlive their names.
#[derive(Debug)]
pub(super) enum Act {
    Created {
        name: String,
        file: u64,
    },
    Folder(String),
    Removed(String),
    Moved {
        from: String,
        to: String,
    },
    Changed {
        file: u64,
        change: Change,
    },
    /// A synchronisation of a file, or of a range of it, begins: what was changed before it will be on the disk when it ends.
    Syncing {
        thread: u32,
        file: u64,
        range: Option<Range<usize>>,
    },
    Synced {
        thread: u32,
    },
    FolderSynced,
    Said(String),
}

impl Act {
    /// A write is acknowledged.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Said(text) if text.starts_with("put ") || text.starts_with("deleted "))
    }
}

/// A recording.
pub(super) struct Trace {
    pub(super) acts: Vec<Act>,
}

impl Trace {
    /// Reads strace's output; names are those below `folder`.
    pub(super) fn read(output: &Path, folder: &Path) -> Self {
        let mut reader = Reader {
            folder: format!("{}/", folder.display()),
            ..Reader::default()
        };
        let lines = BufReader::new(std::fs::File::open(output).unwrap()).lines();
        for line in lines {
            reader.line(&line.unwrap());
        }
        Self { acts: reader.acts }
    }

    /// From the first write that was acknowledged to the last.
    pub(super) fn answers(&self) -> Range<usize> {
        let first = self.acts.iter().position(Act::is_answer).unwrap();
        let last = self.acts.iter().rposition(Act::is_answer).unwrap();
        first..last
    }

    /// How many bytes were written before a moment and after the last synchronisation.
    pub(super) fn loose(&self, moment: usize) -> usize {
        let acts = self.acts[..moment].iter().rev();
        acts.take_while(|act| !matches!(act, Act::Synced { .. }))
            .map(|act| match act {
                Act::Changed {
                    change: Change::Bytes { bytes, .. },
                    ..
                } => bytes.len(),
                _ => 0,
            })
            .sum()
    }

    /// What had been said before a moment, by lines.
    pub(super) fn said(&self, until: usize) -> Vec<String> {
        let said = self.acts[..until].iter().filter_map(|act| match act {
            Act::Said(text) => Some(text.as_str()),
            _ => None,
        });
        said.collect::<String>()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[derive(Clone, Copy)]
enum Open {
    File { file: u64, at: usize, append: bool },
    Folder,
}

#[derive(Default)]
struct Reader {
    folder: String,
    acts: Vec<Act>,
    open: HashMap<String, Open>,
    names: BTreeMap<String, u64>,
    lengths: HashMap<u64, usize>,
    /// Files of which every write is synchronised.
    synchronous: HashSet<u64>,
    made: u64,
    /// The beginning of calls that another thread's call came into.
    unfinished: HashMap<u32, String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (thread, rest) = line.trim_start().split_once(' ').unwrap();
        let Ok(thread) = thread.parse::<u32>() else {
            return;
        };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            self.begins(thread, begun);
            self.unfinished.insert(thread, begun.to_owned());
        } else if let Some(ended) = rest.strip_prefix("<... ") {
            let begun = self.unfinished.remove(&thread).unwrap_or_default();
            let ended = ended.split_once(" resumed>").map_or("", |(_, ended)| ended);
            self.ends(thread, &(begun + ended));
        } else {
            self.begins(thread, rest);
            self.ends(thread, rest);
        }
    }

    /// What holds from a call's beginning on: an answer is under way, a synchronisation takes what was there before it.
    fn begins(&mut self, thread: u32, call: &str) {
        let Some((name, arguments)) = call.split_once('(') else {
            return;
        };
        match name {
            "write" if arguments.starts_with("1, ") => {
                let text = String::from_utf8_lossy(&quoted(arguments)).into_owned();
                self.acts.push(Act::Said(text));
            }
            "fsync" | "fdatasync" => {
                if let Some(Open::File { file, .. }) = self.open.get(descriptor(arguments)) {
                    self.acts.push(Act::Syncing {
                        thread,
                        file: *file,
                        range: None,
                    });
                }
            }
            // Any of it may be there from its beginning on.
            "pwrite64" => {
                if let Some(Open::File { file, .. }) = self.open.get(descriptor(arguments)).copied()
                {
                    let at = last(arguments.split(')').next().unwrap());
                    self.put(thread, file, at, quoted(arguments));
                }
            }
            _ => {}
        }
    }

    fn ends(&mut self, thread: u32, call: &str) {
        let Some((name, arguments)) = call.split_once('(') else {
            return;
        };
        let Some((arguments, result)) = arguments.rsplit_once(" = ") else {
            return;
        };
        let arguments = arguments.trim_end().trim_end_matches(')');
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        match name {
            "openat" => self.opened(arguments, result),
            "close" => drop(self.open.remove(arguments)),
            "fcntl" if arguments.contains("F_DUPFD") => {
                if let Some(open) = self.open.get(descriptor(arguments)).copied() {
                    self.open.insert(result.to_owned(), open);
                }
            }
            "fsync" | "fdatasync" => match self.open.get(descriptor(arguments)) {
                Some(Open::File { .. }) => self.acts.push(Act::Synced { thread }),
                Some(Open::Folder) => self.acts.push(Act::FolderSynced),
                None => {}
            },
            "rename" => self.renamed(arguments),
            "unlink" => {
                if let Some(name) = self.below(&quoted(arguments)) {
                    self.names.remove(&name);
                    self.acts.push(Act::Removed(name));
                }
            }
            "mkdir" => {
                let made = self.below(&quoted(arguments));
                self.acts.extend(made.map(Act::Folder));
            }
            "ioctl" => {
                if let Some(Open::File { file, .. }) = self.open.get(descriptor(arguments)).copied()
                    && arguments.contains("FS_IOC_SETFLAGS")
                    && arguments.contains("FS_SYNC_FL")
                {
                    self.synchronous.insert(file);
                }
            }
            "fcntl" => {}
            _ => self.changed(thread, name, arguments, result),
        }
    }

    fn below(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        path.strip_prefix(&self.folder).map(str::to_owned)
    }

    fn opened(&mut self, arguments: &str, result: &str) {
        let path = quoted(arguments);
        let root = path == self.folder.trim_end_matches('/').as_bytes();
        let Some(name) = self.below(&path).or_else(|| root.then(String::new)) else {
            self.open.remove(result);
            return;
        };
        let (_, flags) = arguments.rsplit_once("\", ").unwrap();
        // What is opened without being made, and was not made as a file, is a folder.
        let folder = root || !(flags.contains("O_CREAT") || self.names.contains_key(&name));
        if folder {
            self.open.insert(result.to_owned(), Open::Folder);
            return;
        }
        let file = match self.names.get(&name) {
            Some(file) => *file,
            None => {
                self.made += 1;
                self.names.insert(name.clone(), self.made);
                let file = self.made;
                self.acts.push(Act::Created { name, file });
                file
            }
        };
        if flags.contains("O_TRUNC") {
            self.change(file, Change::Length(0));
        }
        let append = flags.contains("O_APPEND");
        self.open.insert(
            result.to_owned(),
            Open::File {
                file,
                at: 0,
                append,
            },
        );
    }

    fn renamed(&mut self, arguments: &str) {
        let (from, to) = arguments.split_once("\", ").unwrap();
        let (Some(from), Some(to)) = (self.below(&quoted(from)), self.below(&quoted(to))) else {
            return;
        };
        moved(&mut self.names, &from, &to);
        self.acts.push(Act::Moved { from, to });
    }

    /// Calls on the bytes of an open file.
    fn changed(&mut self, thread: u32, name: &str, arguments: &str, result: &str) {
        let Some(Open::File { file, at, append }) = self.open.get(descriptor(arguments)).copied()
        else {
            return;
        };
        let done: usize = result.split(' ').next().unwrap().parse().unwrap();
        match name {
            "lseek" => self.seek(arguments, (file, done, append)),
            "write" => {
                let at = if append { self.length(file) } else { at };
                self.put(thread, file, at, quoted(arguments));
                self.is_put(thread, file, (arguments, done));
                self.seek(arguments, (file, at + done, append));
            }
            "pwrite64" => self.is_put(thread, file, (arguments, done)),
            "ftruncate" => self.change(file, Change::Length(last(arguments))),
            "fallocate" => {
                let offset: usize = arguments.rsplit(", ").nth(1).unwrap().parse().unwrap();
                self.change(file, Change::AtLeast(offset + last(arguments)));
            }
            other => panic!("{other} on a file of the store: the model does not know it"),
        }
    }

    fn seek(&mut self, arguments: &str, (file, at, append): (u64, usize, bool)) {
        let open = Open::File { file, at, append };
        self.open.insert(descriptor(arguments).to_owned(), open);
    }

    /// A write begins.
    fn put(&mut self, thread: u32, file: u64, at: usize, bytes: Vec<u8>) {
        let range = Some(at..at + bytes.len());
        self.change(file, Change::Bytes { at, bytes });
        if self.synchronous.contains(&file) {
            self.acts.push(Act::Syncing {
                thread,
                file,
                range,
            });
        }
    }

    /// A write has ended.
    fn is_put(&mut self, thread: u32, file: u64, (arguments, done): (&str, usize)) {
        let asked = quoted(arguments).len();
        assert_eq!(done, asked, "a write, or what strace tells of it, is cut");
        if self.synchronous.contains(&file) {
            self.acts.push(Act::Synced { thread });
        }
    }

    fn length(&self, file: u64) -> usize {
        self.lengths.get(&file).copied().unwrap_or_default()
    }

    fn change(&mut self, file: u64, change: Change) {
        let before = self.length(file);
        let length = match &change {
            Change::Bytes { at, bytes } => before.max(at + bytes.len()),
            Change::Length(length) => *length,
            Change::AtLeast(length) => before.max(*length),
        };
        self.lengths.insert(file, length);
        self.acts.push(Act::Changed { file, change });
    }
}

/// The last argument, a number.
fn last(arguments: &str) -> usize {
    arguments.rsplit(", ").next().unwrap().parse().unwrap()
}

/// The first argument.
fn descriptor(arguments: &str) -> &str {
    arguments.split([',', ')']).next().unwrap_or_default()
}

/// The bytes of the first string, which strace wrote as `\x..`.
fn quoted(arguments: &str) -> Vec<u8> {
    let mut parts = arguments.splitn(3, '"');
    let text = parts.nth(1).unwrap_or_default().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    let byte = |hex: &[u8]| u8::try_from(digit(hex[2]) << 4 | digit(hex[3])).unwrap();
    text.chunks_exact(4).map(byte).collect()
}
