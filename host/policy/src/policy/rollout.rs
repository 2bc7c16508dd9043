//! A canary: a part of the calls asks another version of the policy's plugin, until it does worse than it may. No call pays for it: where the
//! canary gives no answer, the plugin itself is asked.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};

use super::compile::Compiler;
use super::outputs::Names;
use super::{Action, CompiledPolicy, Missing, Told};
use crate::fault::Fault;
use crate::hook::Step;
use crate::plugin::{Asked, Binding, Plugin, Unanswered};
use osier_expressions::Attributes;
use osier_expressions::nanoseconds;

/// So many of the newest calls are judged.
const KEPT: usize = 500;
/// With fewer calls nothing is said of the share of those that failed ...
const FEWEST: usize = 20;
/// ... and with fewer than these nothing of the slowest hundredth.
const FEWEST_FOR_P99: usize = 100;
/// The slowest hundredth is looked for once in so many calls: it takes sorting.
const EVERY: usize = 20;

/// How a rollout goes on this node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RolloutState<'a> {
    /// The canary gets its part of the calls.
    Progressing {
        /// `NAMESPACE/NAME` of the canary.
        plugin: &'a str,
        /// How large a part.
        percent: u64,
    },
    /// It gets none any more.
    Stopped {
        /// What it did worse than it may.
        reason: &'a str,
    },
    /// It cannot be asked.
    Unavailable {
        /// Why not.
        reason: &'a str,
    },
}

/// Another version of the plugin.
#[derive(Debug)]
pub(crate) struct Rollout {
    plugin: Arc<str>,
    percent: u64,
    /// By the place of the action that each stands in for.
    bindings: Vec<(usize, Binding)>,
    bounds: Bounds,
    recent: Mutex<VecDeque<Call>>,
    stopped: OnceLock<String>,
    missing: Option<String>,
}

/// What stops it.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    /// A share of failed calls above this one.
    error_rate: Option<f64>,
    /// A slowest hundredth above this time.
    p99: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    took: Duration,
    failed: bool,
}

impl Rollout {
    /// Reads `spec.rollout`.
    pub(super) fn compile(
        compiler: &Compiler<'_>,
        root: &Map<String, Json>,
        (actions, steps): (&[Action], &[Step]),
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let rollout = root.get("rollout").filter(|rollout| !rollout.is_null())?;
        let fault = |detail: String| Fault::new("spec.rollout", detail);
        let name = rollout["plugin"].as_str().unwrap_or_default();
        let asked = match stood_in_for(actions, steps) {
            Ok(asked) => asked,
            Err(detail) => {
                faults.push(fault(detail.to_owned()));
                return None;
            }
        };
        let mut own = Self {
            plugin: name.into(),
            percent: rollout["percent"].as_u64().unwrap_or_default().min(100),
            bindings: Vec::new(),
            bounds: bounds(&rollout["abortOn"], faults),
            recent: Mutex::default(),
            stopped: OnceLock::new(),
            missing: None,
        };
        match (compiler.plugin_of)(name) {
            Ok(canary) if is_asked(actions, &canary) => {
                let detail = "is the plugin that the actions ask; name another version of it";
                faults.push(Fault::new("spec.rollout.plugin", detail));
            }
            Ok(canary) => {
                own.plugin = canary.label().clone();
                match stand_ins(compiler, root, (actions, &asked), &canary) {
                    Ok(bindings) => own.bindings = bindings,
                    Err(detail) => faults.push(Fault::new("spec.rollout.plugin", detail)),
                }
            }
            Err(Missing::Fault(detail)) => faults.push(Fault::new("spec.rollout.plugin", detail)),
            Err(Missing::Unavailable(missing)) => {
                own.missing = Some(format!(
                    "plugin {name}: {}; all calls go to the other",
                    missing.reason
                ));
            }
        }
        Some(own)
    }

    /// What is asked in place of an action, if it is this call's turn: always the same for all tries of a request.
    fn turn(&self, place: usize, request_id: &str) -> Option<&Binding> {
        let (_, binding) = self.bindings.iter().find(|(own, _)| *own == place)?;
        let turn = self.stopped.get().is_none() && share(request_id) < self.percent;
        turn.then_some(binding)
    }

    /// Remembers how a call went; stops the rollout if that was one too many.
    fn record(&self, policy: &str, call: Call) {
        let mut recent = self.recent.lock();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(call);
        let Some(reason) = judged(self.bounds, recent.make_contiguous()) else {
            return;
        };
        drop(recent);
        if self.stopped.set(reason.clone()).is_ok() {
            tracing::warn!(policy, plugin = %self.plugin, reason, "a rollout is stopped");
        }
    }
}

