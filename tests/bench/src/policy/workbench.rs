//! `osier plugin bench`, by the binary that is measured: what a call costs on the engine that production uses, without a network around it.

use anyhow::{Context, Result, ensure};
use osier_tests::artifacts::target;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What was measured of one case.
pub(super) struct Case {
    /// Name of the fixture, without its folder.
    pub(super) fixture: String,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Nanoseconds for `match` and `fields`; none of a hook.
    pub(super) fields: Option<f64>,
    pub(super) mebibytes: f64,
    /// The share of calls that the check cache answered.
    pub(super) cached: f64,
}

/// Runs the binary; what it complains of last is the error.
pub(super) fn osier(binary: &Path, within: &Path, args: &[&str]) -> Result<String> {
    let kept = target().join("authoring");
    let output = Command::new(binary)
        .args(args)
        .current_dir(within)
        .env("CARGO_TARGET_DIR", kept.join("cargo"))
        .env("XDG_CACHE_HOME", kept.join("cache"))
        .env("OSIER_DATA_DIR", kept.join("data"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    ensure!(
        output.status.success(),
        "osier {}: {}",
        args.join(" "),
        last.unwrap_or_default()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Measures a component or a built project with fixtures, for so many seconds in all.
pub(super) fn measure(
    binary: &Path,
    (plugin, fixtures): (&Path, &Path),
    seconds: &str,
) -> Result<Vec<Case>> {
    let (plugin, fixtures) = (plugin.display().to_string(), fixtures.display().to_string());
    let args = [
        "plugin",
        "bench",
        &plugin,
        "--fixtures",
        &fixtures,
        "--seconds",
        seconds,
        "-o",
        "json",
    ];
    let told: Value = serde_json::from_str(&osier(binary, Path::new("."), &args)?)?;
    let cases = told.as_array().context("no cases")?.iter().map(|case| {
        let number = |field: &Value| field.as_f64().unwrap_or_default();
        let name = case["case"].as_str().unwrap_or_default();
        Case {
            fixture: name.split(':').next().unwrap_or_default().to_owned(),
            p50: number(&case["microseconds"]["p50"]),
            p99: number(&case["microseconds"]["p99"]),
            fields: case["fieldsNanoseconds"].as_f64(),
            mebibytes: number(&case["memory"]) / 1_048_576.0,
            cached: number(&case["cached"]) / number(&case["calls"]).max(1.0),
        }
    });
    Ok(cases.collect())
}
