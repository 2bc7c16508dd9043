//! What of a folder is certainly on the disk, and what is only in the machine's memory.
//!
//! The model is what Linux promises on ext4 (`data=ordered`) and xfs, and no more:
//!
//! - `fsync` and `fdatasync` make certain what the file held when they began, its length with it; on a file that is marked
//!   synchronous (`chattr +S`, ext4(5), xfs(5)) each write is followed by that for its own range before it returns
//!   (`generic_write_sync` in the kernel);
//! - `sync_file_range` makes nothing certain: "none of these operations writes out the file's metadata", nor flushes the
//!   disk's cache (sync_file_range(2));
//! - every other sector is on the disk as it was at some moment since it was certain, in no order: pages are written back
//!   when the kernel likes, and the disk's cache keeps no order. Sectors are the unit, since a page may be torn;
//! - changes of length and names are metadata: a journal keeps their order among themselves (jbd2, "ordered mode" in
//!   Documentation/filesystems/ext4/journal.rst; xfs-delayed-logging-design.rst), so that a cut leaves the first of them.
//!   Data in blocks that the file had before is bound to none of them: a page that is overwritten in place may be there
//!   although a change of length before it is not;
//! - bytes that need new blocks go with the metadata: beyond a length that is lost nothing can be there, and nothing is
//!   there of other files' old blocks (what ordered mode is for). What was skipped in a file that grew reads as zeros.
//!
//! Not modelled: disks that lie about a flush, and bytes that rot.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use rand::Rng;

use super::trace::{Act, Change};

/// The least that disks write whole.
const SECTOR: usize = 512;
/// What the kernel writes whole: a synchronisation of a range takes the pages that it touches.
const PAGE: usize = 4096;
/// What is written, or lost, together: neighbours mostly are, but only a sector always is.
const EXTENTS: [usize; 4] = [SECTOR, PAGE, 64 << 10, 512 << 10];
/// How likely it is that an extent, or a change of metadata, is there: none, some, most or nearly all are.
const CHANCES: [f64; 4] = [0.0, 0.5, 0.9, 0.99];

/// What a cut does to what is not certain.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    extent: usize,
    chance: f64,
    /// What was written last is there and what was written before is not, as when a file grew and that is not in the
    /// journal yet, but what was written in place is on the disk.
    newest: bool,
}

impl Fate {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        Self {
            extent: EXTENTS[random.random_range(0..EXTENTS.len())],
            chance: CHANCES[random.random_range(0..CHANCES.len())],
            newest: random.random_bool(0.5),
        }
    }
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    /// Since then, in order, each with its number.
    pending: Vec<(usize, Change)>,
    /// How many changes there were.
    changes: usize,
}

/// The state of the folder at one moment.
#[derive(Default)]
pub(super) struct Disk {
    files: BTreeMap<u64, File>,
    /// Names that are certain.
    names: Names,
    /// Changes of names since the folder was synchronised.
    renamed: Vec<Naming>,
    /// Synchronisations that have begun, by thread.
    begun: BTreeMap<u32, Sync>,
}

/// What a synchronisation takes, all of it or the pages of a range.
struct Sync {
    file: u64,
    /// How many changes there had been when it began.
    changes: usize,
    range: Option<Range<usize>>,
}

type Names = BTreeMap<String, Option<u64>>;

#[derive(Clone)]
enum Naming {
    /// A name for a file, or for a folder where there is none.
    Made(String, Option<u64>),
    Removed(String),
    Moved(String, String),
}

impl Naming {
    fn apply(self, names: &mut Names) {
        match self {
            Self::Made(name, file) => drop(names.insert(name, file)),
            Self::Removed(name) => drop(names.remove(&name)),
            Self::Moved(from, to) => moved(names, &from, &to),
        }
    }
}

/// Renames a file, or a folder and what is in it.
pub(super) fn moved<T>(names: &mut BTreeMap<String, T>, from: &str, to: &str) {
    let inside = format!("{from}/");
    let all = std::mem::take(names);
    names.extend(all.into_iter().map(|(name, what)| {
        let name = match name.strip_prefix(&inside) {
            Some(rest) => format!("{to}/{rest}"),
            None if name == from => to.to_owned(),
            None => name,
        };
        (name, what)
    }));
}

impl Disk {
    /// Takes in what happened next.
    pub(super) fn apply(&mut self, act: &Act) {
        match act {
            Act::Created { name, file } => {
                self.renamed.push(Naming::Made(name.clone(), Some(*file)))
            }
            Act::Folder(name) => self.renamed.push(Naming::Made(name.clone(), None)),
            Act::Removed(name) => self.renamed.push(Naming::Removed(name.clone())),
            Act::Moved { from, to } => self.renamed.push(Naming::Moved(from.clone(), to.clone())),
            Act::Changed { file, change } => {
                let file = self.files.entry(*file).or_default();
                file.pending.push((file.changes, change.clone()));
                file.changes += 1;
            }
            Act::Syncing {
                thread,
                file,
                range,
            } => {
                let sync = Sync {
                    file: *file,
                    changes: self.files.entry(*file).or_default().changes,
                    range: range.clone(),
                };
                self.begun.insert(*thread, sync);
            }
            Act::Synced { thread } => {
                if let Some(sync) = self.begun.remove(thread) {
                    self.sync(sync);
                }
            }
            Act::FolderSynced => {
                for naming in std::mem::take(&mut self.renamed) {
                    naming.apply(&mut self.names);
                }
            }
            Act::Said(_) => {}
        }
    }

