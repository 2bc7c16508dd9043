//! A pod's status, from its containers' records.

use jiff::Timestamp;
use osier_api::Object;
use osier_podspec::RestartPolicy;
use osier_process::clock;
use serde_json::{Value, json};

use super::container::{Life, Record};

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Some container was never started.
    Pending,
    /// It was started, and something runs or will run.
    Running,
    /// All containers ended well, for good.
    Succeeded,
    /// All containers ended for good, one of them badly.
    Failed,
}

/// Everything that a pod's status is made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// The pod, for its gates and what it asks for.
    pub pod: &'a Object,
    /// The status as it was last written, for the times of what stays.
    pub known: &'a Value,
    /// Of the pod.
    pub policy: RestartPolicy,
    /// The init containers, in their order.
    pub init: &'a [Record],
    /// The containers, in their order.
    pub containers: &'a [Record],
    /// Its address; empty before it has one.
    pub pod_ip: String,
    /// The node's.
    pub host_ip: &'a str,
    /// When the agent took it up.
    pub started: Timestamp,
    /// The pod as a whole was ended, and why.
    pub failure: Option<(&'static str, String)>,
}

/// kubelet's rules: a container that waits to be restarted counts as stopped, not as waiting.
#[must_use]
pub fn phase(policy: RestartPolicy, init: &[Record], containers: &[Record]) -> Phase {
    let failed =
        |record: &&Record| !record.sidecar && record.ended().is_some() && !record.is_past();
    if init.iter().any(|record| failed(&record)) {
        return match policy {
            RestartPolicy::Never => Phase::Failed,
            _ => Phase::Pending,
        };
    }
    if init.iter().any(|record| is_awaited(record, containers)) {
        return Phase::Pending;
    }
    let mut stopped_well = true;
    let (mut running, mut stopped) = (0, 0);
    for record in containers {
        match (&record.life, &record.last) {
            (Life::Running { .. }, _) => running += 1,
            (Life::Terminated(ended), _) => {
                stopped += 1;
                stopped_well &= ended.exit_code == 0;
            }
            (Life::Waiting { .. }, Some(_)) => {
                stopped += 1;
                stopped_well = false;
            }
            (Life::Waiting { .. }, None) => {
                return if stopped_before(containers) {
                    Phase::Running
                } else {
                    Phase::Pending
                };
            }
        }
    }
    match (running, stopped, policy) {
        (0, stopped, policy) if stopped > 0 && policy != RestartPolicy::Always => {
            let waits = containers
                .iter()
                .any(|record| matches!(record.life, Life::Waiting { .. }));
            if stopped_well {
                Phase::Succeeded
            } else if policy == RestartPolicy::Never && !waits {
                Phase::Failed
            } else {
                Phase::Running
            }
        }
        _ => Phase::Running,
    }
}

/// Whether the containers cannot begin before this init container. A sidecar that fails later holds up nobody.
fn is_awaited(init: &Record, containers: &[Record]) -> bool {
    let begun = init.sidecar && containers.iter().any(Record::has_begun);
    !init.is_past() && !begun
}

/// While one container was never started, a pod counts as running only if another one has ended.
fn stopped_before(containers: &[Record]) -> bool {
    containers
        .iter()
        .any(|record| record.last.is_some() || record.ended().is_some())
}

