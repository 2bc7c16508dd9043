//! What the agent reads off a pod's spec. Pure.

use std::time::Duration;

use osier_api::{Object, quantity};
use serde_json::Value;

use super::Slot;
use crate::life::RestartPolicy;

/// Bytes of linear memory of a container that declares no limit.
pub(crate) const DEFAULT_MEMORY: u64 = 128 << 20;
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
pub(super) struct Limits {
    pub(super) memory: u64,
    pub(super) cpu_share: u32,
    pub(super) instances: u32,
    pub(super) requests_per_instance: u32,
    pub(super) queued: u32,
    pub(super) deadline: Duration,
}

pub(super) fn containers<'a>(pod: &'a Object, field: &str) -> &'a [Value] {
    let containers = pod.get(&["spec", field]).and_then(Value::as_array);
    containers.map_or(&[], Vec::as_slice)
}

pub(super) fn container(pod: &Object, slot: Slot) -> Option<&Value> {
    match slot {
        Slot::Init(index) => containers(pod, "initContainers").get(index),
        Slot::Main(index) => containers(pod, "containers").get(index),
    }
}

pub(super) fn restart_policy(pod: &Object) -> RestartPolicy {
    RestartPolicy::parse(pod.text(&["spec", "restartPolicy"]))
}

/// How long a pod that is being deleted may take.
pub(super) fn grace(pod: &Object) -> Duration {
    let asked = pod
        .get(&["metadata", "deletionGracePeriodSeconds"])
        .and_then(Value::as_u64);
    let declared = pod
        .get(&["spec", "terminationGracePeriodSeconds"])
        .and_then(Value::as_u64);
    Duration::from_secs(asked.or(declared).unwrap_or(30))
}

/// The declared ports of a container.
pub(super) fn ports(container: &Value) -> Vec<u16> {
    let ports = container["ports"].as_array().into_iter().flatten();
    ports
        .filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
        .collect()
}

/// kubelet's name for a container in events.
pub(super) fn field_path(slot: Slot, name: &str) -> String {
    match slot {
        Slot::Init(_) => format!("spec.initContainers{{{name}}}"),
        Slot::Main(_) => format!("spec.containers{{{name}}}"),
    }
}

impl Limits {
    pub(super) fn of(pod: &Object, container: &Value) -> Self {
        let resources = &container["resources"];
        let memory = resources["limits"]["memory"]
            .as_str()
            .and_then(|text| quantity::bytes(text).ok());
        let cpu = [&resources["limits"]["cpu"], &resources["requests"]["cpu"]];
        let cpu = cpu
            .iter()
            .find_map(|cpu| quantity::millicores(cpu.as_str()?).ok());
        let number = |annotation: &str| {
            pod.annotation(annotation)?
                .parse::<u32>()
                .ok()
                .filter(|number| *number > 0)
        };
        Self {
            memory: memory.unwrap_or(DEFAULT_MEMORY),
            cpu_share: cpu
                .map_or(1, |millis| {
                    u32::try_from(millis.div_ceil(500)).unwrap_or(u32::MAX)
                })
                .clamp(1, 64),
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
            (plain.memory, plain.cpu_share, plain.instances),
            (DEFAULT_MEMORY, 1, INSTANCES)
        );
        let container = json!({"resources": {"limits": {"memory": "16Mi", "cpu": "2"}}});
        let set = Limits::of(
            &pod(json!({MAX_INSTANCES: "1", REQUEST_TIMEOUT: "5"})),
            &container,
        );
        assert_eq!((set.memory, set.cpu_share, set.instances), (16 << 20, 4, 1));
        assert_eq!(set.deadline, Duration::from_secs(5));
    }
}