    /// Makes certain what was pending when the synchronisation began.
    fn sync(&mut self, sync: Sync) {
        let file = self.files.entry(sync.file).or_default();
        let pages = sync
            .range
            .map(|range| range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE));
        for (number, change) in std::mem::take(&mut file.pending) {
            let (covered, left) = match number < sync.changes {
                true => change.split(pages.as_ref()),
                false => (Vec::new(), vec![change]),
            };
            covered
                .into_iter()
                .for_each(|change| change.apply(&mut file.synced));
            file.pending
                .extend(left.into_iter().map(|change| (number, change)));
        }
    }

    /// Makes the folder as a cut could leave it.
    pub(super) fn write(&self, folder: &Path, fate: &Fate, random: &mut impl Rng) {
        let kept = random.random_range(0..=self.renamed.len());
        let mut names = self.names.clone();
        for naming in &self.renamed[..kept] {
            naming.clone().apply(&mut names);
        }
        // A folder comes before what is in it.
        for (name, file) in &names {
            let path = folder.join(name);
            match file {
                None => std::fs::create_dir_all(path).unwrap(),
                Some(file) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    let content = self.files.get(file).map(|file| file.cut(fate, random));
                    std::fs::write(path, content.unwrap_or_default()).unwrap();
                }
            }
        }
    }
}

impl File {
    /// The bytes after the cut.
    fn cut(&self, fate: &Fate, random: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let lengths = self.pending.iter().filter(|(_, change)| !change.is_bytes());
        let mut journalled = (0..lengths.count())
            .take_while(|_| random.random_bool(fate.chance))
            .count();
        let parts: Vec<Change> = self
            .pending
            .iter()
            .flat_map(|(_, change)| change.parts(SECTOR))
            .collect();
        let until = Self::until(&parts, fate, random);
        // Where nothing can be any more since a change of length is lost.
        let mut end = usize::MAX;
        for (number, change) in parts.iter().enumerate() {
            match change {
                Change::Bytes { at, bytes: part } => {
                    if number < until[&(at / fate.extent)] && at + part.len() <= end {
                        change.apply(&mut bytes);
                    }
                }
                _ if journalled > 0 => {
                    journalled -= 1;
                    change.apply(&mut bytes);
                }
                Change::Length(length) | Change::AtLeast(length) => {
                    end = end.min(bytes.len()).min(*length);
                }
            }
        }
        bytes
    }

    /// The moment as of which each extent is on the disk.
    fn until(parts: &[Change], fate: &Fate, random: &mut impl Rng) -> HashMap<usize, usize> {
        let (mut until, all) = (HashMap::new(), parts.len());
        let first = random.random_range(0..=all);
        for (number, change) in parts.iter().enumerate() {
            let Change::Bytes { at, .. } = change else {
                continue;
            };
            let extent = at / fate.extent;
            if fate.newest {
                until.insert(extent, if number >= first { all } else { 0 });
                continue;
            }
            until.entry(extent).or_insert_with(|| {
                if random.random_bool(fate.chance) {
                    all
                } else {
                    // Nothing of it, where the chance is none.
                    (random.random_range(0..=all) as f64 * fate.chance) as usize
                }
            });
        }
        until
    }
}

fn bytes(at: usize, byte: u8, count: usize) -> Act {
    let change = Change::Bytes {
        at,
        bytes: vec![byte; count],
    };
    Act::Changed { file: 1, change }
}

fn length(length: usize) -> Act {
    let change = Change::Length(length);
    Act::Changed { file: 1, change }
}

fn sync(range: Option<Range<usize>>) -> [Act; 2] {
    let (thread, file) = (1, 1);
    let begun = Act::Syncing {
        thread,
        file,
        range,
    };
    [begun, Act::Synced { thread }]
}

/// What is there of a file in which the newest may be, and no change of its length.
fn unjournalled(acts: impl IntoIterator<Item = Act>) -> Vec<u8> {
    let mut disk = Disk::default();
    acts.into_iter().for_each(|act| disk.apply(&act));
    let fate = Fate {
        extent: SECTOR,
        chance: 0.0,
        newest: true,
    };
    let cuts = (0..100).map(|_| disk.files[&1].cut(&fate, &mut rand::rng()));
    cuts.max().unwrap()
}

#[test]
fn a_folder_takes_its_files_along() {
    let mut names = BTreeMap::from([
        ("new".to_owned(), 1),
        ("new/a".to_owned(), 2),
        ("newer".to_owned(), 3),
    ]);
    moved(&mut names, "new", "old");
    let found: Vec<_> = names.iter().map(|(name, file)| (&**name, *file)).collect();
    assert_eq!(found, [("newer", 3), ("old", 1), ("old/a", 2)]);
}

#[test]
fn what_is_written_in_place_may_be_there_without_the_length_before_it() {
    let [begun, done] = sync(None);
    let acts = [
        bytes(0, b'a', 512),
        begun,
        done,
        length(4096),
        bytes(0, b'b', 512),
        bytes(1024, b'c', 512),
    ];
    assert_eq!(unjournalled(acts), vec![b'b'; 512]);
}

#[test]
fn a_synchronous_write_makes_its_own_pages_certain() {
    let [begun, done] = sync(Some(0..4096));
    let acts = [
        bytes(0, b'a', PAGE + 512),
        bytes(0, b'b', PAGE),
        begun,
        done,
    ];
    let mut disk = Disk::default();
    acts.iter().for_each(|act| disk.apply(act));
    assert_eq!(disk.files[&1].synced, vec![b'b'; PAGE]);
    assert_eq!(disk.files[&1].pending.len(), 1);
}
