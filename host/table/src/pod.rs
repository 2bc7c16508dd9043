//! Pods: one word for all that may be going on.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    AGE, Layout, NAME, age, array, condition, is_true, or_none, since_creation, text, wide,
};
use osier_api::Object;

pub(super) const PODS: Layout = Layout {
    columns: &[
        NAME,
        text(
            "Ready",
            "The aggregate readiness state of this pod for accepting traffic.",
        ),
        text(
            "Status",
            "The aggregate status of the containers in this pod.",
        ),
        text(
            "Restarts",
            "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
        ),
        AGE,
        wide("IP", "Address of the pod."),
        wide("Node", "Node on which the pod runs."),
        wide("Nominated Node", "Node for which the pod waits."),
        wide(
            "Readiness Gates",
            "Conditions that must hold besides its containers' readiness.",
        ),
    ],
    cells,
};

/// What the container statuses add up to.
#[derive(Default)]
struct Summary {
    ready: usize,
    restarts: i64,
    last_restart: Option<String>,
    reason: String,
}

fn cells(pod: &Object, now: Timestamp) -> Vec<Value> {
    let summary = summarize(pod);
    let total = array(pod, &["spec", "containers"]).len() + sidecars(pod).count();
    let restarts = match (&summary.last_restart, summary.restarts) {
        (Some(last), 1..) => format!("{} ({} ago)", summary.restarts, age::since(Some(last), now)),
        (_, count) => count.to_string(),
    };
    vec![
        pod.name().into(),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        since_creation(pod, now),
        or_none(pod.text(&["status", "podIP"])),
        or_none(pod.text(&["spec", "nodeName"])),
        or_none(pod.text(&["status", "nominatedNodeName"])),
        gates(pod),
    ]
}

/// Phase, then what is more telling: init containers, containers, deletion.
fn summarize(pod: &Object) -> Summary {
    let mut summary = Summary {
        reason: phase(pod),
        ..Summary::default()
    };
    let initializing = init_containers(pod, &mut summary);
    if !initializing || is_true(condition(pod, "Initialized")) {
        containers(pod, &mut summary);
    }
    let terminal = matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed");
    if pod.deletion_timestamp().is_some() {
        if pod.text(&["status", "reason"]) == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !terminal {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

fn phase(pod: &Object) -> String {
    let gated =
        condition(pod, "PodScheduled").is_some_and(|found| found["reason"] == "SchedulingGated");
    let reason = pod.text(&["status", "reason"]);
    match () {
        () if gated => "SchedulingGated".to_owned(),
        () if reason.is_empty() => pod.text(&["status", "phase"]).to_owned(),
        () => reason.to_owned(),
    }
}

/// Init containers that keep running beside the others.
fn sidecars(pod: &Object) -> impl Iterator<Item = &str> {
    let list = array(pod, &["spec", "initContainers"]).iter();
    list.filter(|item| item["restartPolicy"] == "Always")
        .filter_map(|item| item["name"].as_str())
}

/// Returns whether one of them is not done yet, which then is the reason.
fn init_containers(pod: &Object, summary: &mut Summary) -> bool {
    let total = array(pod, &["spec", "initContainers"]).len();
    for (index, status) in array(pod, &["status", "initContainerStatuses"])
        .iter()
        .enumerate()
    {
        count_restarts(status, summary);
        let state = &status["state"];
        let sidecar = sidecars(pod).any(|name| status["name"] == name);
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if sidecar && status["started"] == true {
            summary.ready += usize::from(status["ready"] == true);
            continue;
        }
        let waiting = word(&state["waiting"]).filter(|reason| *reason != "PodInitializing");
        summary.reason = match (ended(&state["terminated"]), waiting) {
            (Some(ended), _) => format!("Init:{ended}"),
            (None, Some(waiting)) => format!("Init:{waiting}"),
            (None, None) => format!("Init:{index}/{total}"),
        };
        return true;
    }
    // Once initialized, only restarts of sidecars and containers count.
    let sidecars: Vec<&str> = sidecars(pod).collect();
    let kept = array(pod, &["status", "initContainerStatuses"]).iter();
    let kept: Vec<&Value> = kept
        .filter(|status| sidecars.iter().any(|name| status["name"] == *name))
        .collect();
    (summary.restarts, summary.last_restart) = (0, None);
    kept.into_iter()
        .for_each(|status| count_restarts(status, summary));
    false
}

fn containers(pod: &Object, summary: &mut Summary) {
    let mut running = false;
    for status in array(pod, &["status", "containerStatuses"]).iter().rev() {
        count_restarts(status, summary);
        let state = &status["state"];
        if let Some(reason) = word(&state["waiting"]) {
            summary.reason = reason.to_owned();
        } else if let Some(reason) = ended(&state["terminated"]) {
            summary.reason = reason;
        } else if status["ready"] == true && state["running"].is_object() {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && running {
        let ready = is_true(condition(pod, "Ready"));
        summary.reason = if ready { "Running" } else { "NotReady" }.to_owned();
    }
}

fn count_restarts(status: &Value, summary: &mut Summary) {
    summary.restarts += status["restartCount"].as_i64().unwrap_or(0);
    let ended = status["lastState"]["terminated"]["finishedAt"]
        .as_str()
        .map(str::to_owned);
    // RFC 3339 in UTC orders as text.
    summary.last_restart = summary.last_restart.take().max(ended);
}

fn word(state: &Value) -> Option<&str> {
    state["reason"].as_str().filter(|reason| !reason.is_empty())
}

/// Why a container ended: its reason, signal or exit code.
fn ended(terminated: &Value) -> Option<String> {
    if !terminated.is_object() {
        return None;
    }
    let signal = terminated["signal"].as_i64().filter(|signal| *signal != 0);
    Some(match (word(terminated), signal) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(signal)) => format!("Signal:{signal}"),
        (None, None) => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
    })
}

fn gates(pod: &Object) -> Value {
    let gates = array(pod, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let holds =
        |gate: &&Value| is_true(condition(pod, gate["conditionType"].as_str().unwrap_or("")));
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len()).into()
}

/// What tells kubectl that a row is about a pod that has ended.
pub(super) fn row_conditions(pod: &Object) -> Option<Value> {
    let (reason, message) = match pod.text(&["status", "phase"]) {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}
