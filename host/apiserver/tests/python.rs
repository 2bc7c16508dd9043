//! The Python client of Kubernetes against the API over TLS: create, read, watch, every patch, apply, reviews, tokens.
//!
//! Runs `python3` with the package `kubernetes` (`pip install kubernetes`); without them the test says so and passes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Stdio};

#[path = "kubectl/site.rs"]
#[expect(dead_code, reason = "shared with the test of kubectl")]
mod site;

use site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_does_its_work() {
    let known = Command::new("python3")
        .args(["-c", "import kubernetes"])
        .stderr(Stdio::null())
        .status();
    if !known.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3 with the package kubernetes");
        return;
    }
    let site = Site::start().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/client.py");
    let mut run = Command::new("python3");
    run.arg(script)
        .env("KUBECONFIG", site.folder.path().join("kubeconfig"));
    let output = tokio::task::spawn_blocking(move || run.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("all steps done"), "{said}");
}
