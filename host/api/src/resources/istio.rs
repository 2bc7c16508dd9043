//! Istio's kinds beside those of traffic: who may call and which tokens count, and what is kept and told of, and not acted on.

use super::{BASE, ISTIO_GROUP, Resource, Status};

const SECURITY_GROUP: &str = "security.istio.io";
const SECURITY: &[&str] = &["v1", "v1beta1"];

/// Who may call pods.
pub static AUTHORIZATION_POLICIES: Resource = Resource {
    group: SECURITY_GROUP,
    versions: SECURITY,
    kind: "AuthorizationPolicy",
    plural: "authorizationpolicies",
    singular: "authorizationpolicy",
    short_names: &["ap"],
    categories: &["istio-io", "security-istio-io"],
    subresources: &[Status],
    schema: "io.istio.security.v1.AuthorizationPolicy",
    ..BASE
};
/// Which tokens calls may bring.
pub static REQUEST_AUTHENTICATIONS: Resource = Resource {
    group: SECURITY_GROUP,
    versions: SECURITY,
    kind: "RequestAuthentication",
    plural: "requestauthentications",
    singular: "requestauthentication",
    short_names: &["ra"],
    categories: &["istio-io", "security-istio-io"],
    subresources: &[Status],
    schema: "io.istio.security.v1.RequestAuthentication",
    ..BASE
};
/// Changes of the configuration of Envoys.
pub static ENVOY_FILTERS: Resource = Resource {
    group: ISTIO_GROUP,
    versions: &["v1alpha3"],
    kind: "EnvoyFilter",
    plural: "envoyfilters",
    singular: "envoyfilter",
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1alpha3.EnvoyFilter",
    ..BASE
};
/// What is told of calls.
pub static TELEMETRIES: Resource = Resource {
    group: "telemetry.istio.io",
    versions: &["v1", "v1alpha1"],
    kind: "Telemetry",
    plural: "telemetries",
    singular: "telemetry",
    short_names: &["telemetry"],
    categories: &["istio-io", "telemetry-istio-io"],
    subresources: &[Status],
    schema: "io.istio.telemetry.v1.Telemetry",
    ..BASE
};

pub(super) static TABLE: &[&Resource] = &[
    &AUTHORIZATION_POLICIES,
    &REQUEST_AUTHENTICATIONS,
    &ENVOY_FILTERS,
    &TELEMETRIES,
];
