//! Kinds of who may do what: roles, bindings, and the questions about them.

use super::BASE;
use crate::resource::Resource;
use crate::resource::Subresource::{Approval, Status};

const GROUP: &str = "rbac.authorization.k8s.io";
/// What nobody stores: a review is answered where it is created.
const ASK: &[&str] = &["create"];

/// What can be done in one namespace.
pub static ROLES: Resource = Resource {
    group: GROUP,
    kind: "Role",
    plural: "roles",
    singular: "role",
    schema: "io.k8s.api.rbac.v1.Role",
    ..BASE
};
/// What can be done, wherever it is bound.
pub static CLUSTER_ROLES: Resource = Resource {
    group: GROUP,
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    namespaced: false,
    schema: "io.k8s.api.rbac.v1.ClusterRole",
    ..BASE
};
/// Who has a role in one namespace.
pub static ROLE_BINDINGS: Resource = Resource {
    group: GROUP,
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    schema: "io.k8s.api.rbac.v1.RoleBinding",
    ..BASE
};
/// Who has a role everywhere.
pub static CLUSTER_ROLE_BINDINGS: Resource = Resource {
    group: GROUP,
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    namespaced: false,
    schema: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    ..BASE
};
/// Asks for a certificate.
pub static CERTIFICATE_SIGNING_REQUESTS: Resource = Resource {
    group: "certificates.k8s.io",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    namespaced: false,
    subresources: &[Approval, Status],
    schema: "io.k8s.api.certificates.v1.CertificateSigningRequest",
    ..BASE
};
/// May somebody do this?
pub static SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    namespaced: false,
    verbs: ASK,
    schema: "io.k8s.api.authorization.v1.SubjectAccessReview",
    ..BASE
};
/// May somebody do this here?
pub static LOCAL_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    verbs: ASK,
    schema: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    ..BASE
};
/// May I do this?
pub static SELF_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    namespaced: false,
    verbs: ASK,
    schema: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    ..BASE
};
/// What may I do here?
pub static SELF_SUBJECT_RULES_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    namespaced: false,
    verbs: ASK,
    schema: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    ..BASE
};
/// Whose token is this?
pub static TOKEN_REVIEWS: Resource = Resource {
    group: "authentication.k8s.io",
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    namespaced: false,
    verbs: ASK,
    schema: "io.k8s.api.authentication.v1.TokenReview",
    ..BASE
};
/// Who am I?
pub static SELF_SUBJECT_REVIEWS: Resource = Resource {
    group: "authentication.k8s.io",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    namespaced: false,
    verbs: ASK,
    schema: "io.k8s.api.authentication.v1.SelfSubjectReview",
    ..BASE
};

pub(super) static TABLE: &[&Resource] = &[
    &CLUSTER_ROLE_BINDINGS,
    &CLUSTER_ROLES,
    &ROLE_BINDINGS,
    &ROLES,
    &CERTIFICATE_SIGNING_REQUESTS,
    &LOCAL_SUBJECT_ACCESS_REVIEWS,
    &SELF_SUBJECT_ACCESS_REVIEWS,
    &SELF_SUBJECT_RULES_REVIEWS,
    &SUBJECT_ACCESS_REVIEWS,
    &SELF_SUBJECT_REVIEWS,
    &TOKEN_REVIEWS,
];
