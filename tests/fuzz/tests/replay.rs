//! Every target stands the bytes of its corpus (seeds, and what a fuzzer once found), and what a few hundred changes make of them. The
//! changes are the same in every run; `OSIER_MUTATIONS=100000` makes more of them. A fuzzer with instruments looks further.

use osier_fuzz::{TARGETS, Target};
use std::fs;
use std::path::{Path, PathBuf};

/// Changed inputs of each target, unless the environment says otherwise.
const MUTATIONS: u64 = 300;
/// Values at which readers of lengths and numbers go wrong.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'/'];

/// Files of a target's corpus with their bytes, in the order of their names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = fs::read_dir(folder.join(name)).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_default();
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

fn stands(target: Target, bytes: &[u8]) -> bool {
    std::panic::catch_unwind(|| target(bytes)).is_ok()
}

#[test]
fn targets_stand_their_corpus() {
    let mut faults = Vec::new();
    for (name, target) in TARGETS {
        let files = corpus(name);
        if files.is_empty() {
            faults.push(format!("{name} has no corpus"));
        }
        let fallen = files.iter().filter(|(_, bytes)| !stands(*target, bytes));
        faults.extend(fallen.map(|(path, _)| path.display().to_string()));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or_default()
    }
}

/// One change: of a bit, a byte, a piece, or the end; or the second half of another input.
fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    match numbers.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
        1 if !bytes.is_empty() => bytes[at] = EDGES[numbers.below(EDGES.len())],
        2 => bytes.insert(at, EDGES[numbers.below(EDGES.len())]),
        3 => {
            let end = (at + 1 + numbers.below(16)).min(bytes.len());
            drop(bytes.drain(at.min(end)..end));
        }
        4 => {
            let end = (at + 1 + numbers.below(32)).min(bytes.len());
            let piece = bytes[at.min(end)..end].to_vec();
            let to = numbers.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        5 => bytes.truncate(at),
        _ => bytes.extend_from_slice(&other[numbers.below(other.len())..]),
    }
}

#[test]
fn targets_stand_what_changes_make_of_their_corpus() {
    let said = std::env::var("OSIER_MUTATIONS").ok();
    let count = said.and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS);
    let mut faults = Vec::new();
    for (name, target) in TARGETS {
        let (files, mut numbers) = (corpus(name), Numbers(0x9e37_79b9_7f4a_7c15));
        let began = std::time::Instant::now();
        for _ in 0..count {
            let [one, other] = [0, 0].map(|_: u8| &files[numbers.below(files.len())].1);
            let mut bytes = one.clone();
            for _ in 0..=numbers.below(6) {
                change(&mut bytes, other, &mut numbers);
            }
            bytes.truncate(16 * 1024);
            if !stands(*target, &bytes) {
                let kept = std::env::temp_dir().join(format!("osier-fuzz-{name}-{}", faults.len()));
                let _best_effort = fs::write(&kept, &bytes);
                faults.push(kept.display().to_string());
            }
        }
        println!("{name}: {count} in {:?}", began.elapsed());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
