//! What a call costs: projects of `osier plugin new`, built by their languages' own tools and measured by `osier plugin bench`, on the engine
//! that production uses.

use crate::Bench;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const LANGUAGES: [&str; 3] = ["rust", "js", "python"];
const TEMPLATES: [&str; 5] = [
    "checknothing",
    "listentry",
    "apikey",
    "authorization",
    "quota",
];
/// How long one project is measured.
const SECONDS: &str = "2";

/// One table row for each language and template that this machine can build.
pub(super) async fn compare(bench: &Bench) -> Result<Value> {
    println!(
        "\n  one call into a plugin (`osier plugin bench`), of the first case that is allowed\n  language   template            p50 us      p99 us"
    );
    let mut figures = Vec::new();
    for language in LANGUAGES {
        for template in TEMPLATES {
            let row = match measured(&bench.binary, language, template) {
                Ok(row) => row,
                Err(error) => {
                    println!("  {language:<10} {template:<14} not measured: {error:#}");
                    // What one project lacks, its neighbours lack too.
                    break;
                }
            };
            let time = |share: &str| row["microseconds"][share].as_f64().unwrap_or_default();
            let (p50, p99) = (time("p50"), time("p99"));
            println!("  {language:<10} {template:<14} {p50:>11.1} {p99:>11.1}");
            figures.push(json!({"language": language, "template": template, "p50_us": p50, "p99_us": p99, "memory": row["memory"]}));
        }
    }
    Ok(figures.into())
}

/// The figures of the first case that the plugin itself answers.
fn measured(osier: &Path, language: &str, template: &str) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let run = |args: &[&str], within: &Path| -> Result<String> {
        let output = Command::new(osier)
            .args(args)
            .current_dir(within)
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
    };
    let new = [
        "plugin",
        "new",
        "measured",
        "--template",
        template,
        "--lang",
        language,
    ];
    run(&new, folder.path())?;
    let project = folder.path().join("measured");
    run(&["plugin", "build"], &project)?;
    let cache = folder.path().display().to_string();
    let bench = [
        "plugin",
        "bench",
        "--seconds",
        SECONDS,
        "-o",
        "json",
        "--data-dir",
        &cache,
    ];
    let told: Value = serde_json::from_str(&run(&bench, &project)?)?;
    let cases = told.as_array().context("no cases")?;
    let own = cases.iter().find(|case| case["cached"] == 0);
    own.cloned().context("every case came from the check cache")
}
