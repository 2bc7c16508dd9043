//! Kills the real process: this test binary runs itself as a child that writes with many tasks and says what was
//! acknowledged; the parent kills it, opens the store and checks every acknowledgement, the log and the index.

mod child;
mod evidence;
mod power;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng;

use self::evidence::Evidence;
use super::{on_each_engine, open, refused, run};
use crate::{StoreError, StoreKind};

on_each_engine!(
    killed_at_random_moments_nothing_acknowledged_is_lost,
    killed_at_chosen_system_calls_nothing_acknowledged_is_lost,
    every_answer_comes_after_a_sync,
    after_a_power_cut_nothing_acknowledged_is_lost,
    a_lock_of_a_killed_process_blocks_nobody,
    a_full_disk_is_reported_and_stops_all_writing,
    writes_are_taken_again_once_there_is_room,
);

/// How long one test may go on killing.
const SPAN: Duration = Duration::from_secs(20);

/// The command that runs this binary as a child on a store. `wrapper` is put before it.
fn command(directory: &Path, kind: StoreKind, wrapper: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    let test = concat!(module_path!(), "::child::run");
    let test = test.split_once("::").map_or(test, |(_, test)| test);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
        .env("OSIER_STORE_DIRECTORY", directory)
        .env("OSIER_STORE_KIND", kind.word());
    command
        .env("OSIER_STORE_HISTORY", "300")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.stderr(Stdio::inherit());
    command
}

/// Reads what the child says until it is dead; `kill` waits and then kills it.
fn observe(
    mut child: Child,
    evidence: &mut Evidence,
    kill: impl FnOnce(&mut Child),
) -> Vec<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader =
        std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<_>>());
    kill(&mut child);
    child.wait().unwrap();
    let lines = reader.join().unwrap();
    evidence.take(&lines);
    lines
}

fn killed_at_random_moments_nothing_acknowledged_is_lost(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let (mut evidence, mut random) = (Evidence::default(), rand::rng());
    let (started, mut rounds) = (Instant::now(), 0);
    while started.elapsed() < SPAN {
        let in_recovery = random.random_ratio(1, 3);
        let life = if in_recovery {
            random.random_range(1..40)
        } else {
            random.random_range(40..500)
        };
        let child = command(directory.path(), kind, &[]).spawn().unwrap();
        observe(child, &mut evidence, |child| {
            std::thread::sleep(Duration::from_millis(life));
            child.kill().unwrap();
        });
        rounds += 1;
        // Half of the crashes are followed by another one before anybody looks.
        if random.random_bool(0.5) {
            run(evidence.check(directory.path(), kind));
        }
    }
    run(evidence.check(directory.path(), kind));
    println!(
        "{kind}: {rounds} kills, {} acknowledged writes, none lost",
        evidence.acknowledged()
    );
    assert!(evidence.acknowledged() > 100, "the children hardly wrote");
}

fn strace_is_here() -> bool {
    let here = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !here {
        println!(
            "skipped: strace is not installed, so system calls can be neither chosen nor seen"
        );
    }
    here
}

/// The system calls that move data, and about how often one thread makes each in an opening and a few dozen commits.
const CALLS: [(&str, u32); 8] = [
    ("fdatasync", 20),
    ("pwrite64", 30),
    ("write", 14),
    ("fsync", 8),
    ("sync_file_range", 4),
    ("rename", 2),
    ("unlink", 1),
    ("ftruncate", 2),
];

