//! The statuses of plugins and policies: written only when they say something new.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::resources::{PLUGINS, POLICIES};
use osier_api::{Object, Resource};
use osier_client::{Client, Part};
use osier_policy::{PluginStatus, RolloutState};
use osier_process::clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::course::{Course, Entry};
use super::{PLUGIN_GRACE, rollout};

/// A status that changes all the time, as counters do, is written at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// One of which nothing but the number of calls has changed, at most this often: under load that is always.
const COUNTED: Duration = Duration::from_secs(30);

const READY: &str = "Ready";
/// Told only while it does not hold.
const ATTACHED: &str = "Attached";

/// Writes statuses as one node.
pub(super) struct Writer {
    client: Client,
    node: String,
    /// When each object's status was last written, by uid.
    written: HashMap<String, Instant>,
}

/// How a policy stands on this node.
pub(super) struct Standing<'a> {
    /// Some version of it decides.
    pub(super) in_force: bool,
    /// What is wrong with the newest version.
    pub(super) faults: &'a [String],
    /// Plugins that cannot be asked, each with its reason.
    pub(super) missing: Vec<String>,
    /// Plugins that went away decide on as they were, for a while.
    pub(super) kept: bool,
    /// Why it concerns no call; nothing if it may.
    pub(super) unattached: Vec<String>,
    /// How the rollout of another version of its plugin goes.
    pub(super) rollout: Option<RolloutState<'a>>,
}

impl Writer {
    pub(super) fn new(client: Client, node: &str) -> Self {
        Self {
            client,
            node: node.to_owned(),
            written: HashMap::new(),
        }
    }

    pub(super) async fn plugin(&mut self, object: &Object, entry: &Entry) {
        let serving = entry.plugin.as_ref().map(|plugin| plugin.status());
        let mine = node_entry(&self.node, entry, serving.as_ref());
        let nodes = object.get(&["status", "nodes"]).and_then(Value::as_array);
        let others = nodes
            .into_iter()
            .flatten()
            .filter(|other| other["node"] != self.node.as_str());
        let nodes: Vec<Value> = others.cloned().chain([mine]).collect();
        let (holds, reason, message) = match &entry.course {
            Course::Idle | Course::Loading { .. } => return,
            Course::Ready { .. } => (true, "Loaded", String::new()),
            Course::Failed { error, .. } if serving.is_some() => (
                false,
                "LoadFailed",
                format!("{error}; the version before serves on"),
            ),
            Course::Failed { error, .. } => (false, "LoadFailed", error.clone()),
        };
        let mut status = json!({
            "nodes": nodes, "observedGeneration": object.generation(),
            "conditions": [condition(object, READY, (holds, reason, &message))],
        });
        if let Some(serving) = serving {
            status["digest"] = serving.digest.into();
            status["interfaces"] = serving.interfaces.into();
            status["schema"] = serving.schema.unwrap_or(Value::Null);
        }
        self.write(&PLUGINS, object, status).await;
    }

    pub(super) async fn policy(&mut self, object: &Object, standing: Standing<'_>) {
        let (faults, missing) = (standing.faults, standing.missing);
        let (holds, reason, message) = match (faults.is_empty(), missing.is_empty()) {
            (true, true) => (true, "InForce", String::new()),
            (true, false) if standing.kept => (
                false,
                "PluginUnavailable",
                format!(
                    "{}; the version that was there decides on for {} s, then calls go by the failure policy",
                    missing.join("; "),
                    PLUGIN_GRACE.as_secs()
                ),
            ),
            (true, false) => (
                false,
                "PluginUnavailable",
                format!("{}; calls go by the failure policy", missing.join("; ")),
            ),
            (false, _) if standing.in_force => (
                false,
                "Invalid",
                format!("{}; the version before stays in force", faults.join("; ")),
            ),
            (false, _) => (false, "Invalid", faults.join("; ")),
        };
        let mut conditions = vec![condition(object, READY, (holds, reason, &message))];
        if !standing.unattached.is_empty() {
            let words = standing.unattached.join("; ");
            let message = format!("{words}: it checks no call until what it concerns is there");
            let told = (false, "TargetNotFound", message.as_str());
            conditions.push(condition(object, ATTACHED, told));
        }
        if let Some(state) = &standing.rollout {
            let (kind, (holds, reason, message)) = rollout::condition(state);
            conditions.push(condition(object, kind, (holds, reason, &message)));
        }
        let status = json!({
            "observedGeneration": object.generation(),
            "conditions": conditions,
        });
        self.write(&POLICIES, object, status).await;
    }

