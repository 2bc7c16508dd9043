//! What is used, as `kubectl top` reads it. Nothing of it is stored: it is asked for at the nodes when it is read.

use super::BASE;
use crate::resource::Resource;

const GROUP: &str = "metrics.k8s.io";
const VERSIONS: &[&str] = &["v1beta1"];
const READ: &[&str] = &["get", "list"];

/// The metric of the mesh: requests that a pod gets in a second.
pub const REQUESTS_PER_SECOND: &str = "istio_requests_per_second";

/// What nodes use.
pub static NODE_METRICS: Resource = Resource {
    group: GROUP,
    versions: VERSIONS,
    kind: "NodeMetrics",
    plural: "nodes",
    namespaced: false,
    verbs: READ,
    schema: "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics",
    ..BASE
};
/// What pods use.
pub static POD_METRICS: Resource = Resource {
    group: GROUP,
    versions: VERSIONS,
    kind: "PodMetrics",
    plural: "pods",
    verbs: READ,
    schema: "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics",
    ..BASE
};

/// How many requests pods get, by the name of the metric: `pods/NAME/METRIC`, or `pods/*/METRIC` for all.
pub static CUSTOM_METRICS: Resource = Resource {
    group: "custom.metrics.k8s.io",
    versions: &["v1beta2", "v1beta1"],
    kind: "MetricValueList",
    plural: "pods",
    verbs: &["get"],
    schema: "io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricValueList",
    ..BASE
};

pub(super) static TABLE: &[&Resource] = &[&NODE_METRICS, &POD_METRICS, &CUSTOM_METRICS];
