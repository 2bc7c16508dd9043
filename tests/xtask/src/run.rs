//! What is run once everything is built: the demo, the tests, the benchmark. Each is a program of its own below `tests/`.

use crate::build::{self, binary, cargo, succeed, target};
use anyhow::Result;
use std::process::Command;

/// Builds, then shows.
pub(crate) fn demo(keep: bool) -> Result<()> {
    build::run(false, false)?;
    println!("== demo");
    let mut command = Command::new(target().join("debug/osier-demo"));
    if keep {
        command.arg("--keep");
    }
    succeed(&mut command, "the demo failed")
}

/// Builds, then tests: the host and its suites, then the guests' own functions. `filter` goes to the test binaries.
pub(crate) fn test(filter: &[String]) -> Result<()> {
    build::run(false, false)?;
    if Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_err()
    {
        println!(
            "   no kubectl here: tests with it are skipped; `apt-get install kubernetes-client` has one"
        );
    }
    println!("== tests");
    succeed(
        cargo().args(["test", "--no-fail-fast"]).args(filter),
        "tests failed",
    )?;
    println!("== tests of the guests' own functions");
    let mut guests = cargo();
    // Only libraries: a component is linked for WebAssembly, never for this machine.
    guests.args(["test", "--no-fail-fast", "--lib"]);
    for package in build::tested_natively()? {
        guests.args(["--package", &package]);
    }
    succeed(guests.args(filter), "tests of the guests failed")
}

/// Builds for release, then measures; `only` names the parts, all of them if it is empty.
pub(crate) fn bench(
    (seconds, rounds, live_pods): (u64, u64, u64),
    connections: &str,
    only: &[String],
) -> Result<()> {
    build::run(true, false)?;
    let compares = |part: &String| ["proxy", "containers"].contains(&part.as_str());
    if only.is_empty() || only.iter().any(compares) {
        println!("== the bare proxy and the backend of the comparison, with optimisations");
        succeed(
            cargo()
                .args(["build", "--release", "--package", "osier-bench"])
                .args(["--bin", "osier-bench-bare"]),
            "the bare proxy does not build",
        )?;
    }
    println!("== bench");
    let mut command = Command::new(target().join("debug/osier-bench"));
    command.arg("--binary").arg(binary(true));
    command.args(["--seconds", &seconds.to_string()]);
    command.args(["--rounds", &rounds.to_string()]);
    command.args(["--connections", connections]);
    command.args(["--live-pods", &live_pods.to_string()]);
    if !only.is_empty() {
        command.args(["--only", &only.join(",")]);
    }
    succeed(
        command.arg("--json").arg(target().join("bench.json")),
        "the benchmark failed",
    )
}