impl CompiledPolicy {
    /// How the rollout of another version of its plugin goes; none if there is none.
    pub fn rollout(&self) -> Option<RolloutState<'_>> {
        let rollout = self.rollout.as_ref()?;
        Some(match (&rollout.missing, rollout.stopped.get()) {
            (Some(reason), _) => RolloutState::Unavailable { reason },
            (None, Some(reason)) => RolloutState::Stopped { reason },
            (None, None) => RolloutState::Progressing {
                plugin: &rollout.plugin,
                percent: rollout.percent,
            },
        })
    }

    /// Gives the canary no more calls, because of what was seen elsewhere.
    pub fn stop_rollout(&self, reason: &str) {
        if let Some(rollout) = &self.rollout {
            let _first_reason_stays = rollout.stopped.set(reason.to_owned());
        }
    }

    /// Asks the plugin of an action, or the canary in its place; says which of them answered.
    pub(super) fn asked<'a>(
        &'a self,
        (place, binding): (usize, &'a Binding),
        attributes: &'a Attributes<'a>,
    ) -> (&'a Binding, Result<Asked, Unanswered>) {
        let turn = self.rollout.as_ref().and_then(|rollout| {
            let canary = rollout.turn(place, attributes.request.id)?;
            Some((rollout, canary))
        });
        let Some((rollout, canary)) = turn else {
            return (binding, binding.ask(attributes));
        };
        match canary.ask(attributes) {
            Ok(asked) => {
                if !asked.cached {
                    let call = Call {
                        took: asked.took,
                        failed: false,
                    };
                    rollout.record(&self.label, call);
                }
                (canary, Ok(asked))
            }
            Err(Unanswered(reason)) => {
                canary.verdicts.failed.inc();
                tracing::debug!(policy = %self.label, plugin = %rollout.plugin, reason, "the canary gave no answer");
                let call = Call {
                    took: Duration::ZERO,
                    failed: true,
                };
                rollout.record(&self.label, call);
                (binding, binding.ask(attributes))
            }
        }
    }
}

fn is_asked(actions: &[Action], canary: &Arc<Plugin>) -> bool {
    let same = |action: &Action| matches!(action, Action::Ask(binding, _) if Arc::ptr_eq(binding.plugin(), canary));
    actions.iter().any(same)
}

/// The places of the actions that a canary answers in place of their plugin, which must be one.
fn stood_in_for(actions: &[Action], steps: &[Step]) -> Result<Vec<usize>, &'static str> {
    if !steps.is_empty() {
        return Err("goes with templates that are asked; hooks have no canary in this version");
    }
    let (mut places, mut plugins) = (Vec::new(), Vec::new());
    for (place, action) in actions.iter().enumerate() {
        match action {
            Action::Ask(binding, _) => {
                places.push(place);
                plugins.push(binding.plugin().label());
            }
            Action::Unavailable { plugin, .. } => plugins.push(plugin),
            Action::Tell(_) => {}
        }
    }
    plugins.dedup();
    match plugins.len() {
        0 => Err("goes with templates that are asked; nobody waits for a report"),
        1 => Ok(places),
        _ => Err(
            "is for one plugin, and the policy asks several; give what is rolled out a policy of its own",
        ),
    }
}

/// The same actions, answered by the canary.
fn stand_ins(
    compiler: &Compiler<'_>,
    root: &Map<String, Json>,
    (actions, places): (&[Action], &[usize]),
    canary: &Arc<Plugin>,
) -> Result<Vec<(usize, Binding)>, String> {
    let everybody = |_: &str| Ok(canary.clone());
    let compiler = Compiler {
        plugin_of: &everybody,
        ..*compiler
    };
    let (mut names, mut faults) = (Names::new(compiler.vocabulary), Vec::new());
    let others = compiler.actions(root.get("actions"), &mut names, &mut faults);
    let others = others.actions;
    if let Some(fault) = faults.first() {
        return Err(format!("cannot answer in place of the other: {fault}"));
    }
    let asked = others
        .into_iter()
        .enumerate()
        .filter_map(|(place, action)| match action {
            Action::Ask(binding, told) => Some((place, binding, told)),
            _ => None,
        });
    let mut bindings = Vec::new();
    for (place, binding, told) in asked {
        match actions.get(place) {
            Some(Action::Ask(_, own))
                if places.contains(&place) && same(own.as_ref(), told.as_ref()) =>
            {
                bindings.push((place, *binding));
            }
            _ => {
                return Err(format!(
                    "tells other things than the other in actions[{place}]"
                ));
            }
        }
    }
    Ok(bindings)
}

