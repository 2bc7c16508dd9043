//! What keeps pods running, and what stands behind services.

use super::{BASE, Scale, Status};
use crate::resource::Resource;

/// On an autoscaler: how long calls are held for its target while that has no pods; on a Service: that they are, and how long.
pub const HOLD: &str = "autoscaling.osier.dev/hold";
/// On a Node: the Services for which calls are held there, `NAMESPACE/NAME,...`.
pub const HELD: &str = "autoscaling.osier.dev/held";

/// All of them.
pub(super) const TABLE: &[&Resource] = &[
    &CONTROLLER_REVISIONS,
    &DAEMON_SETS,
    &DEPLOYMENTS,
    &POD_DISRUPTION_BUDGETS,
    &REPLICA_SETS,
    &STATEFUL_SETS,
    &JOBS,
    &CRON_JOBS,
    &ENDPOINT_SLICES,
    &HORIZONTAL_POD_AUTOSCALERS,
];

const APPS: Resource = Resource {
    group: "apps",
    categories: &["all"],
    subresources: &[Scale, Status],
    ..BASE
};

const BATCH: Resource = Resource {
    group: "batch",
    categories: &["all"],
    subresources: &[Status],
    ..BASE
};

/// Endpoint slices: what stands behind a service.
pub static ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    versions: &["v1", "v1beta1"],
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    schema: "io.k8s.api.discovery.v1.EndpointSlice",
    ..BASE
};
/// Horizontal pod autoscalers: how many replicas by what is used and asked.
pub static HORIZONTAL_POD_AUTOSCALERS: Resource = Resource {
    group: "autoscaling",
    versions: &["v2", "v1", "v2beta2"],
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[Status],
    schema: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    ..BASE
};
/// Jobs: pods that end.
pub static JOBS: Resource = Resource {
    kind: "Job",
    plural: "jobs",
    singular: "job",
    schema: "io.k8s.api.batch.v1.Job",
    ..BATCH
};
/// Jobs by the clock.
pub static CRON_JOBS: Resource = Resource {
    versions: &["v1", "v1beta1"],
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    schema: "io.k8s.api.batch.v1.CronJob",
    ..BATCH
};
/// Deployments.
pub static DEPLOYMENTS: Resource = Resource {
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    schema: "io.k8s.api.apps.v1.Deployment",
    ..APPS
};
/// Controller revisions: what a template was at a time.
pub static CONTROLLER_REVISIONS: Resource = Resource {
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    categories: &[],
    subresources: &[],
    schema: "io.k8s.api.apps.v1.ControllerRevision",
    ..APPS
};
/// Daemon sets: one pod on each node.
pub static DAEMON_SETS: Resource = Resource {
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    subresources: &[Status],
    schema: "io.k8s.api.apps.v1.DaemonSet",
    ..APPS
};
/// Stateful sets: pods with names that stay.
pub static STATEFUL_SETS: Resource = Resource {
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    schema: "io.k8s.api.apps.v1.StatefulSet",
    ..APPS
};
/// Pod disruption budgets: how many of some pods may be asked to leave.
pub static POD_DISRUPTION_BUDGETS: Resource = Resource {
    group: "policy",
    versions: &["v1", "v1beta1"],
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[Status],
    schema: "io.k8s.api.policy.v1.PodDisruptionBudget",
    ..BASE
};
/// Replica sets.
pub static REPLICA_SETS: Resource = Resource {
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    schema: "io.k8s.api.apps.v1.ReplicaSet",
    ..APPS
};
