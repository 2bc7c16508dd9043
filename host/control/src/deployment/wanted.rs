//! What a Deployment's spec asks for. Pure.

use std::time::Duration;

use osier_api::Object;
use osier_api::typed::IntOrString;
use serde_json::Value;

use crate::ownership::Owner;

/// A progress deadline of this many seconds is none.
const NO_DEADLINE: u64 = i32::MAX as u64;

/// What a Deployment's spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) owner: Owner,
    pub(crate) replicas: usize,
    pub(crate) strategy: Strategy,
    pub(crate) paused: bool,
    /// `minReadySeconds`.
    pub(crate) min_ready: u64,
    /// Old replica sets kept for undoing.
    pub(crate) history: usize,
    /// How long a rollout may go without progress.
    pub(crate) deadline: Option<Duration>,
    pub(crate) template: Value,
    /// How often the name of a new replica set was taken by another one.
    pub(crate) collisions: u64,
}

/// How old pods give way to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// All old ones first, then the new ones.
    Recreate,
    /// Some at a time.
    Rolling {
        /// Pods above the wanted number.
        surge: usize,
        /// Pods below it.
        unavailable: usize,
    },
}

impl Wanted {
    pub(crate) fn of(deployment: &Object) -> Self {
        let number = |field: &str| deployment.get(&["spec", field]).and_then(Value::as_u64);
        let count = |field: &str, otherwise: usize| {
            number(field).map_or(otherwise, |number| {
                usize::try_from(number).unwrap_or(usize::MAX)
            })
        };
        let replicas = count("replicas", 1);
        let collisions = deployment.get(&["status", "collisionCount"]);
        let deadline = number("progressDeadlineSeconds").filter(|seconds| *seconds < NO_DEADLINE);
        Self {
            owner: Owner::of(deployment),
            replicas,
            strategy: strategy(deployment, replicas),
            paused: deployment.get(&["spec", "paused"]) == Some(&Value::Bool(true)),
            min_ready: number("minReadySeconds").unwrap_or(0),
            history: count("revisionHistoryLimit", 10),
            deadline: deadline.map(Duration::from_secs),
            template: deployment
                .get(&["spec", "template"])
                .cloned()
                .unwrap_or_default(),
            collisions: collisions.and_then(Value::as_u64).unwrap_or(0),
        }
    }

    /// The most pods there may be, old and new.
    pub(crate) fn most(&self) -> usize {
        match self.strategy {
            Strategy::Rolling { surge, .. } => self.replicas.saturating_add(surge),
            Strategy::Recreate => self.replicas,
        }
    }

    /// The fewest pods that must be available while old ones give way.
    pub(crate) fn fewest(&self) -> usize {
        match self.strategy {
            Strategy::Rolling { unavailable, .. } => self.replicas.saturating_sub(unavailable),
            Strategy::Recreate => self.replicas,
        }
    }
}

/// The bounds rounded as Kubernetes does: surge up, unavailable down, and not both to nothing, for
/// no pod could ever be replaced then.
fn strategy(deployment: &Object, replicas: usize) -> Strategy {
    if deployment.text(&["spec", "strategy", "type"]) == "Recreate" {
        return Strategy::Recreate;
    }
    let bound = |field: &str| {
        let value = deployment.get(&["spec", "strategy", "rollingUpdate", field]);
        let share = value.and_then(|value| serde_json::from_value(value.clone()).ok());
        share.unwrap_or_else(|| IntOrString::String("25%".to_owned()))
    };
    let surge = bound("maxSurge").rounded_up(replicas);
    let unavailable = bound("maxUnavailable").rounded_down(replicas);
    Strategy::Rolling {
        surge,
        unavailable: if surge == 0 {
            unavailable.max(1)
        } else {
            unavailable
        },
    }
}
