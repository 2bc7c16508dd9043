//! `osier plugin bench`: what a call costs, measured on this machine with the cases of the fixtures.

use super::fixture::{self, Case, File, Wanted};
use super::test::Trial;
use super::{inspect, project, workbench};
use crate::arguments::{Bench, Output};
use anyhow::bail;
use osier_policy::{Attributes, PluginStatus, PolicySet, Rehearsal};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Calls before measuring: instances, caches and branch predictors are warm then.
const WARM_UP: u32 = 50;
/// Most calls whose times are kept for one case; beyond that only their number counts.
const MOST_TIMES: usize = 1 << 20;

/// How often expressions are computed in one batch, and how many batches there are.
const BATCH: u32 = 1000;
const BATCHES: u32 = 30;

/// What was measured of one case.
struct Measured {
    name: String,
    calls: u64,
    took: Duration,
    /// In nanoseconds, sorted.
    times: Vec<u64>,
    /// Answered by the check cache, not by the plugin.
    cached: u64,
    /// Linear memory of the instances, in bytes.
    memory: u64,
    /// What `match` and `fields` take, in nanoseconds; none of a hook.
    fields: Option<f64>,
}

/// Measures every case that is answered.
pub(super) fn run(arguments: &Bench) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!(
            "osier: this binary is built without optimisations; the figures are higher than those of a release"
        );
    }
    let (file, fixtures) = project::component(&arguments.plugin, &arguments.fixtures)?;
    let files = fixture::read(&fixtures)?;
    let engine = workbench::engine(arguments.data_dir.as_deref())?;
    let trial = Trial::of(&engine, &file)?;
    let asked = |case: &Case| matches!(case.expect.verdict, Wanted::Allow | Wanted::Deny);
    let all = files
        .iter()
        .flat_map(|file| file.fixture.cases.iter().map(move |case| (file, case)));
    let cases: Vec<(&File, &Case)> = all.filter(|(_, case)| asked(case)).collect();
    if cases.is_empty() {
        bail!("no case of the fixtures expects allow or deny, so there is nothing to measure");
    }
    let each = Duration::from_secs_f64(arguments.seconds) / u32::try_from(cases.len())?;
    let measured = cases
        .iter()
        .map(|(file, case)| measure(&trial, file, case, each));
    show(
        &measured.collect::<anyhow::Result<Vec<_>>>()?,
        arguments.output,
    )
}

fn measure(trial: &Trial, file: &File, case: &Case, time: Duration) -> anyhow::Result<Measured> {
    let plugin = trial.load(file, 0, case)?;
    let set = trial.policy(file, case, &plugin)?;
    let recorded = case.recorded()?;
    let attributes = recorded.attributes();
    let ask = || trial.ask((file, case), (&set, &attributes)).map(drop);
    for _ in 0..WARM_UP {
        ask()?;
    }
    let before: PluginStatus = plugin.status();
    let (begun, mut calls, mut times) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < time {
        let start = Instant::now();
        ask()?;
        let took = start.elapsed();
        calls += 1;
        if times.len() < MOST_TIMES {
            times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    times.sort_unstable();
    let after = plugin.status();
    Ok(Measured {
        name: format!("{}: {}", file.name, case.name),
        calls,
        took: begun.elapsed(),
        times,
        cached: after.cache_hits - before.cache_hits,
        memory: after.memory,
        fields: case
            .hook(file)
            .is_none()
            .then(|| fields(&set, &attributes))
            .transpose()?,
    })
}

/// What the host needs to compute `match` and `fields` of one check: the best of some batches, which is what the machine's noise leaves over.
fn fields(set: &PolicySet, attributes: &Attributes<'_>) -> anyhow::Result<f64> {
    let (mut kept, mut best) = (Rehearsal::default(), Duration::MAX);
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..BATCH {
            set.rehearse(black_box(attributes), &mut kept)?;
        }
        best = best.min(begun.elapsed());
    }
    Ok(best.as_nanos() as f64 / f64::from(BATCH))
}

impl Measured {
    fn rate(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time that `share` of the calls do not exceed, in microseconds.
    fn within(&self, share: f64) -> f64 {
        let at = (self.times.len() as f64 * share) as usize;
        let time = self.times.get(at.min(self.times.len().saturating_sub(1)));
        time.map_or(0.0, |nanos| *nanos as f64 / 1000.0)
    }

    fn as_json(&self) -> Value {
        json!({
            "case": self.name, "calls": self.calls, "callsPerSecond": self.rate(), "cached": self.cached, "memory": self.memory,
            "microseconds": {"p50": self.within(0.5), "p99": self.within(0.99)}, "fieldsNanoseconds": self.fields,
        })
    }
}

fn show(measured: &[Measured], output: Option<Output>) -> anyhow::Result<()> {
    if output == Some(Output::Json) {
        let rows: Vec<Value> = measured.iter().map(Measured::as_json).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let width = measured
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0);
    println!(
        "{:width$}   {:>10}   {:>8}   {:>8}   {:>9}   {:>7}   {:>9}",
        "CASE", "CALLS/S", "P50 µs", "P99 µs", "FIELDS ns", "CACHED", "MEMORY"
    );
    for row in measured {
        let cached = format!(
            "{:.0}%",
            100.0 * row.cached as f64 / row.calls.max(1) as f64
        );
        let memory = inspect::bytes(row.memory);
        let fields = row
            .fields
            .map_or_else(String::new, |nanos| format!("{nanos:.0}"));
        println!(
            "{:width$}   {:>10.0}   {:>8.1}   {:>8.1}   {fields:>9}   {cached:>7}   {memory:>9}",
            row.name,
            row.rate(),
            row.within(0.5),
            row.within(0.99)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_off_sorted_times() {
        let measured = Measured {
            name: String::new(),
            calls: 100,
            took: Duration::from_secs(2),
            times: (1..=100).map(|n| n * 1000).collect(),
            cached: 0,
            memory: 0,
            fields: None,
        };
        assert!((measured.rate() - 50.0).abs() < 1e-9);
        assert!(
            (measured.within(0.5) - 51.0).abs() < 1e-9
                && (measured.within(0.99) - 100.0).abs() < 1e-9
        );
        assert!((measured.within(1.0) - 100.0).abs() < 1e-9);
    }
}
