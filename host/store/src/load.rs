//! Opening: makes a new store or reads the one that is there, and refuses it unless everything fits together. The index must
//! say what the log says, the history must have no gap, every record must have its checksum, and the log must reach what
//! was acknowledged. A store that does not pass is left as it is; it is never replaced by an empty one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use super::compaction::History;
use super::directory::{Directory, unusable};
use super::engine::{Batch, Engine, EngineError, StoreKind, guard};
use super::entry::{Entry, Key};
use super::error::StoreError;
use super::layout::{
    Assembly, Damage, INDEX_RANGE, LOG_RANGE, Progress, Record, Standing, progress_key,
};
use super::limits::Limits;
use super::shared::refusal;
use super::state::State;

/// A store that was found sound.
pub(super) struct Loaded {
    pub(super) engine: Box<dyn Engine>,
    pub(super) state: State,
    pub(super) history: History,
}

/// Opens what the directory holds, or makes a new store in it.
pub(super) fn load(
    directory: &Directory,
    kind: StoreKind,
    limits: Limits,
) -> Result<Loaded, StoreError> {
    let refuse = |error| refusal(directory.path(), error);
    if !directory.data().exists() {
        if directory.acknowledged().is_some() {
            return Err(refuse(Damage::Gone(kind.word()).into()));
        }
        create(directory, kind)?;
    }
    let engine = kind.open(&directory.data()).map_err(refuse)?;
    let (progress, scan) = guard(|| read(engine.as_ref(), limits)).map_err(refuse)?;
    note(directory, progress.revision)?;
    let state = State::new(progress.revision, progress.compacted, scan.objects);
    Ok(Loaded {
        engine,
        state,
        history: scan.history,
    })
}

/// Refuses a log that ends before what was acknowledged, and notes where it ends.
fn note(directory: &Directory, found: u64) -> Result<(), StoreError> {
    let acknowledged = directory.acknowledged().unwrap_or_default();
    if found < acknowledged {
        let damage = Damage::Behind {
            found,
            acknowledged,
        };
        return Err(refusal(directory.path(), damage.into()));
    }
    let noted = directory.acknowledge(found).and_then(|()| directory.sync());
    noted.map_err(|error| unusable("write the file acknowledged in", directory.path(), &error))
}

/// Makes the engine's files aside, so that a store that exists always has its first state.
fn create(directory: &Directory, kind: StoreKind) -> Result<(), StoreError> {
    let draft = directory.draft()?;
    let mut batch = Batch::default();
    batch.put(progress_key(), Progress::START.encode());
    kind.open(&draft)
        .and_then(|engine| guard(|| engine.apply(batch).and_then(|()| engine.close())))
        .map_err(|error| refusal(directory.path(), error))?;
    directory.adopt(&draft)
}

/// Everything that the engine holds, checked.
fn read(engine: &dyn Engine, limits: Limits) -> Result<(Progress, Scan), EngineError> {
    let progress = engine.get(&progress_key())?.ok_or(Damage::State)?;
    let progress = Progress::decode(&progress)?;
    let mut scan = Scan::new(read_index(engine)?, progress, limits);
    let mut assembly = Assembly::default();
    visit(
        engine,
        LOG_RANGE,
        &mut |key, value| match assembly.add(key, value)? {
            Some(record) => scan.add(record),
            None => Ok(()),
        },
    )?;
    assembly.finish()?;
    scan.finish()?;
    Ok((progress, scan))
}

fn read_index(engine: &dyn Engine) -> Result<BTreeMap<Key, Standing>, EngineError> {
    let mut index = BTreeMap::new();
    visit(engine, INDEX_RANGE, &mut |key, value| {
        let (key, standing) = Standing::decode(key, value)?;
        index.insert(key, standing);
        Ok(())
    })?;
    Ok(index)
}

/// Looks at a key and its value.
type Inspect<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Damage> + 'a;

/// Visits a range until something is damaged.
fn visit(
    engine: &dyn Engine,
    (from, to): ([u8; 1], [u8; 1]),
    work: &mut Inspect<'_>,
) -> Result<(), EngineError> {
    let mut damage = None;
    engine.range(&from, &to, &mut |key, value| match work(key, value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(found) => {
            damage = Some(found);
            ControlFlow::Break(())
        }
    })?;
    damage.map_or(Ok(()), |damage| Err(damage.into()))
}

/// What is gathered and compared while the log goes by.
struct Scan {
    index: BTreeMap<Key, Standing>,
    objects: BTreeMap<Key, Entry>,
    history: History,
    progress: Progress,
    /// The last revision of the history that went by.
    reached: u64,
    seen: HashSet<u64>,
    /// The last revision of each key in the history; none where it is a deletion.
    latest: HashMap<Key, Option<u64>>,
}

impl Scan {
    fn new(index: BTreeMap<Key, Standing>, progress: Progress, limits: Limits) -> Self {
        let history = History::new(progress.compacted, limits);
        let reached = progress.compacted;
        Self {
            index,
            objects: BTreeMap::new(),
            history,
            progress,
            reached,
            seen: HashSet::new(),
            latest: HashMap::new(),
        }
    }

    fn add(&mut self, record: Record) -> Result<(), Damage> {
        self.seen.insert(record.revision);
        if record.revision > self.progress.compacted {
            self.follow(&record)?;
        }
        let standing = Standing {
            modified: record.revision,
            created: record.created,
        };
        if !record.deleted && self.index.get(&record.key) == Some(&standing) {
            let Record {
                revision,
                created,
                key,
                value,
                ..
            } = record;
            self.objects.insert(
                key.clone(),
                Entry {
                    key,
                    value,
                    created,
                    modified: revision,
                },
            );
        }
        Ok(())
    }

    /// A record that a watch may still ask for.
    fn follow(&mut self, record: &Record) -> Result<(), Damage> {
        if record.revision != self.reached + 1 {
            return Err(Damage::Missing(self.reached + 1));
        }
        if record.replaced != 0 && !self.seen.contains(&record.replaced) {
            return Err(Damage::Missing(record.replaced));
        }
        self.reached = record.revision;
        self.latest.insert(
            record.key.clone(),
            (!record.deleted).then_some(record.revision),
        );
        self.history.push(record);
        Ok(())
    }

    /// Compares the ends.
    fn finish(&self) -> Result<(), Damage> {
        if self.reached != self.progress.revision {
            return Err(Damage::Missing(
                self.progress.revision.min(self.reached) + 1,
            ));
        }
        if let Some(key) = self
            .index
            .keys()
            .find(|key| !self.objects.contains_key(*key))
        {
            return Err(Damage::Index(key.clone()));
        }
        let standing = |key| self.index.get(key).map(|standing| standing.modified);
        match self
            .latest
            .iter()
            .find(|(key, revision)| standing(*key) != **revision)
        {
            Some((key, _)) => Err(Damage::Index(key.clone())),
            None => Ok(()),
        }
    }
}

impl From<Damage> for EngineError {
    fn from(damage: Damage) -> Self {
        Self::Corrupt(damage.to_string())
    }
}
