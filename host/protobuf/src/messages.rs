//! The fields of the messages that are read, with the numbers of Kubernetes' `generated.proto` files.

mod access;

/// The fields of a message.
pub(super) type Shape = &'static [Field];

/// One field.
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    /// A bool that is unset when it is false.
    Flag,
    Bytes,
    Message(Shape),
    /// A message of the table of workloads.
    Named(&'static str),
    /// The same, whose fields are those of the message around it in JSON.
    Inside(&'static str),
    /// A map from text to this.
    TextMap,
    BytesMap,
    /// A map from text to `resource.Quantity`.
    QuantityMap,
    /// A map from text to a message with a list of texts.
    ListMap,
    /// A number that is written only if it is set: zero is a value.
    SetNumber,
    Quantity,
    /// `meta.v1.Time`.
    Time,
    /// `meta.v1.MicroTime`.
    MicroTime,
    /// `runtime.RawExtension`: JSON in a message.
    Raw,
    IntOrString,
    /// As [`Kind::SetNumber`].
    SetIntOrString,
    /// Set by the server alone.
    Ignored,
}

const fn field(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
    }
}

const fn many(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: true,
    }
}

pub(super) const fn text(number: u64, name: &'static str) -> Field {
    field(number, name, Kind::Text)
}

pub(super) const fn number(number: u64, name: &'static str) -> Field {
    field(number, name, Kind::Number)
}

const OWNER: Shape = &[
    text(1, "kind"),
    text(3, "name"),
    text(4, "uid"),
    text(5, "apiVersion"),
    field(6, "controller", Kind::Bool),
    field(7, "blockOwnerDeletion", Kind::Bool),
];

const METADATA: Shape = &[
    text(1, "name"),
    text(2, "generateName"),
    text(3, "namespace"),
    text(4, "selfLink"),
    text(5, "uid"),
    text(6, "resourceVersion"),
    number(7, "generation"),
    field(8, "creationTimestamp", Kind::Time),
    field(9, "deletionTimestamp", Kind::Time),
    number(10, "deletionGracePeriodSeconds"),
    field(11, "labels", Kind::TextMap),
    field(12, "annotations", Kind::TextMap),
    many(13, "ownerReferences", Kind::Message(OWNER)),
    many(14, "finalizers", Kind::Text),
    field(17, "managedFields", Kind::Ignored),
];

const fn metadata() -> Field {
    field(1, "metadata", Kind::Message(METADATA))
}

const CONFIG_MAP: Shape = &[
    metadata(),
    field(2, "data", Kind::TextMap),
    field(3, "binaryData", Kind::BytesMap),
    field(4, "immutable", Kind::Bool),
];

const SECRET: Shape = &[
    metadata(),
    field(2, "data", Kind::BytesMap),
    text(3, "type"),
    field(4, "stringData", Kind::TextMap),
    field(5, "immutable", Kind::Bool),
];

const NAMESPACE: Shape = &[
    metadata(),
    field(
        2,
        "spec",
        Kind::Message(&[many(1, "finalizers", Kind::Text)]),
    ),
    field(3, "status", Kind::Ignored),
];

const REFERENCE: Shape = &[
    text(1, "kind"),
    text(2, "namespace"),
    text(3, "name"),
    text(4, "uid"),
    text(5, "apiVersion"),
    text(6, "resourceVersion"),
    text(7, "fieldPath"),
];

const SERVICE_ACCOUNT: Shape = &[
    metadata(),
    many(2, "secrets", Kind::Message(REFERENCE)),
    many(3, "imagePullSecrets", Kind::Message(&[text(1, "name")])),
    field(4, "automountServiceAccountToken", Kind::Bool),
];

const SERVICE_PORT: Shape = &[
    text(1, "name"),
    text(2, "protocol"),
    number(3, "port"),
    field(4, "targetPort", Kind::IntOrString),
    number(5, "nodePort"),
    text(6, "appProtocol"),
];

const CLIENT_IP: Shape = &[number(1, "timeoutSeconds")];

const SERVICE_SPEC: Shape = &[
    many(1, "ports", Kind::Message(SERVICE_PORT)),
    field(2, "selector", Kind::TextMap),
    text(3, "clusterIP"),
    text(4, "type"),
    many(5, "externalIPs", Kind::Text),
    text(7, "sessionAffinity"),
    text(8, "loadBalancerIP"),
    many(9, "loadBalancerSourceRanges", Kind::Text),
    text(10, "externalName"),
    text(11, "externalTrafficPolicy"),
    number(12, "healthCheckNodePort"),
    field(13, "publishNotReadyAddresses", Kind::Flag),
    field(
        14,
        "sessionAffinityConfig",
        Kind::Message(&[field(1, "clientIP", Kind::Message(CLIENT_IP))]),
    ),
    text(17, "ipFamilyPolicy"),
    many(18, "clusterIPs", Kind::Text),
    many(19, "ipFamilies", Kind::Text),
    field(20, "allocateLoadBalancerNodePorts", Kind::Bool),
    text(21, "loadBalancerClass"),
    text(22, "internalTrafficPolicy"),
    text(23, "trafficDistribution"),
];

const SERVICE: Shape = &[
    metadata(),
    field(2, "spec", Kind::Message(SERVICE_SPEC)),
    field(3, "status", Kind::Ignored),
];

/// `meta.v1.DeleteOptions`.
pub(super) const DELETE_OPTIONS: Shape = &[
    number(1, "gracePeriodSeconds"),
    field(
        2,
        "preconditions",
        Kind::Message(&[text(1, "uid"), text(2, "resourceVersion")]),
    ),
    field(3, "orphanDependents", Kind::Bool),
    text(4, "propagationPolicy"),
    many(5, "dryRun", Kind::Text),
];

const KINDS: [(&str, Shape); 5] = [
    ("ConfigMap", CONFIG_MAP),
    ("Namespace", NAMESPACE),
    ("Secret", SECRET),
    ("Service", SERVICE),
    ("ServiceAccount", SERVICE_ACCOUNT),
];

/// The fields of a kind.
pub(super) fn kind(api_version: &str, name: &str) -> Option<Shape> {
    all()
        .find(|(version, kind, _)| *version == api_version && *kind == name)
        .map(|(_, _, shape)| shape)
}

fn all() -> impl Iterator<Item = (&'static str, &'static str, Shape)> {
    let core = KINDS.iter().map(|(kind, shape)| ("v1", *kind, *shape));
    core.chain(access::KINDS.iter().copied())
}

/// The kinds that are read.
pub(super) fn names() -> Vec<&'static str> {
    all().map(|(_, name, _)| name).collect()
}
