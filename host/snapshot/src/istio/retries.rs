//! `retries` of a VirtualService: counts, and Envoy's words for what is worth another try.

use std::time::Duration;

use http::HeaderName;

use osier_routing::route::{Retries, RetryOn};
use osier_traffic::Fields;

/// What Istio retries on when the object does not say.
const DEFAULT_ON: &str = "connect-failure,refused-stream,unavailable,cancelled,503";

/// What Envoy's rate limit marks its answers with.
const RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// The most tries that one request may cost.
const MOST_ATTEMPTS: u32 = 25;

/// The least interval that waits grow from.
const LEAST_BACK_OFF: Duration = Duration::from_millis(1);

pub(crate) fn compile(fields: &mut Fields<'_>) -> Retries {
    let attempts = fields.number("attempts").unwrap_or(2u32).min(MOST_ATTEMPTS);
    let per_try_timeout = fields
        .duration("perTryTimeout")
        .filter(|time| !time.is_zero());
    let words = fields
        .text("retryOn")
        .filter(|text| !text.is_empty())
        .unwrap_or(DEFAULT_ON);
    let mut on = RetryOn::default();
    for word in words
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        if !understand(word, &mut on) {
            fields.not_applied("retryOn", format!("{word:?} is ignored"));
        }
    }
    let back_off = fields.duration("backoff").unwrap_or(Retries::BACK_OFF);
    Retries {
        attempts,
        per_try_timeout,
        on,
        back_off: back_off.max(LEAST_BACK_OFF),
        same_endpoint: fields.flag("retryIgnorePreviousHosts") == Some(false),
        elsewhere: fields.flag("retryRemoteLocalities") == Some(true),
    }
}

fn understand(word: &str, on: &mut RetryOn) -> bool {
    match word {
        "5xx" => on.server_error = true,
        "gateway-error" => on.gateway_error = true,
        "connect-failure" => on.connect_failure = true,
        "refused-stream" => on.refused = true,
        "reset" => on.reset = true,
        // What was not started here was not sent either.
        "reset-before-request" => (on.connect_failure, on.refused) = (true, true),
        "envoy-ratelimited" => on.headers.push(RATE_LIMITED),
        "retriable-4xx" => on.conflict = true,
        // The codes themselves stand beside it in the list.
        "retriable-status-codes" => {}
        _ => return numeric(word, on) || grpc(word, on),
    }
    true
}

fn numeric(word: &str, on: &mut RetryOn) -> bool {
    let code = word
        .parse::<u16>()
        .ok()
        .filter(|code| (100..600).contains(code));
    on.status.extend(code);
    code.is_some()
}

fn grpc(word: &str, on: &mut RetryOn) -> bool {
    let code = match word {
        "cancelled" | "deadline-exceeded" | "internal" | "resource-exhausted" | "unavailable" => {
            grpc_code(&word.to_ascii_uppercase().replace('-', "_"))
        }
        _ => None,
    };
    on.grpc.extend(code);
    code.is_some()
}

/// A gRPC status by its name or number.
pub(crate) fn grpc_code(name: &str) -> Option<u8> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let position = NAMES.iter().position(|known| *known == name);
    position
        .and_then(|code| u8::try_from(code).ok())
        .or_else(|| name.parse().ok().filter(|code| *code <= 16))
}
