//! A Deployment's status: its numbers, and the conditions Available, Progressing and ReplicaFailure.
//! Pure.

use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::{Map, Value, json};

use super::revision::{Revisions, Set};
use super::wanted::Wanted;
use crate::conditions::{self, Condition};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// What befell the new replica set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// It is to be created.
    Created(String),
    /// It could not be created.
    Failed(String, String),
}

/// The numbers of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Numbers {
    replicas: usize,
    updated: usize,
    ready: usize,
    available: usize,
}

/// What a status is made from.
pub(crate) struct Report<'a> {
    pub(crate) deployment: &'a Object,
    pub(crate) wanted: &'a Wanted,
    pub(crate) revisions: &'a Revisions,
    pub(crate) news: News,
    pub(crate) now: Timestamp,
}

impl Numbers {
    fn of(revisions: &Revisions) -> Self {
        let sum = |field: &str| revisions.sum(|set| set.reported(field));
        let new = revisions.new.as_ref();
        Self {
            replicas: sum("replicas"),
            updated: new.map_or(0, |set| set.reported("replicas")),
            ready: sum("readyReplicas"),
            available: sum("availableReplicas"),
        }
    }

    fn said(deployment: &Object) -> Self {
        let number = |field: &str| {
            let number = deployment.get(&["status", field]).and_then(Value::as_u64);
            number
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(0)
        };
        Self {
            replicas: number("replicas"),
            updated: number("updatedReplicas"),
            ready: number("readyReplicas"),
            available: number("availableReplicas"),
        }
    }

    fn is_complete(&self, wanted: &Wanted) -> bool {
        [self.replicas, self.updated, self.available] == [wanted.replicas; 3]
    }

