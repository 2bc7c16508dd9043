//! `osier plugin replay`: the same calls put to two versions of a plugin, and what they answer differently.

use super::fixture::{self, Case, File, Wanted};
use super::test::{SCOPE, Trial, after};
use super::workbench;
use crate::arguments::{Output, Replay};
use anyhow::bail;
use osier_policy::Verdict;
use serde_json::json;
use std::path::Path;

/// One call that the two answer differently.
struct Difference {
    call: String,
    before: String,
    after: String,
}

/// Replays fixtures; what they expect is not looked at.
pub(super) fn run(arguments: &Replay) -> anyhow::Result<()> {
    let files = fixture::read(&arguments.fixtures)?;
    let engine = workbench::engine(arguments.data_dir.as_deref())?;
    let version = |file: &Path| -> anyhow::Result<Trial> {
        Ok(Trial {
            wasm: workbench::component(&engine, file)?,
            room: workbench::room(&engine),
        })
    };
    let versions = [version(&arguments.before)?, version(&arguments.after)?];
    let (mut calls, mut differences) = (0, Vec::new());
    for file in &files {
        let asked = file.fixture.cases.iter().enumerate();
        for (place, case) in asked.filter(|(_, case)| case.expect.verdict != Wanted::Refuse) {
            for turn in 1..=case.repeat {
                let [before, after] =
                    [0, 1].map(|which: usize| answer(&versions[which], file, place, case));
                calls += 1;
                if before != after {
                    let call = format!("{}: {} (call {turn})", file.name, case.name);
                    differences.push(Difference {
                        call,
                        before,
                        after,
                    });
                }
            }
        }
    }
    show(&differences, calls, arguments.output)?;
    if !differences.is_empty() {
        bail!(
            "{} of {calls} calls are answered differently",
            differences.len()
        );
    }
    Ok(())
}

/// All that a caller and the called service would see of a verdict.
fn answer(version: &Trial, file: &File, place: usize, case: &Case) -> String {
    let asked = || -> anyhow::Result<String> {
        let plugin = version.load(file, place, case)?;
        if let Some(hook) = case.hook(file) {
            bail!("hook {hook}: only templates are replayed; `osier plugin test` asks hooks");
        }
        let set = version.policy(file, case, &plugin)?;
        Ok(words(&set.check(&SCOPE, &case.recorded()?.attributes())))
    };
    asked().unwrap_or_else(|error| format!("does not load: {error}"))
}

fn words(verdict: &Verdict) -> String {
    let pairs = |headers: &[(String, String)]| -> String {
        headers
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect()
    };
    match verdict {
        Verdict::Allow(approval) => format!(
            "allow, request:{}, response:{}",
            pairs(&after(&approval.request_headers)),
            pairs(&after(&approval.response_headers))
        ),
        Verdict::Deny(denial) if denial.failed => format!("fail: {}", denial.reason),
        Verdict::Deny(denial) => {
            let headers: Vec<(String, String)> = denial
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect();
            format!(
                "deny {} ({}),{} body {:?}",
                denial.status,
                denial.reason,
                pairs(&headers),
                String::from_utf8_lossy(&denial.body)
            )
        }
    }
}

fn show(differences: &[Difference], calls: u64, output: Option<Output>) -> anyhow::Result<()> {
    if output == Some(Output::Json) {
        let row = |found: &Difference| json!({"call": found.call, "before": found.before, "after": found.after});
        let rows: Vec<_> = differences.iter().map(row).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"calls": calls, "differences": rows}))?
        );
        return Ok(());
    }
    for found in differences {
        println!(
            "{}\n  {}\n  {}",
            found.call,
            workbench::coloured(&format!("- {}", found.before), false),
            workbench::coloured(&format!("+ {}", found.after), true)
        );
    }
    println!("{calls} calls, {} differences", differences.len());
    Ok(())
}
