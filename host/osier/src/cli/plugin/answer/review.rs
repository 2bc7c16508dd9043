//! Answers of the hooks of the control plane: what becomes of a write, how nodes are scored.

use super::super::fixture::{Expect, Given, Wanted};
use super::{differs, within};
use osier_policy::{Admission, Opinion, PolicySet, Rejection};
use serde_json::Value;

/// What becomes of a write.
pub(in super::super) enum Reviewed {
    /// It is stored, perhaps patched.
    Allowed { warning: String, patch: Value },
    /// It is not.
    Rejected(Box<Rejection>),
}

/// Asks about a write.
pub(super) fn admit(given: &Given, set: &PolicySet) -> Reviewed {
    let objects = given.write.objects();
    match set.admit(&given.write.review(&objects), 0) {
        Ok((admission, _)) => Reviewed::of(&admission),
        Err(rejection) => Reviewed::Rejected(rejection),
    }
}

impl Reviewed {
    fn of(admission: &Admission) -> Self {
        let read =
            |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|_| text.into()) };
        Self::Allowed {
            warning: admission.warnings.join("; "),
            patch: admission.patch.as_deref().map(read).unwrap_or_default(),
        }
    }

    pub(super) fn verdict(&self) -> (Wanted, String) {
        match self {
            Self::Allowed { .. } => (Wanted::Allow, String::new()),
            Self::Rejected(rejection) => {
                let word = match rejection.failed {
                    true => Wanted::Fail,
                    false => Wanted::Deny,
                };
                (word, rejection.reason.clone())
            }
        }
    }

    pub(super) fn faults(&self, expect: &Expect) -> Vec<String> {
        let faults = match self {
            Self::Allowed { warning, patch } => [
                differs("patch", expect.patch.as_ref(), patch),
                within("warning", expect.warning.as_deref(), warning),
            ],
            Self::Rejected(rejection) => [
                within("reason", expect.reason.as_deref(), &rejection.reason),
                differs("field", expect.field.as_ref(), &rejection.field),
            ],
        };
        faults.into_iter().flatten().collect()
    }

    pub(super) fn words(&self) -> String {
        let part = |what: &str, text: &str| match text {
            "" => String::new(),
            text => format!(", {what} {text}"),
        };
        match self {
            Self::Allowed { warning, patch } => {
                let patch = match patch {
                    Value::Null => String::new(),
                    patch => patch.to_string(),
                };
                part("patch", &patch) + &part("warning", warning)
            }
            Self::Rejected(rejection) => part("field", &rejection.field),
        }
    }
}

/// What is thought of each node, by name; or why there is no answer.
pub(in super::super) struct Scored(Result<Vec<(String, Opinion)>, String>);

/// Asks about a pod.
pub(super) fn schedule(given: &Given, set: &PolicySet) -> Scored {
    let (object, nodes) = (given.pod_object(), given.nodes());
    let opinions = set.schedule(&given.pod(&object), &nodes);
    let names = nodes.iter().map(|node| node.name.to_owned());
    Scored(opinions.map(|opinions| names.zip(opinions).collect()))
}

impl Scored {
    pub(super) fn verdict(&self) -> (Wanted, String) {
        match &self.0 {
            Ok(_) => (Wanted::Allow, String::new()),
            Err(reason) => (Wanted::Fail, reason.clone()),
        }
    }

    pub(super) fn faults(&self, expect: &Expect) -> Vec<String> {
        let opinions = self.0.as_deref().unwrap_or_default();
        let faults = expect.scores.iter().filter_map(|(name, wanted)| {
            let found = match opinions.iter().find(|(known, _)| known == name) {
                Some((_, Opinion::Score(points))) => Some(*points),
                _ => None,
            };
            differs(&format!("scores.{name}"), Some(wanted), &found)
        });
        faults.collect()
    }

    pub(super) fn words(&self) -> String {
        let each = self
            .0
            .iter()
            .flatten()
            .map(|(name, opinion)| match opinion {
                Opinion::Score(points) => format!(", {name} {points}"),
                Opinion::Infeasible(reason) => format!(", {name} does not fit: {reason}"),
            });
        each.collect()
    }
}
