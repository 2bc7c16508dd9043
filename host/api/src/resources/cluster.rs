//! Kinds that bound and describe what runs: limits, quotas, priorities, templates, volumes and their classes, network policies.

use super::BASE;
use crate::resource::{Resource, Subresource::Status};

/// The parts of the control plane, and whether each does its work. Nothing of it is stored.
pub static COMPONENT_STATUSES: Resource = Resource {
    kind: "ComponentStatus",
    plural: "componentstatuses",
    singular: "componentstatus",
    short_names: &["cs"],
    namespaced: false,
    verbs: &["get", "list"],
    schema: "io.k8s.api.core.v1.ComponentStatus",
    ..BASE
};
/// Puts a pod on a node; the same as its subresource, and kept nowhere either.
pub static BINDINGS: Resource = Resource {
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    verbs: &["create"],
    schema: "io.k8s.api.core.v1.Binding",
    ..BASE
};
/// Limits of single pods and claims in a namespace.
pub static LIMIT_RANGES: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    schema: "io.k8s.api.core.v1.LimitRange",
    ..BASE
};
/// Limits of a whole namespace.
pub static RESOURCE_QUOTAS: Resource = Resource {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: &[Status],
    schema: "io.k8s.api.core.v1.ResourceQuota",
    ..BASE
};
/// How important pods are.
pub static PRIORITY_CLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    schema: "io.k8s.api.scheduling.v1.PriorityClass",
    ..BASE
};
/// Templates of pods.
pub static POD_TEMPLATES: Resource = Resource {
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    schema: "io.k8s.api.core.v1.PodTemplate",
    ..BASE
};
/// Storage that there is.
pub static PERSISTENT_VOLUMES: Resource = Resource {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    namespaced: false,
    subresources: &[Status],
    schema: "io.k8s.api.core.v1.PersistentVolume",
    ..BASE
};
/// Storage that somebody asks for.
pub static PERSISTENT_VOLUME_CLAIMS: Resource = Resource {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: &[Status],
    schema: "io.k8s.api.core.v1.PersistentVolumeClaim",
    ..BASE
};
/// How volumes are made for claims.
pub static STORAGE_CLASSES: Resource = Resource {
    group: "storage.k8s.io",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    namespaced: false,
    schema: "io.k8s.api.storage.v1.StorageClass",
    ..BASE
};
/// Who may talk to whom.
pub static NETWORK_POLICIES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    schema: "io.k8s.api.networking.v1.NetworkPolicy",
    ..BASE
};

pub(super) static TABLE: &[&Resource] = &[
    &BINDINGS,
    &COMPONENT_STATUSES,
    &LIMIT_RANGES,
    &PERSISTENT_VOLUME_CLAIMS,
    &PERSISTENT_VOLUMES,
    &POD_TEMPLATES,
    &RESOURCE_QUOTAS,
    &NETWORK_POLICIES,
    &PRIORITY_CLASSES,
    &STORAGE_CLASSES,
];