fn same(own: Option<&Told>, other: Option<&Told>) -> bool {
    match (own, other) {
        (None, None) => true,
        (Some(own), Some(other)) => own.first == other.first && own.fields == other.fields,
        _ => false,
    }
}

/// `abortOn`.
fn bounds(given: &Json, faults: &mut Vec<Fault>) -> Bounds {
    let text = |field: &str| given[field].as_str();
    let mut read = |field: &str, words: &str| {
        faults.push(Fault::new(format!("spec.rollout.abortOn.{field}"), words));
    };
    let rate = text("errorRate").map(|text| {
        let number = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        number.filter(|number| (0.0..=100.0).contains(number))
    });
    if rate == Some(None) {
        read("errorRate", "must be a share such as 1%");
    }
    let p99 = text("p99").map(|text| nanoseconds(text).and_then(|nanos| u64::try_from(nanos).ok()));
    if p99 == Some(None) {
        read("p99", "must be a duration such as 2ms");
    }
    Bounds {
        error_rate: rate.flatten().map(|percent| percent / 100.0),
        p99: p99.flatten().map(Duration::from_nanos),
    }
}

/// Where a request stands between 0 and 99: FNV-1a of its id.
fn share(request_id: &str) -> u64 {
    let hash = request_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // The low bits alone would follow the last letter.
    (hash ^ (hash >> 32)) % 100
}

/// Why the rollout must stop, if it must.
fn judged(bounds: Bounds, recent: &[Call]) -> Option<String> {
    let calls = recent.len();
    let failed = recent.iter().filter(|call| call.failed).count();
    if let Some(most) = bounds.error_rate
        && calls >= FEWEST
        && failed as f64 > most * calls as f64
    {
        let most = most * 100.0;
        return Some(format!(
            "{failed} of the last {calls} calls failed, more than {most}%"
        ));
    }
    let most = bounds.p99?;
    if calls < FEWEST_FOR_P99 || !calls.is_multiple_of(EVERY) {
        return None;
    }
    let mut times: Vec<Duration> = recent.iter().map(|call| call.took).collect();
    times.sort_unstable();
    let slowest = *times.get((calls * 99).div_ceil(100).saturating_sub(1))?;
    (slowest > most)
        .then(|| format!("p99 of the last {calls} calls is {slowest:.1?}, more than {most:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(count: usize, failed: usize, took: Duration) -> Vec<Call> {
        let call = |place| Call {
            took,
            failed: place < failed,
        };
        (0..count).map(call).collect()
    }

    #[test]
    fn a_part_of_the_calls_is_a_part_of_the_calls() {
        let hit = |percent: u64| {
            let ids = (0..10_000).map(|number| format!("8f2e-{number:04x}-{}", number * 7919));
            ids.filter(|id| share(id) < percent).count()
        };
        assert_eq!((hit(0), hit(100)), (0, 10_000));
        assert!((350..=650).contains(&hit(5)), "{}", hit(5));
        assert!((4_700..=5_300).contains(&hit(50)), "{}", hit(50));
    }

    #[test]
    fn too_many_failures_stop_it_and_few_calls_do_not() {
        let bounds = Bounds {
            error_rate: Some(0.05),
            p99: None,
        };
        let quick = Duration::from_micros(10);
        assert_eq!(judged(bounds, &calls(19, 19, quick)), None);
        assert_eq!(judged(bounds, &calls(100, 5, quick)), None);
        let told = judged(bounds, &calls(100, 6, quick));
        assert_eq!(
            told.as_deref(),
            Some("6 of the last 100 calls failed, more than 5%")
        );
        assert_eq!(judged(Bounds::default(), &calls(100, 100, quick)), None);
    }

    #[test]
    fn a_slow_hundredth_stops_it() {
        let bounds = Bounds {
            error_rate: None,
            p99: Some(Duration::from_millis(2)),
        };
        let slow = Duration::from_millis(3);
        let mixed = |slow_ones: usize| {
            let mut all = calls(200 - slow_ones, 0, Duration::from_micros(50));
            all.extend(calls(slow_ones, 0, slow));
            judged(bounds, &all)
        };
        assert_eq!(mixed(2), None);
        let told = mixed(3);
        assert_eq!(
            told.as_deref(),
            Some("p99 of the last 200 calls is 3.0ms, more than 2ms")
        );
        assert_eq!(judged(bounds, &calls(99, 0, slow)), None);
    }
}
