//! What history is kept, and what leaves the disk when it is shortened. A revision that is compacted takes the record that
//! it replaced with it, since no watch and no list can ask for that one any more, and its own record if it was a deletion.

use std::collections::VecDeque;

use super::engine::Batch;
use super::layout::{Record, part_key, parts};
use super::limits::Limits;

/// What compaction must know of one revision, without reading it.
struct Step {
    replaced: u64,
    replaced_parts: u16,
    parts: u16,
    deleted: bool,
    bytes: usize,
}

impl Step {
    fn of(record: &Record) -> Self {
        Self {
            replaced: record.replaced,
            replaced_parts: record.replaced_parts,
            parts: parts(&record.key, &record.value),
            deleted: record.deleted,
            bytes: record.key.len() + record.value.len(),
        }
    }
}

/// The revisions after the compacted one, in order.
pub(super) struct History {
    steps: VecDeque<Step>,
    compacted: u64,
    bytes: usize,
    limits: Limits,
}

impl History {
    /// No revisions yet after `compacted`.
    pub(super) fn new(compacted: u64, limits: Limits) -> Self {
        Self {
            steps: VecDeque::new(),
            compacted,
            bytes: 0,
            limits,
        }
    }

    /// The revision up to which history is gone.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Takes in the next revision.
    pub(super) fn push(&mut self, record: &Record) {
        let step = Step::of(record);
        self.bytes += step.bytes;
        self.steps.push_back(step);
    }

    /// True while there is more history than the limits allow.
    pub(super) fn is_long(&self) -> bool {
        self.steps.len() > self.limits.history || self.bytes > self.limits.history_bytes
    }

    /// Shortens the history by at most `count` revisions and not beyond `last`.
    pub(super) fn compact(&mut self, count: usize, last: u64, batch: &mut Batch) {
        for _ in 0..count {
            if !self.is_long() || self.compacted >= last {
                return;
            }
            let Some(step) = self.steps.pop_front() else {
                return;
            };
            self.compacted += 1;
            self.bytes -= step.bytes;
            remove(step.replaced, step.replaced_parts, batch);
            if step.deleted {
                remove(self.compacted, step.parts, batch);
            }
        }
    }
}

fn remove(revision: u64, parts: u16, batch: &mut Batch) {
    for part in 0..parts {
        batch.remove(part_key(revision, part));
    }
}
