//! A program with kube-rs against the built binary: objects, patches, watches, apply, discovery, a kind of its own, subresources.
//!
//! The program is a workspace of its own (`tests/kube-rs`), which is built first; where its packages cannot be had, the test says so
//! and passes.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::{Node, artifacts};
use std::path::Path;
use std::process::Command;

#[test]
fn a_program_with_kube_rs_does_its_work() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-rs");
    let target = artifacts::target().join("kube-rs");
    let cargo = |command: &str| {
        let mut run = Command::new(env!("CARGO"));
        run.arg(command)
            .arg("--locked")
            .current_dir(&folder)
            .env("CARGO_TARGET_DIR", &target);
        run.output().unwrap()
    };
    let fetched = cargo("fetch");
    if !fetched.status.success() {
        let why = String::from_utf8_lossy(&fetched.stderr).into_owned();
        println!("skipped: the packages of tests/kube-rs cannot be fetched: {why}");
        return;
    }
    let built = cargo("build");
    let told = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{told}");
    let node = Node::start().unwrap();
    let output = Command::new(target.join("debug/osier-kube-rs"))
        .env("KUBECONFIG", node.kubeconfig())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("all steps done"), "{said}");
}
