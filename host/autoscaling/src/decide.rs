//! How many replicas a target shall have, and what is told about it. Pure, but for the history that it is given.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::{Value, json};

use crate::behavior::{History, Limit};
use crate::metrics::{Proposal, Sample, Silence, propose};
use crate::wanted::Wanted;

/// What is known when it is decided.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// `spec.replicas` of the target.
    pub current: u32,
    /// Its pods, apart from those that leave or have ended.
    pub pods: &'a [Sample],
    /// Requests in a second to Services, by name, as far as they are known.
    pub services: &'a HashMap<String, f64>,
    /// Calls that wait for a pod of the target.
    pub held: u32,
    /// The time.
    pub now: Timestamp,
}

/// What to do, and what to report.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The target gets this many, for this reason; `None` if it has them.
    pub rescale: Option<(u32, String)>,
    /// To be merged into the status.
    pub status: Value,
    /// Warnings: reason and words.
    pub warnings: Vec<(&'static str, String)>,
}

/// A condition: type, status, reason, message.
type Told = (&'static str, bool, &'static str, String);

/// The number before rules and bounds, and why.
struct Wish {
    desired: u32,
    why: String,
}

/// Decides about one HorizontalPodAutoscaler.
pub fn decide(hpa: &Object, scene: &Scene<'_>, history: &mut History) -> Plan {
    let wanted = Wanted::of(hpa);
    let mut told: Vec<Told> = vec![able(
        "SucceededGetScale",
        "the HPA controller was able to get the target's current scale",
    )];
    let (mut warnings, mut current_metrics) = (Vec::new(), Vec::new());
    let current = scene.current;
    let desired = if current == 0 && wanted.min > 0 {
        let words = "scaling is disabled since the replica count of the target is zero";
        told.push(("ScalingActive", false, "ScalingDisabled", words.to_owned()));
        None
    } else {
        let wish = outside(&wanted, scene).or_else(|| {
            let asked = measured(&wanted, scene, &mut current_metrics);
            active(asked, &mut told, &mut warnings)
        });
        wish.map(|wish| settled(&wanted, scene, wish, (history, &mut told)))
    };
    let rescale = desired.filter(|(desired, _)| *desired != current);
    if let Some((to, _)) = &rescale {
        history.note(scene.now, current, *to);
        let words = format!("the HPA controller was able to update the target scale to {to}");
        told[0] = able("SucceededRescale", &words);
    }
    let mut status = json!({
        "observedGeneration": hpa.generation(),
        "currentReplicas": current,
        "desiredReplicas": rescale.as_ref().map_or(current, |(to, _)| *to),
        "currentMetrics": (!current_metrics.is_empty()).then_some(current_metrics),
        "conditions": conditions(hpa, &told, scene.now),
    });
    if rescale.is_some() {
        status["lastScaleTime"] = time(scene.now).into();
    }
    Plan {
        rescale,
        status,
        warnings,
    }
}

/// Tells whether the metrics said anything.
fn active(
    asked: Result<(Wish, String), Silence>,
    told: &mut Vec<Told>,
    warnings: &mut Vec<Silence>,
) -> Option<Wish> {
    const KIND: &str = "ScalingActive";
    match asked {
        Ok((wish, name)) => {
            let words =
                format!("the HPA was able to successfully calculate a replica count from {name}");
            told.push((KIND, true, "ValidMetricFound", words));
            Some(wish)
        }
        Err((reason, words)) => {
            let message = format!("the HPA was unable to compute the replica count: {words}");
            told.push((KIND, false, reason, message));
            warnings.push((reason, words));
            None
        }
    }
}

