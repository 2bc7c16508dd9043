//! Traffic for people to look at: what each second of a load brought, as a small table.

use osier_tests::load::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Something that happened while traffic flowed.
pub(crate) struct Mark {
    /// When, on the load's clock.
    pub(crate) at: Duration,
    /// What, in a few words.
    pub(crate) what: &'static str,
}

/// One line per second: a count per status, and what happened in that second.
pub(crate) fn table(outcome: &Outcome, marks: &[Mark]) -> String {
    let seconds = outcome.by_second();
    let statuses: BTreeSet<u16> = seconds
        .iter()
        .flat_map(|second| second.keys().copied())
        .collect();
    let mut table = String::from("      second");
    for status in &statuses {
        table.push_str(&format!("{:>8}", name(*status)));
    }
    table.push('\n');
    for (index, second) in seconds.iter().enumerate() {
        table.push_str(&line(index, second, &statuses, marks));
    }
    table
}

fn line(
    index: usize,
    second: &BTreeMap<u16, usize>,
    statuses: &BTreeSet<u16>,
    marks: &[Mark],
) -> String {
    let mut line = format!("      {:>6}", index + 1);
    for status in statuses {
        line.push_str(&format!(
            "{:>8}",
            second.get(status).copied().unwrap_or_default()
        ));
    }
    let happened: Vec<&str> = marks
        .iter()
        .filter(|mark| mark.at.as_secs() == index as u64)
        .map(|mark| mark.what)
        .collect();
    if !happened.is_empty() {
        line.push_str(&format!("   <- {}", happened.join(", ")));
    }
    line.push('\n');
    line
}

fn name(status: u16) -> String {
    if status == 0 {
        "failed".to_owned()
    } else {
        status.to_string()
    }
}
