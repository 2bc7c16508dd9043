//! Roles, bindings, reviews, tokens, quotas and priorities: what `kubectl create` and `kubectl auth` send.

use super::{Kind, Shape, field, many, metadata, number, text};

const RULE: Shape = &[
    many(1, "verbs", Kind::Text),
    many(2, "apiGroups", Kind::Text),
    many(3, "resources", Kind::Text),
    many(4, "resourceNames", Kind::Text),
    many(5, "nonResourceURLs", Kind::Text),
];

const REQUIREMENT: Shape = &[
    text(1, "key"),
    text(2, "operator"),
    many(3, "values", Kind::Text),
];

const SELECTOR: Shape = &[
    field(1, "matchLabels", Kind::TextMap),
    many(2, "matchExpressions", Kind::Message(REQUIREMENT)),
];

const AGGREGATION: Shape = &[many(1, "clusterRoleSelectors", Kind::Message(SELECTOR))];

const ROLE: Shape = &[metadata(), many(2, "rules", Kind::Message(RULE))];

const CLUSTER_ROLE: Shape = &[
    metadata(),
    many(2, "rules", Kind::Message(RULE)),
    field(3, "aggregationRule", Kind::Message(AGGREGATION)),
];

const SUBJECT: Shape = &[
    text(1, "kind"),
    text(2, "apiGroup"),
    text(3, "name"),
    text(4, "namespace"),
];

const ROLE_REF: Shape = &[text(1, "apiGroup"), text(2, "kind"), text(3, "name")];

const BINDING: Shape = &[
    metadata(),
    many(2, "subjects", Kind::Message(SUBJECT)),
    field(3, "roleRef", Kind::Message(ROLE_REF)),
];

const RESOURCE_ATTRIBUTES: Shape = &[
    text(1, "namespace"),
    text(2, "verb"),
    text(3, "group"),
    text(4, "version"),
    text(5, "resource"),
    text(6, "subresource"),
    text(7, "name"),
];

const URL_ATTRIBUTES: Shape = &[text(1, "path"), text(2, "verb")];

const SELF_ACCESS: Shape = &[
    field(1, "resourceAttributes", Kind::Message(RESOURCE_ATTRIBUTES)),
    field(2, "nonResourceAttributes", Kind::Message(URL_ATTRIBUTES)),
];

const SELF_ACCESS_REVIEW: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(SELF_ACCESS)),
    field(3, "status", Kind::Ignored),
];

const ACCESS: Shape = &[
    field(1, "resourceAttributes", Kind::Message(RESOURCE_ATTRIBUTES)),
    field(2, "nonResourceAttributes", Kind::Message(URL_ATTRIBUTES)),
    text(3, "user"),
    many(4, "groups", Kind::Text),
    text(6, "uid"),
];

const ACCESS_REVIEW: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(ACCESS)),
    field(3, "status", Kind::Ignored),
];

const RULES_REVIEW: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(&[text(1, "namespace")])),
    field(3, "status", Kind::Ignored),
];

const SELF_REVIEW: Shape = &[metadata(), field(2, "status", Kind::Ignored)];

const BOUND: Shape = &[
    text(1, "kind"),
    text(2, "apiVersion"),
    text(3, "name"),
    text(4, "uid"),
];

const TOKEN: Shape = &[
    many(1, "audiences", Kind::Text),
    field(3, "boundObjectRef", Kind::Message(BOUND)),
    number(4, "expirationSeconds"),
];

const TOKEN_REQUEST: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(TOKEN)),
    field(3, "status", Kind::Ignored),
];

const TOKEN_REVIEW: Shape = &[
    metadata(),
    field(
        2,
        "spec",
        Kind::Message(&[text(1, "token"), many(2, "audiences", Kind::Text)]),
    ),
    field(3, "status", Kind::Ignored),
];

const SCOPED: Shape = &[
    text(1, "scopeName"),
    text(2, "operator"),
    many(3, "values", Kind::Text),
];

const QUOTA_SPEC: Shape = &[
    field(1, "hard", Kind::QuantityMap),
    many(2, "scopes", Kind::Text),
    field(
        3,
        "scopeSelector",
        Kind::Message(&[many(1, "matchExpressions", Kind::Message(SCOPED))]),
    ),
];

const QUOTA: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(QUOTA_SPEC)),
    field(3, "status", Kind::Ignored),
];

const PRIORITY: Shape = &[
    metadata(),
    number(2, "value"),
    field(3, "globalDefault", Kind::Flag),
    text(4, "description"),
    text(5, "preemptionPolicy"),
];

/// Group version, kind and fields.
pub(super) const KINDS: &[(&str, &str, Shape)] = &[
    ("rbac.authorization.k8s.io/v1", "Role", ROLE),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", CLUSTER_ROLE),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", BINDING),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        BINDING,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        SELF_ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SubjectAccessReview",
        ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "LocalSubjectAccessReview",
        ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        RULES_REVIEW,
    ),
    ("authentication.k8s.io/v1", "SelfSubjectReview", SELF_REVIEW),
    ("authentication.k8s.io/v1", "TokenRequest", TOKEN_REQUEST),
    ("authentication.k8s.io/v1", "TokenReview", TOKEN_REVIEW),
    ("v1", "ResourceQuota", QUOTA),
    ("scheduling.k8s.io/v1", "PriorityClass", PRIORITY),
];
