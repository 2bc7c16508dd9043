//! Pods and replication controllers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IntOrString, views};

views! {
    /// `spec` of a Pod.
    pub struct PodSpec {
        /// The node it is bound to; empty until scheduled.
        node_name: String,
        /// Containers.
        containers: Vec<Container>,
        /// Containers that run to completion before the others start.
        init_containers: Vec<Container>,
        /// `Always`, `OnFailure` or `Never`.
        restart_policy: String,
        /// Seconds between the request to stop and the kill.
        termination_grace_period_seconds: Option<i64>,
        /// Seconds after which the whole pod fails.
        active_deadline_seconds: Option<i64>,
        /// The identity it runs under.
        service_account_name: String,
        /// Which scheduler binds it.
        scheduler_name: String,
        /// Labels that its node must carry.
        node_selector: BTreeMap<String, String>,
        /// Rules about nodes and neighbours, as JSON.
        affinity: Option<Value>,
        /// Taints that it bears.
        tolerations: Vec<Toleration>,
        /// Volumes, as JSON.
        volumes: Vec<Value>,
        /// Host name inside the pod.
        hostname: String,
        /// Subdomain of the host name.
        subdomain: String,
        /// Scheduling priority.
        priority: Option<i32>,
        /// Resources beyond the containers'.
        overhead: BTreeMap<String, String>,
        /// Gates that must pass for readiness.
        readiness_gates: Vec<ReadinessGate>,
    }

    /// One extra condition for readiness.
    pub struct ReadinessGate {
        /// The condition's type.
        condition_type: String,
    }

    /// One container.
    pub struct Container {
        /// Name, unique in the pod.
        name: String,
        /// What runs: an imported name, `file://`, `builtin://` or `oci://`.
        image: String,
        /// `Always`, `IfNotPresent` or `Never`.
        image_pull_policy: String,
        /// Entry point; for a component, the first arguments.
        command: Vec<String>,
        /// Arguments.
        args: Vec<String>,
        /// Variables.
        env: Vec<EnvVar>,
        /// Whole maps of variables.
        env_from: Vec<EnvFromSource>,
        /// Ports it serves.
        ports: Vec<ContainerPort>,
        /// Requests and limits.
        resources: ResourceRequirements,
        /// When to restart.
        liveness_probe: Option<Probe>,
        /// When to send traffic.
        readiness_probe: Option<Probe>,
        /// When it has started.
        startup_probe: Option<Probe>,
        /// Volumes it sees.
        volume_mounts: Vec<VolumeMount>,
        /// Working directory.
        working_dir: String,
        /// File for its last words.
        termination_message_path: String,
        /// `File` or `FallbackToLogsOnError`.
        termination_message_policy: String,
        /// `Always` for an init container that keeps running.
        restart_policy: Option<String>,
    }

    /// Where a volume is seen.
    pub struct VolumeMount {
        /// The volume.
        name: String,
        /// Path inside.
        mount_path: String,
        /// Path within the volume.
        sub_path: String,
        /// No writes.
        read_only: bool,
    }

    /// One variable.
    pub struct EnvVar {
        /// Name.
        name: String,
        /// Value, with `$(OTHER)` expanded.
        value: Option<String>,
        /// Where the value comes from instead.
        value_from: Option<EnvVarSource>,
    }

    /// Where a variable's value comes from; one is set.
    pub struct EnvVarSource {
        /// A field of the pod: `metadata.name`, `status.podIP`, `metadata.labels['x']`...
        field_ref: Option<ObjectFieldSelector>,
        /// A request or limit of a container.
        resource_field_ref: Option<ResourceFieldSelector>,
        /// A key of a ConfigMap.
        config_map_key_ref: Option<KeySelector>,
        /// A key of a Secret.
        secret_key_ref: Option<KeySelector>,
    }

    /// A field of the pod.
    pub struct ObjectFieldSelector {
        /// Version in which the path is meant.
        api_version: String,
        /// The path.
        field_path: String,
    }

    /// A request or limit of a container.
    pub struct ResourceFieldSelector {
        /// The container; empty for this one.
        container_name: String,
        /// `limits.cpu`, `requests.memory`...
        resource: String,
        /// Unit in which the value is written.
        divisor: Option<String>,
    }

    /// A key of a ConfigMap or Secret.
    pub struct KeySelector {
        /// The object, in the pod's namespace.
        name: String,
        /// The key.
        key: String,
        /// Whether it may be absent.
        optional: Option<bool>,
    }

    /// All keys of a ConfigMap or Secret as variables.
    pub struct EnvFromSource {
        /// Put before each name.
        prefix: String,
        /// A ConfigMap.
        config_map_ref: Option<EnvFromRef>,
        /// A Secret.
        secret_ref: Option<EnvFromRef>,
    }

    /// The ConfigMap or Secret of an [`EnvFromSource`].
    pub struct EnvFromRef {
        /// The object.
        name: String,
        /// Whether it may be absent.
        optional: Option<bool>,
    }

    /// A port that a container serves.
    pub struct ContainerPort {
        /// Name, unique in the pod.
        name: String,
        /// Number.
        container_port: i32,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: String,
        /// Port on the node.
        host_port: Option<i32>,
    }

    /// What a container asks for and may use.
    pub struct ResourceRequirements {
        /// The most it may use.
        limits: BTreeMap<String, String>,
        /// What the scheduler sets aside.
        requests: BTreeMap<String, String>,
    }

    /// A check of a container's health.
    pub struct Probe {
        /// An HTTP request.
        http_get: Option<HttpGetAction>,
        /// A TCP connection.
        tcp_socket: Option<TcpSocketAction>,
        /// A command.
        exec: Option<ExecAction>,
        /// A gRPC health check.
        grpc: Option<GrpcAction>,
        /// Seconds before the first.
        initial_delay_seconds: i32,
        /// Seconds for an answer.
        timeout_seconds: i32,
        /// Seconds between two.
        period_seconds: i32,
        /// Good ones in a row that make it healthy.
        success_threshold: i32,
        /// Bad ones in a row that make it unhealthy.
        failure_threshold: i32,
        /// Overrides the pod's grace period.
        termination_grace_period_seconds: Option<i64>,
    }

    /// An HTTP check.
    pub struct HttpGetAction {
        /// Path.
        path: String,
        /// Number or name of the port.
        port: IntOrString,
        /// Host header.
        host: String,
        /// `HTTP` or `HTTPS`.
        scheme: String,
        /// Headers.
        http_headers: Vec<HttpHeader>,
    }

    /// A header of an HTTP check.
    pub struct HttpHeader {
        /// Name.
        name: String,
        /// Value.
        value: String,
    }

    /// A TCP check.
    pub struct TcpSocketAction {
        /// Number or name of the port.
        port: IntOrString,
        /// Host.
        host: String,
    }

    /// A command check.
    pub struct ExecAction {
        /// The command.
        command: Vec<String>,
    }

    /// A gRPC check.
    pub struct GrpcAction {
        /// Port.
        port: i32,
        /// Service to ask for.
        service: Option<String>,
    }

    /// A taint that a pod bears.
    pub struct Toleration {
        /// The taint's key; empty for all.
        key: String,
        /// `Exists` or `Equal`.
        operator: String,
        /// The taint's value.
        value: String,
        /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`; empty for all.
        effect: String,
        /// For how long.
        toleration_seconds: Option<i64>,
    }

    /// `status` of a Pod.
    pub struct PodStatus {
        /// `Pending`, `Running`, `Succeeded`, `Failed`.
        phase: String,
        /// Conditions.
        conditions: Vec<Condition>,
        /// Why it is in this state, for people.
        message: String,
        /// Why it is in this state, one word.
        reason: String,
        /// Address of its node.
        #[serde(rename = "hostIP")]
        host_ip: String,
        /// Addresses of its node.
        #[serde(rename = "hostIPs")]
        host_ips: Vec<PodIp>,
        /// Its address.
        #[serde(rename = "podIP")]
        pod_ip: String,
        /// Its addresses.
        #[serde(rename = "podIPs")]
        pod_ips: Vec<PodIp>,
        /// When the node agent took it.
        start_time: Option<String>,
        /// Containers.
        container_statuses: Vec<ContainerStatus>,
        /// Init containers.
        init_container_statuses: Vec<ContainerStatus>,
        /// `Guaranteed`, `Burstable`, `BestEffort`.
        qos_class: String,
        /// The spec's generation that this status speaks of.
        observed_generation: Option<i64>,
    }

    /// One address.
    pub struct PodIp {
        /// The address.
        ip: String,
    }

    /// One condition of any object.
    pub struct Condition {
        /// `Ready`, `PodScheduled`...
        r#type: String,
        /// `True`, `False`, `Unknown`.
        status: String,
        /// One word.
        reason: String,
        /// For people.
        message: String,
        /// When the status last changed.
        last_transition_time: Option<String>,
        /// When it was last looked at.
        last_probe_time: Option<String>,
        /// When it was last reported (nodes).
        last_heartbeat_time: Option<String>,
        /// The spec's generation that it speaks of.
        observed_generation: Option<i64>,
    }

    /// What a container does now; one is set.
    pub struct ContainerState {
        /// Not yet or not again running.
        waiting: Option<ContainerStateWaiting>,
        /// Running.
        running: Option<ContainerStateRunning>,
        /// Ended.
        terminated: Option<ContainerStateTerminated>,
    }

    /// Waiting.
    pub struct ContainerStateWaiting {
        /// `ContainerCreating`, `CrashLoopBackOff`, `ErrImagePull`...
        reason: String,
        /// For people.
        message: String,
    }

    /// Running.
    pub struct ContainerStateRunning {
        /// Since when.
        started_at: Option<String>,
    }

    /// `spec` of a ReplicationController.
    pub struct ReplicationControllerSpec {
        /// How many pods.
        replicas: Option<i32>,
        /// Seconds a pod must be ready to count as available.
        min_ready_seconds: i32,
        /// Labels of its pods.
        selector: BTreeMap<String, String>,
        /// The pod to make.
        template: Option<PodTemplateSpec>,
    }

    /// The pod to make.
    pub struct PodTemplateSpec {
        /// Labels and annotations, as JSON.
        metadata: Value,
        /// The pod's spec, as JSON: it is copied whole.
        spec: Value,
    }
}

/// State of one container. Its zeros are written, as clients expect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container.
    pub name: String,
    /// Now.
    pub state: ContainerState,
    /// Before the last restart.
    pub last_state: ContainerState,
    /// Whether it takes traffic.
    pub ready: bool,
    /// How often it was restarted.
    pub restart_count: i32,
    /// The image of the spec.
    pub image: String,
    /// The digest that runs.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// Identity of this run.
    #[serde(rename = "containerID", skip_serializing_if = "String::is_empty")]
    pub container_id: String,
    /// Whether it passed its startup probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<bool>,
}

/// Ended. The exit code is written even if it is zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStateTerminated {
    /// Exit code.
    pub exit_code: i32,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`...
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Identity of this run.
    #[serde(rename = "containerID", skip_serializing_if = "String::is_empty")]
    pub container_id: String,
}

/// `status` of a ReplicationController; `replicas` is written even if it is zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicationControllerStatus {
    /// Pods that exist.
    pub replicas: i32,
    /// Pods whose labels equal the template's.
    #[serde(skip_serializing_if = "crate::typed::zero")]
    pub fully_labeled_replicas: i32,
    /// Pods that are ready.
    #[serde(skip_serializing_if = "crate::typed::zero")]
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    #[serde(skip_serializing_if = "crate::typed::zero")]
    pub available_replicas: i32,
    /// The spec's generation that this status speaks of.
    #[serde(skip_serializing_if = "crate::typed::zero")]
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
