//! `osier store backup` of a running node, and `osier store restore` into a directory without a store, as people type them.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::{Node, Options, artifacts};
use std::path::Path;
use std::process::{Command, Output};

const KEPT: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {a: b}}";
const LATER: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: later}}";

/// `osier ARGS` with the kubeconfig of the node.
fn osier(node: &Node, args: &[&str]) -> Output {
    let mut command = Command::new(artifacts::binary().unwrap());
    command.args(args).env("KUBECONFIG", node.kubeconfig());
    command.output().unwrap()
}

fn says(output: &Output, words: &str) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains(words), "{said}");
}

fn has(node: &Node, name: &str) -> bool {
    osier(node, &["get", "configmap", name]).status.success()
}

#[test]
fn a_node_goes_back_to_its_backup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let saved = file.to_str().unwrap();
    let mut node = Node::start().unwrap();
    node.apply_text(KEPT).unwrap();
    let done = osier(&node, &["store", "backup", saved]);
    assert!(done.status.success(), "{done:?}");
    says(&done, "objects at revision");
    assert!(std::fs::read_dir(folder.path()).unwrap().count() == 1);
    assert_eq!(mode(&file), 0o600);
    node.apply_text(LATER).unwrap();

    let store = node.data_dir().join("store");
    says(
        &node.osier(&["store", "restore", saved]).unwrap(),
        "is in use by process",
    );
    node.terminate().unwrap();
    let refused = node.osier(&["store", "restore", saved]).unwrap();
    says(&refused, "there is a store in");
    assert_eq!(refused.status.code(), Some(4));

    std::fs::rename(&store, node.data_dir().join("store.old")).unwrap();
    let half = folder.path().join("half");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    says(
        &node
            .osier(&["store", "restore", half.to_str().unwrap()])
            .unwrap(),
        "not whole",
    );
    let restored = node
        .osier(&["store", "restore", saved, "--store", "redb"])
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let options = Options {
        args: vec!["--store".to_owned(), "redb".to_owned()],
        ..Options::default()
    };
    node.restart_with(&options).unwrap();
    assert!(has(&node, "kept") && !has(&node, "later"));
    node.apply_text(LATER).unwrap();
    assert!(has(&node, "later"));
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}