    /// Something came nearer to the end since `before`.
    fn advanced(&self, before: &Self) -> bool {
        let old = |numbers: &Self| numbers.replicas.saturating_sub(numbers.updated);
        self.updated > before.updated
            || old(self) < old(before)
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// All new pods are there and available, and no others.
pub(super) fn is_complete(wanted: &Wanted, revisions: &Revisions) -> bool {
    Numbers::of(revisions).is_complete(wanted)
}

impl Report<'_> {
    /// The status to write.
    pub(crate) fn status(&self) -> Value {
        let numbers = Numbers::of(self.revisions);
        let asked = self.revisions.sum(|set| set.replicas);
        let mut status = Map::new();
        let mut write = |field: &str, number: usize| status.insert(field.to_owned(), number.into());
        write("replicas", numbers.replicas);
        write("updatedReplicas", numbers.updated);
        write("readyReplicas", numbers.ready);
        write("availableReplicas", numbers.available);
        write(
            "unavailableReplicas",
            asked.saturating_sub(numbers.available),
        );
        let generation = self.deployment.generation();
        status.insert("observedGeneration".to_owned(), generation.into());
        if self.wanted.collisions > 0 {
            let collisions = self.wanted.collisions;
            status.insert("collisionCount".to_owned(), collisions.into());
        }
        let conditions = self.conditions(&numbers);
        status.insert("conditions".to_owned(), conditions.into());
        status.into()
    }

    fn conditions(&self, numbers: &Numbers) -> Vec<Value> {
        let mut said = said(self.deployment);
        let enough = numbers.available >= self.wanted.fewest();
        conditions::put(&mut said, available(enough), self.now);
        match failure(self.revisions) {
            Some(failure) => {
                let same = conditions::find(&said, FAILURE)
                    .is_some_and(|said| said["message"] == failure["message"]);
                if !same {
                    conditions::remove(&mut said, FAILURE);
                    said.push(failure);
                }
            }
            None => conditions::remove(&mut said, FAILURE),
        }
        if self.wanted.deadline.is_some() {
            self.progress(&mut said, numbers);
        } else {
            conditions::remove(&mut said, PROGRESSING);
        }
        said
    }

    fn progress(&self, said: &mut Vec<Value>, numbers: &Numbers) {
        let put = |said: &mut Vec<Value>, status, reason, message: String| {
            let kind = PROGRESSING;
            let condition = Condition {
                kind,
                status,
                reason,
                message,
            };
            conditions::put(said, condition, self.now);
        };
        let current = || conditions::find(said, PROGRESSING);
        let is_paused = conditions::has_reason(current(), PAUSED);
        match &self.news {
            News::Created(name) => {
                let words = format!("Created new replica set {name:?}");
                return put(said, "True", "NewReplicaSetCreated", words);
            }
            News::Failed(name, error) => {
                let words = format!("Failed to create new replica set {name:?}: {error}");
                return put(said, "False", "ReplicaSetCreateError", words);
            }
            News::None if self.wanted.paused => {
                if !conditions::has_reason(current(), TIMED_OUT) {
                    put(said, "Unknown", PAUSED, "Deployment is paused".to_owned());
                }
                return;
            }
            News::None if is_paused => {
                let words = "Deployment is resumed".to_owned();
                put(said, "Unknown", "DeploymentResumed", words);
            }
            News::None => {}
        }
        if let (Some(new), None) = (&self.revisions.new, conditions::find(said, PROGRESSING)) {
            let words = format!("Found new replica set {:?}", new.object.name());
            put(said, "True", "FoundNewReplicaSet", words);
        }
        self.advance(said, numbers);
    }

    /// Complete, on its way, or stuck.
    fn advance(&self, said: &mut Vec<Value>, numbers: &Numbers) {
        let current = conditions::find(said, PROGRESSING);
        let finished = conditions::has_reason(current, COMPLETE);
        if finished && numbers.replicas == numbers.updated {
            return;
        }
        let subject = match &self.revisions.new {
            Some(new) => format!("ReplicaSet {:?}", new.object.name()),
            None => format!("Deployment {:?}", self.deployment.name()),
        };
        let condition = |status, reason, words: &str| Condition {
            kind: PROGRESSING,
            status,
            reason,
            message: format!("{subject} {words}"),
        };
        if numbers.is_complete(self.wanted) {
            let done = condition("True", COMPLETE, "has successfully progressed.");
            conditions::put(said, done, self.now);
        } else if numbers.advanced(&Numbers::said(self.deployment)) {
            let on = condition("True", "ReplicaSetUpdated", "is progressing.");
            conditions::renew(said, on, self.now);
        } else if self.left(said) == Some(Duration::ZERO) {
            let stuck = condition("False", TIMED_OUT, "has timed out progressing.");
            conditions::put(said, stuck, self.now);
        }
    }

    /// How long until a rollout without progress counts as stuck; none if it is not under way.
    fn left(&self, said: &[Value]) -> Option<Duration> {
        let current = conditions::find(said, PROGRESSING)?;
        let settled = [COMPLETE, TIMED_OUT, PAUSED].map(|reason| current["reason"] == reason);
        if settled.contains(&true) {
            return None;
        }
        let since: Timestamp = current["lastUpdateTime"].as_str()?.parse().ok()?;
        let passed = Duration::try_from(self.now.duration_since(since)).unwrap_or_default();
        Some(self.wanted.deadline?.saturating_sub(passed))
    }

    /// When the deadline of what `status` says must be looked at.
    pub(crate) fn look_again(&self, status: &Value) -> Option<Duration> {
        let said = status["conditions"].as_array()?;
        self.left(said).map(|left| left + Duration::from_secs(1))
    }
}

fn said(deployment: &Object) -> Vec<Value> {
    let said = deployment.get(&["status", "conditions"]);
    said.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn available(enough: bool) -> Condition {
    let (status, reason, words) = if enough {
        ("True", "MinimumReplicasAvailable", "has")
    } else {
        ("False", "MinimumReplicasUnavailable", "does not have")
    };
    Condition {
        kind: AVAILABLE,
        status,
        reason,
        message: format!("Deployment {words} minimum availability."),
    }
}

/// The failure of a replica set to make pods, the new one's first.
fn failure(revisions: &Revisions) -> Option<Value> {
    let of = |set: &Set| crate::facts::condition(&set.object, FAILURE).cloned();
    let new = revisions.new.as_ref().and_then(of);
    let found = new.or_else(|| revisions.old.iter().find_map(of))?;
    Some(json!({
        "type": FAILURE, "status": found["status"], "reason": found["reason"],
        "message": found["message"], "lastTransitionTime": found["lastTransitionTime"],
        "lastUpdateTime": found["lastTransitionTime"],
    }))
}