fn able(reason: &'static str, words: &str) -> Told {
    ("AbleToScale", true, reason, words.to_owned())
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What needs no metric: a number outside the bounds, and a target that sleeps or is to wake.
fn outside(wanted: &Wanted, scene: &Scene<'_>) -> Option<Wish> {
    let wish = |desired: u32, why: &str| {
        Some(Wish {
            desired,
            why: why.to_owned(),
        })
    };
    match scene.current {
        0 if scene.held > 0 => wish(1, "calls wait for a pod"),
        0 => wish(0, ""),
        current if current > wanted.max => wish(
            wanted.max,
            "Current number of replicas above Spec.MaxReplicas",
        ),
        current if current < wanted.min => wish(
            wanted.min,
            "Current number of replicas below Spec.MinReplicas",
        ),
        _ => None,
    }
}

/// The greatest of what the metrics propose. Where one says nothing, no fewer than there are.
fn measured(
    wanted: &Wanted,
    scene: &Scene<'_>,
    current_metrics: &mut Vec<Value>,
) -> Result<(Wish, String), Silence> {
    let mut best: Option<Proposal> = None;
    let mut silent = None;
    for metric in &wanted.metrics {
        let known = (scene.pods, scene.services);
        match propose(metric, wanted, scene.current, known) {
            Ok(proposal) => {
                current_metrics.push(proposal.status.clone());
                if best
                    .as_ref()
                    .is_none_or(|best| best.replicas < proposal.replicas)
                {
                    best = Some(proposal);
                }
            }
            Err(silence) => silent = silent.or(Some(silence)),
        }
    }
    let none = || {
        (
            "InvalidMetricSourceType",
            "no metric is asked for".to_owned(),
        )
    };
    let best = match (best, silent) {
        (Some(best), Some(silent)) if best.replicas < scene.current => return Err(silent),
        (Some(best), _) => best,
        (None, silent) => return Err(silent.unwrap_or_else(none)),
    };
    let why = match best.replicas > scene.current {
        true => format!("{} above target", best.name),
        false => "All metrics below target".to_owned(),
    };
    // While calls wait nobody goes to sleep.
    let desired = best.replicas.max(u32::from(scene.held > 0));
    Ok((Wish { desired, why }, best.name))
}

/// The number after stabilization, rates and bounds.
fn settled(
    wanted: &Wanted,
    scene: &Scene<'_>,
    wish: Wish,
    (history, told): (&mut History, &mut Vec<Told>),
) -> (u32, String) {
    let current = scene.current;
    // Who waits for a pod waits for no window.
    let stable = match current {
        0 => wish.desired,
        _ => history.stabilized(wanted, (current, wish.desired), scene.now),
    };
    told[0] = steadied(stable, wish.desired);
    let (desired, limit) = history.bounded(wanted, (current, stable), scene.now);
    // A wish below the least is bounded even where nothing is to be done.
    let limit = match limit {
        Limit::None if wish.desired < wanted.min => Limit::Least,
        Limit::None if wish.desired > wanted.max => Limit::Most,
        limit => limit,
    };
    told.push(limited(limit));
    (desired, wish.why)
}

/// What the time before made of a wish.
fn steadied(stable: u32, wish: u32) -> Told {
    match stable.cmp(&wish) {
        Ordering::Greater => able(
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        ),
        Ordering::Less => able(
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation",
        ),
        Ordering::Equal => able("ReadyForNewScale", "recommended size matches current size"),
    }
}

fn limited(limit: Limit) -> Told {
    let (reason, words) = match limit {
        Limit::None => ("DesiredWithinRange", "is within the acceptable range"),
        Limit::Most => ("TooManyReplicas", "is more than the maximum replica count"),
        Limit::Least => ("TooFewReplicas", "is less than the minimum replica count"),
        Limit::UpRate => (
            "ScaleUpLimit",
            "is increasing faster than the maximum scale rate",
        ),
        Limit::DownRate => (
            "ScaleDownLimit",
            "is decreasing faster than the maximum scale rate",
        ),
    };
    let (limited, what) = match limit {
        Limit::None => (false, "the desired count"),
        _ => (true, "the desired replica count"),
    };
    ("ScalingLimited", limited, reason, format!("{what} {words}"))
}

/// The conditions as they are from now on; the time of one moves with its status.
fn conditions(hpa: &Object, told: &[Told], now: Timestamp) -> Vec<Value> {
    let before = hpa.get(&["status", "conditions"]).and_then(Value::as_array);
    let mut list = before.cloned().unwrap_or_default();
    for (kind, holds, reason, message) in told {
        let status = if *holds { "True" } else { "False" };
        let place = list.iter().position(|one| one["type"] == *kind);
        let since = place.map(|place| list.remove(place));
        let since = since.filter(|one| one["status"] == status);
        let since = since.and_then(|one| one["lastTransitionTime"].as_str().map(str::to_owned));
        list.push(
            json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since.unwrap_or_else(|| time(now))}),
        );
    }
    list.sort_by_key(|one| one["type"].as_str().unwrap_or_default().to_owned());
    list
}
