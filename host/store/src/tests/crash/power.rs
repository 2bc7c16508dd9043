//! Power cuts, simulated: a child writes while every call that it makes on files is recorded; then the disk is made as a cut at any
//! moment could have left it, and the store opened on that. What was synchronised is there, everything else only by chance.
//!
//! More is tried by hand: `OSIER_STORE_CUTS=1000 OSIER_STORE_WRITES=1500 OSIER_STORE_WRITERS=128 cargo test -p osier-apiserver
//! after_a_power_cut -- --nocapture`. With that many writers a commit of sled fills several segments and takes up old ones.

mod disk;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::Rng;

use self::disk::{Disk, Fate};
use self::trace::{Act, Trace};
use super::evidence::Evidence;
use super::{command, observe, strace_is_here};
use crate::StoreKind;
use crate::tests::run;

/// How many cuts are tried of one recording, unless `OSIER_STORE_CUTS` says otherwise.
const CUTS: usize = 40;
/// How many moments are drawn for the one at which the most hangs in the air.
const CANDIDATES: usize = 40;

pub(super) fn nothing_acknowledged_is_lost(kind: StoreKind) {
    if !strace_is_here() {
        return;
    }
    let cuts = asked("OSIER_STORE_CUTS", CUTS);
    let writes = asked("OSIER_STORE_WRITES", 500);
    let writers = asked("OSIER_STORE_WRITERS", 64);
    let (mut random, trace) = (rand::rng(), record(kind, writes, writers));
    let mut moments: Vec<usize> = (0..cuts)
        .map(|round| moment(&trace, round, &mut random))
        .collect();
    moments.sort_unstable();
    let (mut disk, mut done, mut failed, mut most) = (Disk::default(), 0, 0, 0);
    for moment in moments {
        trace.acts[done..moment]
            .iter()
            .for_each(|act| disk.apply(act));
        done = moment;
        let (after, fate) = (tempfile::tempdir().unwrap(), Fate::draw(&mut random));
        disk.write(after.path(), &fate, &mut random);
        let mut evidence = Evidence::default();
        evidence.take(&trace.said(moment));
        most = most.max(evidence.acknowledged());
        let check = || run(evidence.check(after.path(), kind));
        if catch_unwind(AssertUnwindSafe(check)).is_err() {
            println!("{kind}: {fate:?} at {moment} of {}", trace.acts.len());
            failed += 1;
        }
    }
    println!("{kind}: {failed} of {cuts} power cuts lost something of up to {most} acknowledged");
    assert_eq!(failed, 0, "of {cuts} power cuts");
    assert!(most > 10, "every cut came before anything was written");
}

fn asked(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// When to cut: anywhere, the opening included; while it writes; or when much has been written since the last synchronisation.
fn moment(trace: &Trace, round: usize, random: &mut impl Rng) -> usize {
    let writing = trace.answers();
    match round % 3 {
        0 => random.random_range(0..trace.acts.len()),
        1 => random.random_range(writing.clone()),
        _ => (0..CANDIDATES)
            .map(|_| random.random_range(writing.clone()))
            .max_by_key(|moment| trace.loose(*moment))
            .unwrap(),
    }
}

pub(super) fn every_answer_comes_after_a_sync(kind: StoreKind) {
    if !strace_is_here() {
        return;
    }
    let (mut synced, mut answers) = (false, 0);
    for act in record(kind, 100, 1).acts {
        if matches!(act, Act::Synced { .. }) {
            synced = true;
        } else if act.is_answer() {
            assert!(synced, "answer {answers} came before a sync");
            (synced, answers) = (false, answers + 1);
        }
    }
    assert_eq!(answers, 100);
}

/// What a child did that made so many writes, so many at a time, into a new store.
fn record(kind: StoreKind, writes: usize, writers: usize) -> Trace {
    let directory = tempfile::tempdir().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let path = output.path().to_str().unwrap();
    let calls = format!("--trace={}", trace::CALLS);
    let wrapper = [
        "strace", "-f", "-qqq", "-xx", "-s", "4194304", "-o", path, &calls,
    ];
    let mut command = command(directory.path(), kind, &wrapper);
    let child = command
        .env("OSIER_STORE_WRITES", writes.to_string())
        .env("OSIER_STORE_WRITERS", writers.to_string())
        .env("OSIER_STORE_HISTORY", "100")
        .spawn()
        .unwrap();
    let lines = observe(child, &mut Evidence::default(), |_| {});
    assert!(
        lines.iter().any(|line| line == "done"),
        "{:?}",
        lines.last()
    );
    Trace::read(output.path(), directory.path())
}