    async fn write(&mut self, resource: &Resource, object: &Object, status: Value) {
        let (now, shown) = (Instant::now(), object.get(&["status"]));
        if covers(shown, &status, whole) {
            return;
        }
        let every = match covers(shown, &status, without_calls) {
            true => COUNTED,
            false => EVERY,
        };
        let news = object.get(&["status", "conditions"]) != status.get("conditions")
            || object.get(&["status", "observedGeneration"]) != status.get("observedGeneration");
        let recent = self
            .written
            .get(object.uid())
            .is_some_and(|at| now.duration_since(*at) < every);
        if recent && !news {
            return;
        }
        self.written
            .retain(|_, at| now.duration_since(*at) < COUNTED);
        self.written.insert(object.uid().to_owned(), now);
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        let of = (object.namespace(), object.name());
        match self.client.patch(resource, of, patch, Part::Status).await {
            Err(error) if !error.is_not_found() => {
                tracing::debug!(%error, name = of.1, "a status is not written; it will be tried again")
            }
            _ => {}
        }
    }
}

/// This node's entry of `Plugin.status.nodes`.
fn node_entry(node: &str, entry: &Entry, serving: Option<&PluginStatus>) -> Value {
    let time = |at: &Timestamp| Value::from(clock::seconds(*at));
    let (state, since, error) = match &entry.course {
        Course::Idle | Course::Loading { .. } => ("Loading", Value::Null, None),
        Course::Ready { since, .. } => ("Ready", time(since), None),
        Course::Failed { since, error, .. } => ("Failed", time(since), Some(error.clone())),
    };
    let mut mine = json!({"node": node, "state": state, "since": since});
    if let Some(serving) = serving {
        mine["digest"] = serving.digest.as_str().into();
        mine["calls"] = serving.calls.into();
        mine["traps"] = (serving.traps + serving.memory_overruns).into();
        mine["deadlineOverruns"] = serving.deadline_overruns.into();
        mine["droppedReports"] = serving.dropped_reports.into();
    }
    if let Some(error) = error.or_else(|| serving.and_then(|serving| serving.last_error.clone())) {
        mine["error"] = error.into();
    }
    mine
}

/// A condition, with the time of its last change.
fn condition(object: &Object, kind: &str, (holds, reason, message): (bool, &str, &str)) -> Value {
    let status = if holds { "True" } else { "False" };
    let known = object
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    let mut known = known.into_iter().flatten();
    let same = known.find(|condition| condition["type"] == kind && condition["status"] == status);
    let since = same.and_then(|condition| condition["lastTransitionTime"].as_str());
    let since = since.map_or_else(|| clock::seconds(clock::now()), ToOwned::to_owned);
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since, "observedGeneration": object.generation()})
}

/// Writing `wanted` would say nothing new of what is seen.
fn covers(current: Option<&Value>, wanted: &Value, seen: fn(&Value) -> Value) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    fields.into_iter().all(|(key, value)| {
        let now = current
            .and_then(|current| current.get(key))
            .unwrap_or(&Value::Null);
        now == value || (key == "nodes" && seen(now) == seen(value))
    })
}

/// Nodes without what is not there.
fn whole(nodes: &Value) -> Value {
    let mut nodes = nodes.clone();
    let all = nodes.as_array_mut().into_iter().flatten();
    for node in all.filter_map(Value::as_object_mut) {
        node.retain(|_, value| !value.is_null());
    }
    nodes
}

/// The same, however often the plugin was called.
fn without_calls(nodes: &Value) -> Value {
    let mut nodes = whole(nodes);
    let all = nodes.as_array_mut().into_iter().flatten();
    for node in all.filter_map(Value::as_object_mut) {
        node.remove("calls");
    }
    nodes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_it_holds() {
        let mut object = Object::from_value(
            json!({"metadata": {"generation": 1}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        )
        .unwrap();
        assert_eq!(
            condition(&object, READY, (true, "Loaded", ""))["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        assert_ne!(
            condition(&object, READY, (false, "LoadFailed", "x"))["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        let status = json!({"conditions": [condition(&object, READY, (true, "Loaded", ""))]});
        assert!(!covers(object.get(&["status"]), &status, without_calls));
        object.set(&["status"], status.clone());
        assert!(covers(object.get(&["status"]), &status, without_calls));
        let counted = |calls: u64| json!({"nodes": [{"node": "a", "calls": calls}]});
        assert!(covers(Some(&counted(1)), &counted(2), without_calls));
        assert!(!covers(Some(&counted(1)), &counted(2), whole));
    }
}
