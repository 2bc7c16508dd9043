//! Reading the past: events after a revision, from memory where they are new, from the log on disk or from etcd where they are not.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::engine::{Engine, EngineError};
use super::entry::{Entry, Event, EventKind, Key};
use super::error::StoreError;
use super::layout::{Assembly, Damage, Record, log_key};
use super::page::{PAGE_BYTES, PAGE_EVENTS, Page, Range, Slice};
use super::shared::{Past, Shared};

/// The next events under `prefix` after one revision, up to another that has been published.
pub(super) async fn replay(
    shared: &Arc<Shared>,
    prefix: &Arc<str>,
    after: u64,
    until: u64,
) -> Result<Page, StoreError> {
    let until = {
        let state = shared.state.read();
        state.check(after)?;
        if after >= state.recent().start() {
            let events = state
                .recent()
                .after(after)
                .take_while(|event| event.revision <= until);
            let events = events
                .filter(|event| event.key.starts_with(&**prefix))
                .cloned()
                .collect();
            return Ok(Page {
                events,
                reached: until,
            });
        }
        until.min(state.recent().start())
    };
    if let Past::Etcd(keys) = &shared.past {
        let read = keys.page(prefix, after, until).await;
        return read.map_err(|error| shared.forgotten(error));
    }
    let (shared, prefix) = (Arc::clone(shared), Arc::clone(prefix));
    let read = tokio::task::spawn_blocking(move || from_disk(&shared, &prefix, after, until));
    read.await.unwrap_or(Err(StoreError::Closed))
}

/// Some of the objects under a prefix as they stood at a revision that is not compacted. What does not matter to them is not copied.
pub(super) async fn slice_at(
    shared: &Arc<Shared>,
    range: Range<'_>,
    revision: u64,
) -> Result<Slice, StoreError> {
    if let Past::Etcd(_) = &shared.past {
        let all = list_at(shared, range.prefix, revision).await?;
        return Ok(cut(all, range, revision));
    }
    let prefix: Arc<str> = Arc::from(range.prefix);
    let mut before = BTreeMap::new();
    let mut cursor = revision;
    loop {
        let now = {
            let state = shared.state.read();
            state.check(revision)?;
            // What memory holds of the changes is taken back under the lock under which the state is read.
            if cursor >= state.recent().start() {
                let newest = state.recent().after(cursor);
                let newest = newest.filter(|event| event.key.starts_with(range.prefix));
                newest.for_each(|event| note(&mut before, event));
                let slice = state.slice(range, &before);
                return Ok(Slice { revision, ..slice });
            }
            state.recent().start()
        };
        let page = replay(shared, &prefix, cursor, now).await?;
        page.events
            .iter()
            .for_each(|event| note(&mut before, event));
        cursor = page.reached;
    }
}

/// Keeps what an object was before the first of its changes.
fn note(before: &mut BTreeMap<Key, Option<Entry>>, event: &Event) {
    let known = before.entry(event.key.clone());
    known.or_insert_with(|| event.before());
}

fn cut(mut all: Vec<Entry>, range: Range<'_>, revision: u64) -> Slice {
    let start = range
        .after
        .map_or(0, |after| all.partition_point(|entry| *entry.key <= *after));
    let mut entries = all.split_off(start);
    let kept = match range.limit {
        0 => entries.len(),
        limit => limit.min(entries.len()),
    };
    let left = entries.len() - kept;
    entries.truncate(kept);
    Slice {
        revision,
        entries,
        left,
    }
}

/// Every object under `prefix` as it stood at a revision that is not compacted.
pub(super) async fn list_at(
    shared: &Arc<Shared>,
    prefix: &str,
    revision: u64,
) -> Result<Vec<Entry>, StoreError> {
    let (now, entries) = {
        let state = shared.state.read();
        state.check(revision)?;
        (state.revision(), state.list(prefix))
    };
    if now == revision {
        return Ok(entries);
    }
    if let Past::Etcd(keys) = &shared.past {
        let read = keys.list(prefix, revision).await;
        return read.map_err(|error| shared.forgotten(error));
    }
    let prefix = Arc::from(prefix);
    let mut before = BTreeMap::new();
    let mut cursor = revision;
    while cursor < now {
        let page = replay(shared, &prefix, cursor, now).await?;
        page.events
            .iter()
            .for_each(|event| note(&mut before, event));
        cursor = page.reached;
    }
    Ok(undo(entries, before))
}

