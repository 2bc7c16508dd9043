//! `osier plugin replay`: the same calls put to two versions of a plugin, and what they answer differently.

use super::fixture::{self, Case, File, Wanted};
use super::test::Trial;
use super::workbench;
use crate::arguments::{Output, Replay};
use anyhow::{Context as _, bail};
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
    let version = |file: &Path| Trial::of(&engine, file);
    let versions = [version(&arguments.before)?, version(&arguments.after)?];
    let (mut calls, mut differences) = (0, Vec::new());
    for file in &files {
        let asked = file.fixture.cases.iter().enumerate();
        for (place, case) in asked.filter(|(_, case)| case.expect.verdict != Wanted::Refuse) {
            for turn in 1..=case.repeat {
                let call = format!("{}: {} (call {turn})", file.name, case.name);
                let told = versions
                    .each_ref()
                    .map(|one| answer(one, file, place, case));
                differences.extend(compare(call, told)?);
                calls += 1;
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

/// What two versions answer to a call, if it is not the same. Where only one of them answers, that is a difference too.
fn compare(call: String, told: [anyhow::Result<String>; 2]) -> anyhow::Result<Option<Difference>> {
    let [before, after] = match told {
        // Nothing was compared, so nothing is equal.
        [Err(_), Err(error)] => {
            return Err(error.context(format!("{call}: neither version answers")));
        }
        told => told.map(|one| one.unwrap_or_else(|error| format!("{error:#}"))),
    };
    Ok((before != after).then_some(Difference {
        call,
        before,
        after,
    }))
}

/// All that others would see of an answer.
fn answer(version: &Trial, file: &File, place: usize, case: &Case) -> anyhow::Result<String> {
    let plugin = version.load(file, place, case).context("does not load")?;
    let set = version.policy(file, case, &plugin);
    let set = set.context("cannot be asked")?;
    let recorded = case.recorded()?;
    let answer = version.ask((file, case), (&set, &recorded.attributes()))?;
    Ok(answer.words())
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
