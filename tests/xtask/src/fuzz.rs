//! `cargo xtask fuzz`: the targets of `tests/fuzz` under libFuzzer, with the compiler that everything else is built with.
//!
//! cargo-fuzz is not needed: what it would do on a stable compiler is a handful of flags, and sanitizers, which it is known for, are for
//! unsafe code, of which there is none here.

use crate::build::{cargo, succeed, target, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Counters at every edge and comparison, in every crate.
const INSTRUMENTS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The target that needs the compiler of WebAssembly; it is built into the fuzzer only when it is asked for.
const MODULE: &str = "module";

/// Runs one target, or all one after the other, so many seconds each.
pub(crate) fn run(name: Option<&str>, seconds: u64) -> Result<()> {
    let names = chosen(name)?;
    let fuzzer = build(names.iter().any(|name| name == MODULE))?;
    for name in &names {
        println!("== {name}, {seconds} s");
        fuzz(&fuzzer, name, seconds)?;
    }
    Ok(())
}

/// The targets that are wanted: each has a folder of seeds.
fn chosen(name: Option<&str>) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in corpus().read_dir().context("tests/fuzz/corpus")? {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    match name {
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("no target {name:?}: there are {}", all.join(", ")),
    }
}

fn corpus() -> PathBuf {
    workspace().join("tests/fuzz/corpus")
}

/// Builds the fuzzer apart from everything else, whose artifacts have no instruments.
fn build(modules: bool) -> Result<PathBuf> {
    println!(
        "== the fuzzer, with instruments in all that it calls (the first build takes some minutes)"
    );
    let (machine, folder) = (machine()?, target().join("fuzz"));
    let mut command = cargo();
    command.args(["build", "--release", "--manifest-path"]);
    command.arg(workspace().join("tests/fuzz/libfuzzer/Cargo.toml"));
    // With a target that is named, flags are not for build scripts and macros.
    command
        .args(["--target", &machine, "--target-dir"])
        .arg(&folder);
    if modules {
        command.args(["--features", "modules"]);
    }
    command.env("RUSTFLAGS", INSTRUMENTS);
    succeed(&mut command, "the fuzzer does not build")?;
    Ok(folder.join(machine).join("release/osier-libfuzzer"))
}

/// What this machine is called by the compiler.
fn machine() -> Result<String> {
    let said = Command::new("rustc").arg("-vV").output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn fuzz(fuzzer: &Path, name: &str, seconds: u64) -> Result<()> {
    let work = target().join("fuzz/corpus").join(name);
    let found = target().join("fuzz/found").join(name);
    for folder in [&work, &found] {
        std::fs::create_dir_all(folder)?;
    }
    let status = Command::new(fuzzer)
        .env("OSIER_FUZZ_TARGET", name)
        .args([
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", found.display()),
        ])
        .args([
            "-timeout=30",
            "-rss_limit_mb=4096",
            "-max_len=16384",
            "-print_final_stats=1",
            "-verbosity=0",
        ])
        // What it finds interesting goes to the first; the seeds stay as they are.
        .args([&work, &corpus().join(name)])
        .status()
        .with_context(|| format!("{} cannot be run", fuzzer.display()))?;
    ensure!(
        status.success(),
        "{name} does not stand the bytes in the newest file of {}: mend it, and put the file into tests/fuzz/corpus/{name}",
        found.display()
    );
    Ok(())
}
