//! From bytes to a component: what is refused, and what is kept on disk.

use crate::guests::{COMMAND, HELLO, HTTP, PLUGIN, container, engine, text, wasm, workload};
use osier_engine::{ComponentError, Container, Digest, Engine, Settings};
use osier_process::Tasks;
use std::path::Path;

fn start(dir: &Path) -> Engine {
    Engine::start(Settings {
        max_instances: 20,
        ..Settings::new(dir, Tasks::new())
    })
    .unwrap()
}

fn kept(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn what_a_component_is_can_be_read() {
    let http = workload(HTTP);
    assert!(http.serves_http() && !http.is_command());
    assert!(
        http.imports()
            .iter()
            .any(|import| import.starts_with("wasi:http/types@0.2"))
    );
    assert_eq!(http.digest(), &Digest::of(&wasm(HTTP)));
    assert!(workload(COMMAND).is_command());
}

#[tokio::test]
async fn machine_code_is_kept_and_a_damaged_file_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(start(dir.path()).workload(&wasm(HELLO)).unwrap());
    let files = kept(dir.path());
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    let code = std::fs::read(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with(
            Digest::of(&wasm(HELLO))
                .as_str()
                .trim_start_matches("sha256:")
        ),
        "{name}"
    );

    let mut damaged = code.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for content in [damaged, code[..1000].to_vec(), Vec::new()] {
        std::fs::write(file, &content).unwrap();
        let http = start(dir.path())
            .workload(&wasm(HELLO))
            .unwrap()
            .http(container())
            .unwrap();
        assert_eq!(text(&http, "/").await, "Hello, mesh!\n");
        assert!(std::fs::read(file).unwrap().len() > 1000, "made again");
    }
    assert_eq!(kept(dir.path()).len(), 1);
}

#[tokio::test]
async fn kept_code_is_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(start(dir.path()).workload(&wasm(HELLO)).unwrap());
    let file = kept(dir.path()).remove(0);
    let written = std::fs::metadata(&file).unwrap();
    let http = start(dir.path())
        .workload(&wasm(HELLO))
        .unwrap()
        .http(container())
        .unwrap();
    assert_eq!(text(&http, "/").await, "Hello, mesh!\n");
    let now = std::fs::metadata(&file).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&written),
        std::os::unix::fs::MetadataExt::ino(&now),
        "not written again"
    );
}

#[tokio::test]
async fn what_an_engine_for_authors_compiles_is_what_others_load() {
    let dir = tempfile::tempdir().unwrap();
    let again = Engine::start(Settings {
        max_instances: 20,
        reuse: 16 << 20,
        ..Settings::new(dir.path(), Tasks::new())
    });
    let again = again.unwrap();
    // The second time it compiles as well, with the functions of the first.
    for _ in 0..2 {
        drop(again.workload(&wasm(HELLO)).unwrap());
    }
    let [file] = kept(dir.path()).try_into().unwrap();
    let written = std::fs::metadata(&file).unwrap();
    let http = start(dir.path()).workload(&wasm(HELLO)).unwrap();
    let http = http.http(container()).unwrap();
    assert_eq!(text(&http, "/").await, "Hello, mesh!\n");
    let now = std::fs::metadata(&file).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino;
    assert_eq!(inode(&written), inode(&now), "loaded, not compiled");
    assert_eq!(kept(dir.path()).len(), 1);
}

#[test]
fn the_same_bytes_share_their_code() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let bytes = wasm(HELLO);
    let first = engine.workload(&bytes).unwrap();
    for file in kept(dir.path()) {
        std::fs::remove_file(file).unwrap();
    }
    let second = engine.workload(&bytes).unwrap();
    assert_eq!(first.digest(), second.digest());
    assert!(
        kept(dir.path()).is_empty(),
        "the second was neither compiled nor loaded"
    );
}

#[test]
fn bytes_that_are_no_component_are_refused_with_the_reason() {
    let engine = engine();
    let refused = |bytes: &[u8]| engine.workload(bytes).err().unwrap();
    assert!(matches!(
        refused(b"kind: Pod"),
        ComponentError::NotWasm { .. }
    ));
    let whole = wasm(HELLO);
    assert!(matches!(
        refused(&whole[..whole.len() / 2]),
        ComponentError::Invalid { .. }
    ));
    let mut scrambled = whole;
    scrambled[200..400].fill(0xfe);
    assert!(matches!(
        refused(&scrambled),
        ComponentError::Invalid { .. }
    ));
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    let refused = engine().workload(&wasm(PLUGIN)).err().unwrap();
    let ComponentError::Import { import, remedy } = &refused else {
        panic!("{refused}")
    };
    assert!(import.starts_with("osier:policy/counters@"), "{import}");
    assert!(remedy.contains("wasm32-wasip2"));
}

#[test]
fn an_export_that_is_missing_is_named() {
    let refused = workload(COMMAND).http(container()).err().unwrap();
    assert!(
        matches!(&refused, ComponentError::Export { export, .. } if export.contains("wasi:http/incoming-handler")),
        "{refused}"
    );
}

#[test]
fn a_memory_limit_below_the_first_page_is_refused_with_what_is_needed() {
    let refused = workload(HTTP)
        .http(Container {
            memory_limit: 65_536,
            ..container()
        })
        .err()
        .unwrap();
    let ComponentError::Limit { limit, needs, .. } = refused else {
        panic!("{refused}")
    };
    assert!(limit == 65_536 && needs > limit);
}
