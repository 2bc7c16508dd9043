//! `osier plugin test`: fixtures against a component, asked as a policy asks it.

use super::answer::{Answer, within};
use super::fixture::{self, Case, Expect, File, Wanted};
use super::{project, workbench};
use crate::arguments::{Output, Test};
use anyhow::{Context as _, bail};
use osier_engine::Engine;
use osier_policy::{
    Attributes, Direction, Fault, ObjectKey, Plugin, PolicyHost, PolicySet, Scope, Texts,
};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How one case went.
struct Outcome {
    fixture: String,
    case: String,
    /// Of one question, the mean.
    took: Duration,
    /// What is not as expected; empty is well.
    faults: Vec<String>,
}

/// Runs fixtures.
pub(super) fn run(arguments: &Test) -> anyhow::Result<()> {
    let (file, fixtures) = project::component(&arguments.plugin, &arguments.fixtures)?;
    let files = fixture::read(&fixtures)?;
    let engine = workbench::engine(arguments.data_dir.as_deref())?;
    let trial = Trial::of(&engine, &file)?;
    let outcomes: Vec<Outcome> = files.iter().flat_map(|file| trial.file(file)).collect();
    show(&outcomes, arguments.output)?;
    let failed = outcomes
        .iter()
        .filter(|outcome| !outcome.faults.is_empty())
        .count();
    if failed > 0 {
        bail!("{failed} of {} cases failed", outcomes.len());
    }
    Ok(())
}

fn show(outcomes: &[Outcome], output: Option<Output>) -> anyhow::Result<()> {
    if output == Some(Output::Json) {
        let row = |outcome: &Outcome| {
            json!({
                "fixture": outcome.fixture, "case": outcome.case, "ok": outcome.faults.is_empty(),
                "faults": outcome.faults, "microseconds": outcome.took.as_secs_f64() * 1e6,
            })
        };
        println!(
            "{}",
            serde_json::to_string_pretty(&outcomes.iter().map(row).collect::<Vec<_>>())?
        );
        return Ok(());
    }
    for outcome in outcomes {
        let ok = outcome.faults.is_empty();
        let word = workbench::coloured(if ok { "ok  " } else { "FAIL" }, ok);
        println!(
            "{word} {}: {} ({:.0} µs)",
            outcome.fixture,
            outcome.case,
            outcome.took.as_secs_f64() * 1e6
        );
        outcome
            .faults
            .iter()
            .for_each(|fault| println!("       {fault}"));
    }
    println!("{} cases", outcomes.len());
    Ok(())
}

/// A component under test.
pub(super) struct Trial {
    /// Its bytes.
    wasm: Vec<u8>,
    /// Where it is loaded.
    room: PolicyHost,
    /// Where those run that take their time.
    runtime: Runtime,
}

impl Trial {
    /// Reads and compiles a component.
    pub(super) fn of(engine: &Engine, file: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the asynchronous runtime did not start")?;
        Ok(Self {
            wasm: workbench::component(engine, file)?,
            room: workbench::room(engine),
            runtime,
        })
    }

    /// Asks what a case asks.
    pub(super) fn ask(
        &self,
        (file, case): (&File, &Case),
        asked: (&PolicySet, &Attributes<'_>),
    ) -> anyhow::Result<Answer> {
        Answer::to((case, case.hook(file)), asked, &self.runtime)
    }

    fn file(&self, file: &File) -> Vec<Outcome> {
        let outcome = |(place, case): (usize, &Case)| {
            let (took, faults) = match self.case(file, place, case) {
                Ok((took, faults)) => (took / case.repeat, faults),
                Err(error) => (Duration::ZERO, vec![error.to_string()]),
            };
            Outcome {
                fixture: file.name.clone(),
                case: case.name.clone(),
                took,
                faults,
            }
        };
        file.fixture.cases.iter().enumerate().map(outcome).collect()
    }

    /// How long the questions took, and what is not as expected.
    fn case(
        &self,
        file: &File,
        place: usize,
        case: &Case,
    ) -> anyhow::Result<(Duration, Vec<String>)> {
        let loaded = self.load(file, place, case);
        if case.expect.verdict == Wanted::Refuse {
            return Ok((Duration::ZERO, refusal(&case.expect, loaded)));
        }
        let set = self.policy(file, case, &loaded?)?;
        let recorded = case.recorded()?;
        let begun = Instant::now();
        for _ in 0..case.repeat {
            let answer = self.ask((file, case), (&set, &recorded.attributes()))?;
            let faults = answer.faults(&case.expect);
            if !faults.is_empty() {
                return Ok((begun.elapsed(), faults));
            }
        }
        Ok((begun.elapsed(), Vec::new()))
    }

    /// The plugin of a case. Cases of one file share it, and so its counters, unless one has a configuration of its own.
    pub(super) fn load(
        &self,
        file: &File,
        place: usize,
        case: &Case,
    ) -> anyhow::Result<Arc<Plugin>> {
        let mut spec = file.fixture.plugin.clone();
        let mut name = file.name.clone();
        if let Some(config) = &case.config {
            spec.insert("config".into(), config.clone());
            name = format!("{name}-{place}");
        }
        spec.insert("image".into(), "file:///tested.wasm".into());
        let _within = self.runtime.enter();
        Ok(self.room.load(
            &ObjectKey::new("default", name),
            &Value::Object(spec),
            &self.wasm,
        )?)
    }

    /// A set with the one policy that a case is about.
    pub(super) fn policy(
        &self,
        file: &File,
        case: &Case,
        plugin: &Arc<Plugin>,
    ) -> anyhow::Result<PolicySet> {
        let mut action: Map<String, Value> = case
            .action
            .clone()
            .or_else(|| file.fixture.action.clone())
            .context("no action")?;
        action.insert("plugin".into(), plugin.key().name.clone().into());
        let mut spec = json!({"actions": [action]});
        if let Some(matched) = &file.fixture.matched {
            spec["match"] = matched.as_str().into();
        }
        let key = ObjectKey::new("default", &file.name);
        let manifest = json!({"attributes": file.fixture.manifest});
        let (room, faults) = self.room.knowing([("manifest", &manifest)]);
        if let Some((_, fault)) = faults.first() {
            bail!("manifest: {fault}");
        }
        let policy = room.check_policy(&key, &spec, &|_| Some(plugin.clone()));
        let policy = policy.map_err(|faults| anyhow::anyhow!(words(&faults)))?;
        let set = PolicySet::new(vec![Arc::new(policy)], "osier-system");
        if set.has_reports() {
            bail!(
                "a report answers nothing that a fixture could expect; test the trait with `cargo test`"
            );
        }
        Ok(set)
    }
}

/// The place that a fixture's policy is about: everything in its namespace.
pub(super) const SCOPE: Scope<'static> = Scope {
    direction: Direction::Inbound,
    namespace: "default",
    service: None,
    gateway: None,
    gateways: &[],
    labels: Texts::Empty,
    generated: None,
};

fn words(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A configuration that should be refused.
fn refusal(expect: &Expect, loaded: anyhow::Result<Arc<Plugin>>) -> Vec<String> {
    match loaded {
        Ok(_) => vec!["the plugin loads, but its configuration should be refused".to_owned()],
        Err(error) => within("reason", expect.reason.as_deref(), &error.to_string())
            .into_iter()
            .collect(),
    }
}