impl Report<'_> {
    /// Of the pod as a whole.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.failure.is_some() {
            Phase::Failed
        } else {
            phase(self.policy, self.init, self.containers)
        }
    }

    /// All that the agent says of the pod; others may say more. Transition times of conditions that stay are kept.
    #[must_use]
    pub fn json(&self, now: Timestamp) -> Value {
        let list = |records: &[Record]| records.iter().map(Record::json).collect::<Vec<_>>();
        let mut status = json!({
            "phase": format!("{:?}", self.phase()),
            "conditions": self.conditions(now),
            "hostIP": self.host_ip,
            "hostIPs": [{"ip": self.host_ip}],
            "startTime": clock::seconds(self.started),
            "qosClass": qos_class(self.pod),
            "containerStatuses": list(self.containers),
            "reason": self.failure.as_ref().map(|(reason, _)| reason),
            "message": self.failure.as_ref().map(|(_, message)| message),
        });
        if !self.pod_ip.is_empty() {
            status["podIP"] = self.pod_ip.as_str().into();
            status["podIPs"] = json!([{"ip": self.pod_ip}]);
        }
        if !self.init.is_empty() {
            status["initContainerStatuses"] = list(self.init).into();
        }
        status
    }

    fn conditions(&self, now: Timestamp) -> Vec<Value> {
        let sidecars = self.init.iter().filter(|record| record.sidecar);
        let unready = names(sidecars.chain(self.containers), |record| !record.ready);
        let incomplete = names(self.init.iter(), |record| {
            is_awaited(record, self.containers)
        });
        let finished = matches!(self.phase(), Phase::Succeeded | Phase::Failed);
        let initialized = if incomplete.is_empty() {
            Condition::yes("Initialized")
        } else {
            Condition::no(
                "Initialized",
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{incomplete}]"),
            )
        };
        let gate = self.closed_gate();
        let ready = |kind| match (self.phase(), &gate) {
            (Phase::Succeeded, _) => Condition::no(kind, "PodCompleted", String::new()),
            (Phase::Failed, _) => Condition::no(kind, "PodFailed", String::new()),
            (_, Some(words)) if unready.is_empty() && kind == "Ready" => {
                Condition::no(kind, "ReadinessGatesNotReady", words.clone())
            }
            _ if unready.is_empty() => Condition::yes(kind),
            _ => Condition::no(
                kind,
                "ContainersNotReady",
                format!("containers with unready status: [{unready}]"),
            ),
        };
        let prepared = if finished || self.pod_ip.is_empty() {
            Condition::no("PodReadyToStartContainers", "", String::new())
        } else {
            Condition::yes("PodReadyToStartContainers")
        };
        let all = [
            prepared,
            initialized,
            ready("Ready"),
            ready("ContainersReady"),
            Condition::yes("PodScheduled"),
        ];
        all.map(|condition| condition.json(self.known, now)).into()
    }

    /// The conditions that the pod has, whoever said them.
    fn said(&self) -> impl Iterator<Item = &Value> {
        let said = self.pod.get(&["status", "conditions"]);
        said.and_then(Value::as_array).into_iter().flatten()
    }

    /// kubelet's words for the first condition without which the pod is not ready, and which nobody says to hold.
    fn closed_gate(&self) -> Option<String> {
        let gates = self.pod.get(&["spec", "readinessGates"])?.as_array()?;
        gates.iter().find_map(|gate| {
            let kind = gate["conditionType"].as_str()?;
            let said = self.said().find(|said| said["type"] == kind);
            match said.map(|said| said["status"] == "True") {
                Some(true) => None,
                Some(false) => Some(format!(
                    "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                    said.and_then(|said| said["status"].as_str())
                        .unwrap_or_default()
                )),
                None => Some(format!(
                    "corresponding condition of pod readiness gate {kind:?} does not exist."
                )),
            }
        })
    }
}

struct Condition {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Condition {
    fn yes(kind: &'static str) -> Self {
        Self {
            kind,
            holds: true,
            reason: "",
            message: String::new(),
        }
    }

    fn no(kind: &'static str, reason: &'static str, message: String) -> Self {
        Self {
            kind,
            holds: false,
            reason,
            message,
        }
    }

    fn json(self, known: &Value, now: Timestamp) -> Value {
        let status = if self.holds { "True" } else { "False" };
        let mut before = known["conditions"].as_array().into_iter().flatten();
        let same = before
            .find(|condition| condition["type"] == self.kind && condition["status"] == status);
        let since = same.and_then(|condition| condition["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| clock::seconds(now), ToOwned::to_owned);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        // What is null is taken away from what was said before.
        json!({"type": self.kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since,
            "reason": text(self.reason), "message": text(&self.message)})
    }
}

fn names<'a>(records: impl Iterator<Item = &'a Record>, which: impl Fn(&Record) -> bool) -> String {
    let names: Vec<&str> = records
        .filter(|record| which(record))
        .map(|record| record.name.as_str())
        .collect();
    names.join(" ")
}

/// `Guaranteed` when every container's limits equal its requests for both CPU and memory,
/// `BestEffort` when none asks for anything, else `Burstable`.
pub(crate) fn qos_class(pod: &Object) -> &'static str {
    let containers = pod.get(&["spec", "containers"]).and_then(Value::as_array);
    let (mut any, mut all) = (false, true);
    for container in containers.into_iter().flatten() {
        for resource in ["cpu", "memory"] {
            let limit = &container["resources"]["limits"][resource];
            let request = &container["resources"]["requests"][resource];
            any |= !limit.is_null() || !request.is_null();
            all &= !limit.is_null() && (request.is_null() || request == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
