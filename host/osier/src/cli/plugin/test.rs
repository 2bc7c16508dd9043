//! `osier plugin test`: fixtures against a component, asked as a policy asks it.

pub(super) mod hooks;

use super::fixture::{self, Case, Expect, File, Wanted};
use super::{project, workbench};
use crate::arguments::{Output, Test};
use anyhow::{Context as _, bail};
use osier_policy::{
    Direction, Fault, Generated, HeaderOperation, ObjectKey, Plugin, PolicyHost, PolicySet, Scope,
    Texts, Verdict,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let trial = Trial {
        wasm: workbench::component(&engine, &file)?,
        room: workbench::room(&engine),
    };
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
    pub(super) wasm: Vec<u8>,
    /// Where it is loaded.
    pub(super) room: PolicyHost,
}

impl Trial {
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
        let hook = case.hook(file);
        let begun = Instant::now();
        for _ in 0..case.repeat {
            let attributes = recorded.attributes();
            let faults = match hook {
                Some(hook) => hooks::faults(hook, case, &set, &attributes)?,
                None => compare(&case.expect, &set.check(&SCOPE, &attributes)),
            };
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

/// What a verdict has that was not expected, in words.
fn compare(expect: &Expect, verdict: &Verdict) -> Vec<String> {
    let got = match verdict {
        Verdict::Allow(_) => Wanted::Allow,
        Verdict::Deny(denial) if denial.failed => Wanted::Fail,
        Verdict::Deny(_) => Wanted::Deny,
    };
    if got != expect.verdict {
        let why = match verdict {
            Verdict::Allow(_) => String::new(),
            Verdict::Deny(denial) => format!(" ({}: {})", denial.status, denial.reason),
        };
        return vec![format!(
            "verdict: expected {}, got {got}{why}",
            expect.verdict
        )];
    }
    let mut faults = Vec::new();
    match verdict {
        Verdict::Allow(approval) => {
            faults.extend(headers(
                "headers",
                &expect.headers,
                &after(&approval.response_headers),
            ));
            faults.extend(headers(
                "requestHeaders",
                &expect.request_headers,
                &after(&approval.request_headers),
            ));
            let told = approval.decisions.iter();
            let told = told.filter_map(|one| one.generated.as_deref());
            let told: Vec<(String, String)> = told
                .flat_map(Generated::iter)
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            faults.extend(headers("attributes", &expect.attributes, &told));
        }
        Verdict::Deny(denial) => {
            faults.extend(differs("status", expect.status.as_ref(), &denial.status));
            faults.extend(within("reason", expect.reason.as_deref(), &denial.reason));
            let body = String::from_utf8_lossy(&denial.body).into_owned();
            faults.extend(differs("body", expect.body.as_ref(), &body));
            let found = pairs(denial.headers.iter().map(|(name, value)| (name, value)));
            faults.extend(headers("headers", &expect.headers, &found));
        }
    }
    faults
}

/// Headers as pairs.
fn pairs<'a, K: ToString + 'a>(
    headers: impl IntoIterator<Item = (K, &'a http::HeaderValue)>,
) -> Vec<(String, String)> {
    let pair = |(name, value): (K, &http::HeaderValue)| (name.to_string(), text(value));
    headers.into_iter().map(pair).collect()
}

/// A fault if something is not what was wanted.
fn differs<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: Option<&T>,
    found: &T,
) -> Option<String> {
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(format!("{what}: expected {wanted:?}, got {found:?}"))
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The headers that operations leave behind.
pub(super) fn after(operations: &[HeaderOperation]) -> Vec<(String, String)> {
    let mut left: Vec<(String, String)> = Vec::new();
    for operation in operations {
        match operation {
            HeaderOperation::Set(name, value) => {
                left.retain(|(known, _)| known != name.as_str());
                left.push((name.to_string(), text(value)));
            }
            HeaderOperation::Append(name, value) => left.push((name.to_string(), text(value))),
            HeaderOperation::Remove(name) => left.retain(|(known, _)| known != name.as_str()),
        }
    }
    left
}

fn headers<'a>(
    what: &'a str,
    expected: &'a std::collections::BTreeMap<String, Option<String>>,
    found: &'a [(String, String)],
) -> impl Iterator<Item = String> + 'a {
    expected.iter().filter_map(move |(name, wanted)| {
        let got = found
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let fits = match (wanted.as_deref(), got) {
            (None, got) => got.is_none(),
            (Some("*"), got) => got.is_some(),
            (Some(wanted), got) => got.is_some_and(|got| got == wanted),
        };
        (!fits).then(|| {
            format!(
                "{what}.{name}: expected {}, got {}",
                quoted(wanted.as_ref()),
                quoted(got)
            )
        })
    })
}

fn quoted(value: Option<&String>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

fn within(what: &str, wanted: Option<&str>, found: &str) -> Option<String> {
    let wanted = wanted?;
    (!found.contains(wanted)).then(|| format!("{what}: expected {wanted:?} in {found:?}"))
}
