//! What keeps pods running, and what stands behind services.

use super::{BASE, Scale, Status};
use crate::resource::Resource;

/// All of them.
pub(super) const TABLE: &[&Resource] = &[
    &DEPLOYMENTS,
    &REPLICA_SETS,
    &JOBS,
    &CRON_JOBS,
    &ENDPOINT_SLICES,
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
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    schema: "io.k8s.api.discovery.v1.EndpointSlice",
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
/// Replica sets.
pub static REPLICA_SETS: Resource = Resource {
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    schema: "io.k8s.api.apps.v1.ReplicaSet",
    ..APPS
};
