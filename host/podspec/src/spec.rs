//! What the agent reads off a pod's spec. Pure.

use std::time::Duration;

use osier_api::{Object, quantity};
use serde_json::Value;

use crate::action::Action;
use crate::slot::{RestartPolicy, Slot};

/// Bytes of linear memory of a container that declares no limit.
pub const DEFAULT_MEMORY: u64 = 128 << 20;
/// Instances of a serving container at once, unless the annotation says otherwise.
const INSTANCES: u32 = 16;
/// Requests that one instance serves before it is replaced.
const REQUESTS_PER_INSTANCE: u32 = 10_000;
/// Requests that may wait for an instance.
const QUEUED: u32 = 1024;
const DEADLINE: Duration = Duration::from_secs(30);

/// The annotations by which a pod says how its serving containers are pooled.
pub(crate) const MAX_INSTANCES: &str = "osier.dev/max-instances";
pub(crate) const REQUESTS: &str = "osier.dev/max-requests-per-instance";
pub(crate) const REQUEST_TIMEOUT: &str = "osier.dev/request-timeout-seconds";

/// The limits of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory of all its instances.
    pub memory: u64,
    /// Ticks of one slice of processor time.
    pub cpu_share: u32,
    /// Thousandths of a processor that all its instances may take together; none without a limit.
    pub cpu_limit: Option<u32>,
    /// Instances at once.
    pub instances: u32,
    /// Requests that one instance serves.
    pub requests_per_instance: u32,
    /// Requests that may wait.
    pub queued: u32,
    /// Of one request.
    pub deadline: Duration,
}

/// The containers of a field of the spec.
#[must_use]
pub fn containers<'a>(pod: &'a Object, field: &str) -> &'a [Value] {
    let containers = pod.get(&["spec", field]).and_then(Value::as_array);
    containers.map_or(&[], Vec::as_slice)
}

/// The container in that place.
#[must_use]
pub fn container(pod: &Object, slot: Slot) -> Option<&Value> {
    match slot {
        Slot::Init(index) => containers(pod, "initContainers").get(index),
        Slot::Main(index) => containers(pod, "containers").get(index),
    }
}

/// Of the pod.
#[must_use]
pub fn restart_policy(pod: &Object) -> RestartPolicy {
    RestartPolicy::parse(pod.text(&["spec", "restartPolicy"]))
}

/// Whether it is an init container that goes on beside the containers.
#[must_use]
pub fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// What is done when a container has started, or before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// It is up once this is done.
    PostStart,
    /// It is stopped once this is done, or the grace is over.
    PreStop,
}

impl Hook {
    /// Its field, and what events begin with.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PostStart => "PostStart",
            Self::PreStop => "PreStop",
        }
    }
}

/// The hook of a container, if it has one. A `tcpSocket` is left out: upstream keeps the field and does nothing for it.
#[must_use]
pub fn hook(container: &Value, hook: Hook) -> Option<Action> {
    let field = match hook {
        Hook::PostStart => "postStart",
        Hook::PreStop => "preStop",
    };
    let action = Action::of(&container["lifecycle"][field], container)?;
    (!matches!(action, Action::TcpSocket(_))).then_some(action)
}

/// How long a pod that is being deleted may take.
#[must_use]
pub fn grace(pod: &Object) -> Duration {
    let asked = pod
        .get(&["metadata", "deletionGracePeriodSeconds"])
        .and_then(Value::as_u64);
    let declared = pod
        .get(&["spec", "terminationGracePeriodSeconds"])
        .and_then(Value::as_u64);
    Duration::from_secs(asked.or(declared).unwrap_or(30))
}

/// The declared ports of a container.
#[must_use]
pub fn ports(container: &Value) -> Vec<u16> {
    let ports = container["ports"].as_array().into_iter().flatten();
    ports
        .filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
        .collect()
}

/// kubelet's name for a container in events.
#[must_use]
pub fn field_path(slot: Slot, name: &str) -> String {
    match slot {
        Slot::Init(_) => format!("spec.initContainers{{{name}}}"),
        Slot::Main(_) => format!("spec.containers{{{name}}}"),
    }
}

impl Limits {
    /// Of a container of the pod.
    #[must_use]
    pub fn of(pod: &Object, container: &Value) -> Self {
        let resources = &container["resources"];
        let memory = resources["limits"]["memory"]
            .as_str()
            .and_then(|text| quantity::bytes(text).ok());
        let cpu = |bound: &str| quantity::millicores(resources[bound]["cpu"].as_str()?).ok();
        let limit = cpu("limits").filter(|millis| *millis > 0);
        let share = limit.or_else(|| cpu("requests"));
        let number = |annotation: &str| {
            pod.annotation(annotation)?
                .parse::<u32>()
                .ok()
                .filter(|number| *number > 0)
        };
        Self {
            memory: memory.unwrap_or(DEFAULT_MEMORY),
            cpu_share: share
                .map_or(1, |millis| {
                    u32::try_from(millis.div_ceil(500)).unwrap_or(u32::MAX)
                })
                .clamp(1, 64),
            cpu_limit: limit.map(|millis| u32::try_from(millis).unwrap_or(u32::MAX)),
            instances: number(MAX_INSTANCES).unwrap_or(INSTANCES),
            requests_per_instance: number(REQUESTS).unwrap_or(REQUESTS_PER_INSTANCE),
            queued: QUEUED,
            deadline: number(REQUEST_TIMEOUT)
                .map_or(DEADLINE, |seconds| Duration::from_secs(seconds.into())),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_come_from_resources_and_annotations() {
        let pod = |annotations: Value| {
            Object::from_value(json!({"metadata": {"annotations": annotations}})).unwrap()
        };
        let plain = Limits::of(&pod(json!({})), &json!({}));
        assert_eq!(
            (plain.memory, plain.cpu_share, plain.cpu_limit),
            (DEFAULT_MEMORY, 1, None)
        );
        assert_eq!(plain.instances, INSTANCES);
        let container = json!({"resources": {"limits": {"memory": "16Mi", "cpu": "2"}}});
        let set = Limits::of(
            &pod(json!({MAX_INSTANCES: "1", REQUEST_TIMEOUT: "5"})),
            &container,
        );
        assert_eq!((set.memory, set.cpu_share, set.instances), (16 << 20, 4, 1));
        assert_eq!(set.cpu_limit, Some(2000));
        let asked = json!({"resources": {"requests": {"cpu": "2"}}});
        let asked = Limits::of(&pod(json!({})), &asked);
        assert_eq!((asked.cpu_share, asked.cpu_limit), (4, None));
        assert_eq!(set.deadline, Duration::from_secs(5));
    }
}
