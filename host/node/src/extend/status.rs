//! The statuses of plugins and policies: written only when they say something new.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::resources::{PLUGINS, POLICIES};
use osier_api::{Object, Resource};
use osier_client::{Client, Part};
use osier_policy::{PluginStatus, RolloutState};
use osier_process::clock;
use osier_standing::{Fleet, PolicyHere, Told, Word, covers, together, whole, without_calls};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::course::{Course, Entry};
use super::rollout;

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

/// What a policy's status is made of.
pub(super) struct Standing<'a> {
    /// How it stands on this node.
    pub(super) here: PolicyHere<'a>,
    /// Why it concerns no call; nothing if it may.
    pub(super) unattached: Vec<String>,
    /// How the rollout of another version of its plugin goes on this node.
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

    pub(super) async fn plugin(&mut self, object: &Object, entry: &Entry, fleet: &Fleet) {
        let serving = entry.plugin.as_ref().map(|plugin| plugin.status());
        let generation = object.generation();
        let mut mine = node_entry(&self.node, entry, serving.as_ref());
        mine["observedGeneration"] = generation.into();
        let nodes = object.get(&["status", "nodes"]).and_then(Value::as_array);
        let others = nodes.into_iter().flatten().filter(|other| {
            let name = other["node"].as_str().unwrap_or_default();
            name != self.node && fleet.has(name)
        });
        let nodes: Vec<Value> = others.cloned().chain([mine]).collect();
        let told = together(generation, fleet, &Word::of_plugin(&nodes), "Loading");
        let mut status = json!({
            "nodes": nodes, "observedGeneration": generation,
            "conditions": [condition(object, READY, &told)],
        });
        match &entry.course {
            Course::Idle | Course::Loading { .. } => return,
            // The newest is what the object tells of; who serves the version before says so in its own entry.
            Course::Failed { .. } if object.get(&["status", "digest"]).is_some() => {}
            Course::Ready { .. } | Course::Failed { .. } => {
                if let Some(serving) = serving {
                    status["digest"] = serving.digest.into();
                    status["interfaces"] = serving.interfaces.into();
                    status["schema"] = serving.schema.unwrap_or(Value::Null);
                }
            }
        }
        self.write(&PLUGINS, object, status).await;
    }

    /// Every node writes its own word, and the condition that all of them make.
    pub(super) async fn policy(&mut self, object: &Object, standing: Standing<'_>, fleet: &Fleet) {
        let generation = object.generation();
        let mut mine = standing.here.word(generation);
        mine.rollout = standing.rollout.as_ref().map(rollout::words);
        let mut words = Word::of_policy(object.get(&["status", "nodes"]));
        let gone = words.keys().filter(|node| !fleet.has(node));
        let gone = gone.map(|node| (node.clone(), Value::Null));
        let mut nodes: Map<String, Value> = gone.collect();
        nodes.insert(self.node.clone(), mine.written());
        words.insert(self.node.clone(), mine);
        let told = together(generation, fleet, &words, "Pending");
        let mut conditions = vec![condition(object, READY, &told)];
        if !standing.unattached.is_empty() {
            let words = standing.unattached.join("; ");
            let message = format!("{words}: it checks no call until what it concerns is there");
            let told = (false, "TargetNotFound".to_owned(), message);
            conditions.push(condition(object, ATTACHED, &told));
        }
        if let Some(words) = osier_standing::rollout(generation, fleet, &words) {
            conditions.push(condition(object, rollout::CONDITION, &rollout::told(words)));
        }
        let status = json!({
            "observedGeneration": generation, "nodes": nodes, "conditions": conditions,
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
        mine["cpuMillis"] = u64::try_from(serving.cpu.as_millis())
            .unwrap_or_default()
            .into();
        mine["traps"] = (serving.traps + serving.memory_overruns).into();
        mine["deadlineOverruns"] = serving.deadline_overruns.into();
        mine["droppedReports"] = serving.dropped_reports.into();
        if serving.aside {
            mine["aside"] = true.into();
        }
    }
    if let Some(error) = error.or_else(|| serving.and_then(|serving| serving.last_error.clone())) {
        mine["error"] = error.into();
    }
    mine
}

/// A condition, with the time of its last change.
fn condition(object: &Object, kind: &str, (holds, reason, message): &Told) -> Value {
    let status = if *holds { "True" } else { "False" };
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_it_holds() {
        let told = |holds, reason: &str| (holds, reason.to_owned(), String::new());
        let mut object = Object::from_value(
            json!({"metadata": {"generation": 1}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        )
        .unwrap();
        assert_eq!(
            condition(&object, READY, &told(true, "Loaded"))["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        assert_ne!(
            condition(&object, READY, &told(false, "LoadFailed"))["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        let status = json!({"conditions": [condition(&object, READY, &told(true, "Loaded"))]});
        assert!(!covers(object.get(&["status"]), &status, without_calls));
        object.set(&["status"], status.clone());
        assert!(covers(object.get(&["status"]), &status, without_calls));
    }
}
