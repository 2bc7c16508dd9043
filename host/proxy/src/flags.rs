//! What went wrong with a call, in Envoy's letters
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags>).

use http::StatusCode;
use osier_upstream::Failure;

/// The one thing that decided how a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Flag {
    /// Nothing went wrong.
    #[default]
    None,
    /// No rule for the request.
    NoRoute,
    /// The rule names a service, port or subset that does not exist.
    NoCluster,
    /// The cluster has no ready endpoint.
    NoEndpoint,
    /// No endpoint could be reached.
    Unreachable,
    /// The endpoint is overloaded.
    Overflow,
    /// The endpoint ended the exchange early.
    Reset,
    /// The endpoint's answer is no HTTP.
    Protocol,
    /// The endpoint took too long.
    Timeout,
    /// The caller went away.
    CallerGone,
    /// Policy refused.
    Denied,
    /// Policy refused because of a rate.
    RateLimited,
    /// A fault was injected.
    Fault,
    /// The request breaks the protocol or a limit.
    BadRequest,
}

impl Flag {
    /// Envoy's letters; `-` for none.
    pub(crate) fn letters(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::NoRoute => "NR",
            Self::NoCluster => "NC",
            Self::NoEndpoint => "UH",
            Self::Unreachable => "UF",
            Self::Overflow => "UO",
            Self::Reset => "UC",
            Self::Protocol => "UPE",
            Self::Timeout => "UT",
            Self::CallerGone => "DC",
            Self::Denied => "UAEX",
            Self::RateLimited => "RL",
            Self::Fault => "FI",
            Self::BadRequest => "DPE",
        }
    }
}

/// What the caller gets of a failure, in Envoy's terms.
pub(crate) fn shown(failure: &Failure) -> (StatusCode, Flag) {
    match failure {
        Failure::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, Flag::Unreachable),
        Failure::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, Flag::Overflow),
        Failure::Reset(_) => (StatusCode::SERVICE_UNAVAILABLE, Flag::Reset),
        Failure::Protocol(_) => (StatusCode::BAD_GATEWAY, Flag::Protocol),
        Failure::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, Flag::Timeout),
    }
}