fn killed_at_chosen_system_calls_nothing_acknowledged_is_lost(kind: StoreKind) {
    if !strace_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut evidence, mut random) = (Evidence::default(), rand::rng());
    let (started, mut rounds, mut killed) = (Instant::now(), 0, 0_usize);
    while started.elapsed() < SPAN || rounds < CALLS.len() {
        let (call, most) = CALLS[rounds % CALLS.len()];
        let inject = format!(
            "--inject={call}:signal=KILL:when={}",
            random.random_range(1..=most)
        );
        let trace = format!("--trace={call}");
        let wrapper = ["strace", "-f", "-qqq", "-o", "/dev/null", &trace, &inject];
        let mut command = command(directory.path(), kind, &wrapper);
        let child = command.env("OSIER_STORE_WRITES", "300").spawn().unwrap();
        let lines = observe(child, &mut evidence, |_| {});
        killed += usize::from(!lines.iter().any(|line| line == "done"));
        rounds += 1;
        // A store that was killed while it was made must be made again.
        if random.random_ratio(1, 8) {
            run(evidence.check(directory.path(), kind));
            std::fs::remove_dir_all(directory.path()).unwrap();
            std::fs::create_dir(directory.path()).unwrap();
            evidence.forget();
        } else {
            run(evidence.check(directory.path(), kind));
        }
    }
    println!(
        "{kind}: {killed} kills in {rounds} rounds, {} acknowledged, none lost",
        evidence.acknowledged()
    );
    assert!(
        killed >= 3,
        "only {killed} of {rounds} children were killed"
    );
}

fn every_answer_comes_after_a_sync(kind: StoreKind) {
    power::every_answer_comes_after_a_sync(kind);
}

fn after_a_power_cut_nothing_acknowledged_is_lost(kind: StoreKind) {
    power::nothing_acknowledged_is_lost(kind);
}

fn a_lock_of_a_killed_process_blocks_nobody(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let mut child = command(directory.path(), kind, &[]).spawn().unwrap();
    let owner = child.id().to_string();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.any(|line| line == "open"));
    let error = refused(directory.path(), kind);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        error,
        StoreError::Locked {
            directory: directory.path().to_owned(),
            owner
        }
    );
    assert!(open(directory.path(), kind).is_ok());
}

/// A bound on the size of each file, in blocks of 512 bytes, is met like the end of the disk.
const LIMITED: [&str; 3] = [
    "sh",
    "-c",
    r#"trap "" XFSZ; ulimit -S -f 12000; exec "$0" "$@""#,
];

fn a_full_disk_is_reported_and_stops_all_writing(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let mut evidence = Evidence::default();
    for round in 0..2 {
        let child = command(directory.path(), kind, &LIMITED).spawn().unwrap();
        let lines = observe(child, &mut evidence, |_| {});
        let said = |what: &str| lines.iter().any(|line| line.starts_with(what));
        if round == 0 {
            says_that_it_is_full(&lines);
        } else {
            // With no room at all it either does not open, in words, or fails at once.
            assert!(said("failed ") || said("refused "), "{lines:?}");
        }
        run(evidence.check(directory.path(), kind));
    }
    assert!(
        evidence.acknowledged() > 0,
        "nothing was written before the disk was full"
    );
}

fn writes_are_taken_again_once_there_is_room(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let mut evidence = Evidence::default();
    let mut command = command(directory.path(), kind, &LIMITED);
    let child = command.env("OSIER_STORE_RETRY", "20").spawn().unwrap();
    let lines = observe(child, &mut evidence, |_| {});
    says_that_it_is_full(&lines);
    for word in ["recovered", "done"] {
        assert!(lines.iter().any(|line| line == word), "{:?}", lines.last());
    }
    run(evidence.check(directory.path(), kind));
}

/// It names the disk and what to do, refuses all writes and reads on.
fn says_that_it_is_full(lines: &[String]) {
    for start in ["failed the store in ", "after failed the store in "] {
        let said = lines.iter().find(|line| line.starts_with(start));
        let said = said.unwrap_or_else(|| panic!("{:?}", lines.last()));
        for part in ["takes no writes", "may not grow", "Make room on that disk"] {
            assert!(said.contains(part), "{said}");
        }
    }
    let reads = lines.iter().any(|line| line == "reads still work");
    assert!(reads, "{:?}", lines.last());
}
