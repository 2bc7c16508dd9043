//! The same plugins in every language: the examples of the SDKs, built by their languages' own tools, asked with the conformance suite that all of them pass.

use super::workbench::{measure, osier};
use super::{row, table};
use crate::Bench;
use anyhow::Result;
use osier_tests::artifacts::workspace;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LANGUAGES: [&str; 5] = ["rust", "c", "go", "js", "python"];
/// What is asked by which fixture, as columns.
const ASKED: [(&str, &str); 7] = [
    ("allow-list", "`listentry`"),
    ("token-bucket", "`quota`"),
    ("body", "`filter`, JSON body"),
    ("route", "`route`"),
    ("balance", "`balance`"),
    ("admit", "`admit`"),
    ("schedule", "`schedule`"),
];
/// How long a language is measured.
const SECONDS: &str = "4";

/// One row for each language whose tools this machine has or can fetch.
pub(super) fn compare(bench: &Bench) -> Result<Value> {
    let asked = ASKED.map(|(_, what)| what);
    let columns = [
        &["language"][..],
        &asked[..],
        &["memory of the instances, MiB"],
    ]
    .concat();
    table(
        "One call into the same plugin by language, median in µs (`osier plugin bench sdk/LANGUAGE/examples --fixtures sdk/conformance`)",
        &columns,
    );
    let mut figures = Vec::new();
    for language in LANGUAGES {
        match measured(bench, language) {
            Ok(figure) => figures.push(figure),
            Err(error) => {
                println!(
                    "| {language} | not measured: {error:#} |{}",
                    " |".repeat(ASKED.len())
                );
            }
        }
    }
    Ok(figures.into())
}

fn measured(bench: &Bench, language: &str) -> Result<Value> {
    let root = workspace();
    let folder = root.join("sdk").join(language).join("examples");
    osier(
        &bench.binary,
        &root,
        &["plugin", "build", &folder.display().to_string()],
    )?;
    let fixtures = root.join("sdk/conformance");
    let cases = measure(&bench.binary, (&folder, &fixtures), SECONDS)?;
    // The first case of each file is an ordinary call; what the cache answers is no call.
    let mut medians = BTreeMap::new();
    let mut memory = 0.0_f64;
    for case in cases.iter().filter(|case| case.cached < 0.01) {
        medians.entry(case.fixture.as_str()).or_insert(case.p50);
        memory = memory.max(case.mebibytes);
    }
    let median = |fixture: &str| medians.get(fixture).map(|time| format!("{time:.1}"));
    let mut cells = vec![language.to_owned()];
    cells.extend(ASKED.map(|(fixture, _)| median(fixture).unwrap_or_default()));
    cells.push(format!("{memory:.1}"));
    row(&cells);
    Ok(json!({"language": language, "p50_us": medians, "memory_mib": memory}))
}
