//! What a StatefulSet's spec asks for, and between which revisions it moves. Pure.

use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::typed::IntOrString;
use serde_json::Value;

use crate::history::History;
use crate::ownership::Owner;

/// What a StatefulSet's spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) owner: Owner,
    /// Its pods are called by this and their number.
    pub(crate) name: String,
    pub(crate) replicas: usize,
    /// The number of the first pod.
    pub(crate) start: usize,
    /// A pod is made when all before it are available, and the last one goes first.
    pub(crate) ordered: bool,
    pub(crate) strategy: Strategy,
    pub(crate) min_ready: Duration,
    /// Old revisions kept for undoing.
    pub(crate) history: usize,
}

/// How pods of an old template give way to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// When somebody deletes them.
    OnDelete,
    /// From the highest number down.
    Rolling {
        /// Pods below this many from the first stay as they are.
        partition: usize,
        /// How many may be away at once.
        unavailable: usize,
    },
}

/// The revision that pods leave, and the one that they come to.
#[derive(Debug, Clone)]
pub(crate) struct Revisions {
    pub(crate) current: Arc<Object>,
    pub(crate) update: Arc<Object>,
}

impl Wanted {
    pub(crate) fn of(set: &Object) -> Self {
        let number = |path: &[&str]| {
            let number = set.get(path).and_then(Value::as_u64);
            number.and_then(|number| usize::try_from(number).ok())
        };
        let replicas = number(&["spec", "replicas"]).unwrap_or(1);
        let seconds = set.get(&["spec", "minReadySeconds"]);
        Self {
            owner: Owner::of(set),
            name: set.name().to_owned(),
            replicas,
            start: number(&["spec", "ordinals", "start"]).unwrap_or(0),
            ordered: set.text(&["spec", "podManagementPolicy"]) != "Parallel",
            strategy: strategy(set, replicas),
            min_ready: Duration::from_secs(seconds.and_then(Value::as_u64).unwrap_or(0)),
            history: number(&["spec", "revisionHistoryLimit"]).unwrap_or(10),
        }
    }

    /// The number in the name of a pod, if it is called as one of this set.
    pub(crate) fn ordinal(&self, pod: &str) -> Option<usize> {
        let digits = pod.strip_prefix(&self.name)?.strip_prefix('-')?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        // `web-01` is not a name that is ever given.
        let shortest = digits == "0" || !digits.starts_with('0');
        digits.parse().ok().filter(|_| plain && shortest)
    }

    /// The set shall have a pod of this number.
    pub(crate) fn has(&self, ordinal: usize) -> bool {
        ordinal >= self.start && ordinal - self.start < self.replicas
    }

    /// Pods of this number are made of the template of now.
    pub(crate) fn updates(&self, ordinal: usize) -> bool {
        match self.strategy {
            Strategy::OnDelete => true,
            Strategy::Rolling { partition, .. } => ordinal >= self.start.saturating_add(partition),
        }
    }
}

fn strategy(set: &Object, replicas: usize) -> Strategy {
    if set.text(&["spec", "updateStrategy", "type"]) == "OnDelete" {
        return Strategy::OnDelete;
    }
    let rolling = |field: &str| set.get(&["spec", "updateStrategy", "rollingUpdate", field]);
    let partition = rolling("partition").and_then(Value::as_u64).unwrap_or(0);
    let share = rolling("maxUnavailable");
    let share: Option<IntOrString> =
        share.and_then(|share| serde_json::from_value(share.clone()).ok());
    let unavailable = share.map_or(1, |share| share.rounded_up(replicas));
    Strategy::Rolling {
        partition: usize::try_from(partition).unwrap_or(usize::MAX),
        unavailable: unavailable.max(1),
    }
}

impl Revisions {
    /// Those that the status and the template name; a current one that is not there any more is given up for the newest.
    pub(crate) fn of(set: &Object, history: &History) -> Option<Self> {
        let update = history.newest()?;
        let current = history.named(set.text(&["status", "currentRevision"]));
        Some(Self {
            current: Arc::clone(current.unwrap_or(update)),
            update: Arc::clone(update),
        })
    }

    /// The names of both, current first; pods carry them as labels.
    pub(crate) fn names(&self) -> (&str, &str) {
        (self.current.name(), self.update.name())
    }
}
