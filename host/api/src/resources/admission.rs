//! Kinds by which people have writes judged and changed: policies in CEL, and webhooks.

use super::BASE;
use crate::resource::{Resource, Subresource::Status};

const CLUSTER: Resource = Resource {
    group: "admissionregistration.k8s.io",
    namespaced: false,
    categories: &["api-extensions"],
    ..BASE
};

/// Policies in CEL.
pub static VALIDATING_ADMISSION_POLICIES: Resource = Resource {
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
    singular: "validatingadmissionpolicy",
    subresources: &[Status],
    schema: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    ..CLUSTER
};
/// Where policies in CEL hold.
pub static VALIDATING_ADMISSION_POLICY_BINDINGS: Resource = Resource {
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
    singular: "validatingadmissionpolicybinding",
    schema: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    ..CLUSTER
};
/// Webhooks that judge writes.
pub static VALIDATING_WEBHOOK_CONFIGURATIONS: Resource = Resource {
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    singular: "validatingwebhookconfiguration",
    schema: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    ..CLUSTER
};
/// Webhooks that change writes.
pub static MUTATING_WEBHOOK_CONFIGURATIONS: Resource = Resource {
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    singular: "mutatingwebhookconfiguration",
    schema: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    ..CLUSTER
};

pub(super) static TABLE: &[&Resource] = &[
    &MUTATING_WEBHOOK_CONFIGURATIONS,
    &VALIDATING_ADMISSION_POLICIES,
    &VALIDATING_ADMISSION_POLICY_BINDINGS,
    &VALIDATING_WEBHOOK_CONFIGURATIONS,
];