/// Takes back the changes of the keys in `before`.
fn undo(entries: Vec<Entry>, before: BTreeMap<Key, Option<Entry>>) -> Vec<Entry> {
    let mut objects: BTreeMap<Key, Entry> = entries
        .into_iter()
        .map(|entry| (entry.key.clone(), entry))
        .collect();
    for (key, entry) in before {
        match entry {
            Some(entry) => objects.insert(key, entry),
            None => objects.remove(&key),
        };
    }
    objects.into_values().collect()
}

/// Reads a page of the log. Compaction may run at the same time: it says so before it removes anything, so whatever looks
/// damaged here is judged after asking again.
fn from_disk(shared: &Shared, prefix: &str, after: u64, until: u64) -> Result<Page, StoreError> {
    let Past::Disk(disk) = &shared.past else {
        return Err(StoreError::Closed);
    };
    let read = disk.read(|engine| Ok(read_page(engine, prefix, after, until)));
    shared.state.read().check(after)?;
    // After a failure none is open until there is room.
    let read = read.map_err(|error| match error {
        StoreError::Closed => shared.health().err().unwrap_or(StoreError::Closed),
        error => error,
    });
    match read? {
        Ok(page) => Ok(page),
        Err(Trouble::Damage(damage)) => Err(disk.corrupt(&damage)),
        Err(Trouble::Engine(error)) => Err(disk.corrupt(&error)),
    }
}

enum Trouble {
    Damage(Damage),
    Engine(EngineError),
}

fn read_page(engine: &dyn Engine, prefix: &str, after: u64, until: u64) -> Result<Page, Trouble> {
    let mut page = Page {
        events: Vec::new(),
        reached: after,
    };
    let mut bytes = 0;
    for record in read_records(engine, after, until)? {
        if record.revision != page.reached + 1 {
            return Err(Trouble::Damage(Damage::Missing(page.reached + 1)));
        }
        page.reached = record.revision;
        if record.key.starts_with(prefix) {
            let event = event(engine, record)?;
            bytes += event.weight();
            page.events.push(Arc::new(event));
        }
        if bytes > PAGE_BYTES {
            break;
        }
    }
    if page.reached == after {
        return Err(Trouble::Damage(Damage::Missing(after + 1)));
    }
    Ok(page)
}

/// The next records of the log, of every key.
fn read_records(engine: &dyn Engine, after: u64, until: u64) -> Result<Vec<Record>, Trouble> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let mut assembly = Assembly::default();
    let mut damage = None;
    let mut visit = |key: &[u8], value: &[u8]| match assembly.add(key, value) {
        Ok(None) => ControlFlow::Continue(()),
        Ok(Some(record)) => {
            bytes += record.value.len();
            records.push(record);
            let enough = records.len() >= PAGE_EVENTS || bytes > PAGE_BYTES;
            if enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        Err(found) => {
            damage = Some(found);
            ControlFlow::Break(())
        }
    };
    let read = engine.range(&log_key(after + 1), &log_key(until + 1), &mut visit);
    read.map_err(Trouble::Engine)?;
    damage.map_or(Ok(records), |damage| Err(Trouble::Damage(damage)))
}

/// The event that a record tells of, with the value that it replaced.
fn event(engine: &dyn Engine, record: Record) -> Result<Event, Trouble> {
    let previous = match record.replaced {
        0 => None,
        revision => Some(replaced(engine, revision)?),
    };
    let kind = match (record.deleted, previous) {
        (true, Some(previous)) => EventKind::Delete { previous },
        (true, None) => return Err(Trouble::Damage(Damage::Record(record.revision))),
        (false, previous) => EventKind::Put {
            value: record.value,
            previous,
        },
    };
    let Record {
        revision,
        key,
        created,
        replaced,
        ..
    } = record;
    Ok(Event {
        revision,
        key,
        created,
        replaced,
        kind,
    })
}

fn replaced(engine: &dyn Engine, revision: u64) -> Result<Bytes, Trouble> {
    let record = read_records(engine, revision - 1, revision)?.pop();
    record
        .map(|record| record.value)
        .ok_or(Trouble::Damage(Damage::Missing(revision)))
}
